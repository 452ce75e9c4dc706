//! Vault's HTTP API: what every request carries, and what every refusal means.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use keyferry_core::{CallObserver, Error, ErrorKind, Result, Retry, SecretBytes};
use keyferry_rest::{Answer, BaseUrl, Client, Method, Request, Tls};
use serde::Deserialize;

use crate::{PROVIDER, config::VaultConfig, headers, standby};

/// What can be asked, by the names that the metrics know.
pub(crate) mod operation {
    pub(crate) const LIST: &str = "ListSecrets";
    pub(crate) const LOGIN: &str = "Login";
    pub(crate) const LOOKUP_SELF: &str = "LookupSelf";
    pub(crate) const MOUNT: &str = "ReadMount";
    pub(crate) const READ: &str = "ReadSecretData";
    pub(crate) const RENEW_SELF: &str = "RenewSelf";
    pub(crate) const REVOKE_SELF: &str = "RevokeSelf";
}

/// The wire to one server.
pub(crate) struct VaultClient {
    http: Client,
    server: BaseUrl,
    headers: BTreeMap<String, SecretBytes>,
    namespace: Option<String>,
    auth_namespace: Option<String>,
    forward: bool,
    /// The storage state that our own last write led to, where reads must not be older.
    index: Option<Mutex<Option<String>>>,
}

/// What is asked of the server.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) within: Within,
    /// Below `/v1`.
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a SecretBytes>,
}

impl<'a> Ask<'a> {
    /// Reads something where the secrets are.
    pub(crate) fn read(operation: &'static str, path: &'a str, token: Option<&'a SecretBytes>) -> Self {
        Self { operation, method: Method::GET, within: Within::Secrets, path, token }
    }

    /// Does something to a login.
    pub(crate) fn login(operation: &'static str, path: &'a str, token: Option<&'a SecretBytes>) -> Self {
        Self { operation, method: Method::POST, within: Within::Auth, path, token }
    }
}

/// In which namespace a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    Auth,
    Secrets,
}

impl VaultClient {
    pub(crate) fn new(config: &VaultConfig, tls: &Tls, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let http = Client::new(PROVIDER, tls, observer)?;
        let server =
            BaseUrl::parse(&config.server).map_err(|error| http.invalid("Connect", format!("server: {error}")))?;
        headers::check(config).map_err(|text| http.invalid("Connect", text))?;
        let consistent = config.read_your_writes || config.forward_inconsistent;
        Ok(Self {
            http,
            server,
            headers: config.headers.clone(),
            namespace: config.namespace.clone(),
            auth_namespace: config.auth_namespace.clone().or_else(|| config.namespace.clone()),
            forward: config.read_your_writes && config.forward_inconsistent,
            index: consistent.then(Mutex::default),
        })
    }

    /// Sends a request that `complete` finishes. A standby that sends its clients on to the active node is followed once.
    pub(crate) async fn send<'a, C>(&'a self, ask: Ask<'_>, complete: C) -> Result<Answer>
    where
        C: Fn(Request<'a>) -> Request<'a>,
    {
        let answer = complete(self.request(&self.server, &ask)?).send().await?;
        match standby::active_node(&self.server, ask.path, &answer) {
            Some(node) => {
                answer.follow();
                complete(self.request(&node, &ask)?).send().await
            }
            None => Ok(answer),
        }
    }

    fn request(&self, server: &BaseUrl, ask: &Ask<'_>) -> Result<Request<'_>> {
        let Ask { operation, method, within, path, token } = ask;
        let url = server.join(&format!("v1/{path}"));
        let url = url.map_err(|error| self.invalid(operation, format!("the path {path:?} {error}")))?;
        let mut request = self.http.request(operation, method.clone(), url).about(*path);
        for (name, value) in &self.headers {
            request = request.secret_header(name, value);
        }
        // Agents refuse requests without it: a web page cannot set it.
        request = request.header("X-Vault-Request", "true");
        let namespace = match within {
            Within::Auth => &self.auth_namespace,
            Within::Secrets => &self.namespace,
        };
        if let Some(namespace) = namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = token {
            request = request.secret_header("X-Vault-Token", token);
        }
        if let Some(index) = self.index() {
            request = request.header("X-Vault-Index", &index);
        }
        if self.forward {
            request = request.header("X-Vault-Inconsistent", "forward-active-node");
        }
        Ok(request)
    }

    /// Remembers the storage state after a request that wrote something.
    pub(crate) fn wrote(&self, answer: &Answer) {
        if let (Some(index), Some(state)) = (&self.index, answer.header("X-Vault-Index")) {
            *index.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.to_owned());
        }
    }

    fn index(&self) -> Option<String> {
        self.index.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client for the clouds' own endpoints, which have public certificates, or none.
    pub(crate) fn clouds(&self) -> Result<Client> {
        Client::new(PROVIDER, &Tls::default(), self.observer())
    }

    /// Who hears of requests.
    pub(crate) fn observer(&self) -> Arc<dyn CallObserver> {
        self.http.observer()
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &BaseUrl {
        &self.server
    }

    /// Something in the settings or the reference that cannot work.
    pub(crate) fn invalid(&self, operation: &'static str, message: impl fmt::Display) -> Error {
        self.http.invalid(operation, message)
    }
}

impl fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultClient")
            .field("server", &self.server.to_string())
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Vault's own words in a refusal.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refused {
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

impl Refused {
    pub(crate) fn of(answer: &Answer) -> Self {
        answer.hint().unwrap_or_default()
    }

    /// Whether a text of Vault's says `what`. Newer servers join several texts into one.
    pub(crate) fn says(&self, what: &str) -> bool {
        self.errors.iter().flatten().any(|text| text.contains(what))
    }
}

/// What an answer other than 2xx means.
pub(crate) fn refusal(answer: &Answer, within: Within) -> Error {
    let (about, refused) = (answer.about(), Refused::of(answer));
    match answer.status() {
        // Also said by servers that want a token for each request, where an agent should have added one.
        400 if refused.says("missing client token") => answer.error(ErrorKind::Unauthenticated, NO_TOKEN),
        // An engine that changes to version 2, or that has only just been mounted.
        400 if refused.says("Upgrading from non-versioned") => answer
            .error(ErrorKind::Unavailable, format!("the engine of {about} is being set up"))
            .with_retry(Retry::Backoff),
        403 if refused.says("invalid token") => answer.error(ErrorKind::Unauthenticated, INVALID_TOKEN),
        403 => answer.error(
            ErrorKind::AccessDenied,
            format!("the token may not use {about}; allow it in one of the token's policies"),
        ),
        404 => absence(answer, &refused, within),
        // Replicas: this one lags behind, is not for clients, or serves no such request.
        412 | 472 | 473 => answer
            .error(ErrorKind::Unavailable, format!("the server that was reached cannot answer for {about} yet"))
            .with_retry(Retry::Backoff),
        503 if refused.says("sealed") => answer.error(ErrorKind::Unavailable, "Vault is sealed; unseal it"),
        _ => answer.refusal(),
    }
}

pub(crate) const INVALID_TOKEN: &str = "the token is not valid, or no longer; a new one is needed";
const NO_TOKEN: &str =
    "no token came with the request; name a way to log in in `auth`, or let the agent at `server` add one";

/// A token that has been found invalid before.
pub(crate) fn ended() -> Error {
    Error::new(ErrorKind::Unauthenticated, PROVIDER, operation::LOOKUP_SELF, INVALID_TOKEN)
}

/// Vault says 404 also where nothing of the kind can exist. Only one answer means that a secret is not there, and none
/// does while we log in.
fn absence(answer: &Answer, refused: &Refused, within: Within) -> Error {
    let about = answer.about();
    let mount = about.split('/').next().unwrap_or_default();
    if refused.says("namespace not found") {
        return answer.error(ErrorKind::InvalidConfig, "there is no such namespace; check `namespace` in the store");
    }
    if refused.says("no handler for route") {
        let text = format!("no secrets engine is mounted at {mount} or above {about}; check `path` and `namespace`");
        return answer.error(ErrorKind::InvalidConfig, text);
    }
    if refused.warnings.as_ref().is_some_and(|warnings| !warnings.is_empty()) {
        let text = format!(
            "the engine does not know {about}; if it is KV version 2, set `version: v2` in the store, and `path` to where it \
             is mounted and no more"
        );
        return answer.error(ErrorKind::InvalidConfig, text);
    }
    match &refused.errors {
        Some(errors) if errors.is_empty() && within == Within::Secrets => {
            answer.error(ErrorKind::NotFound, format!("there is no {about}"))
        }
        _ => answer
            .error(ErrorKind::InvalidConfig, format!("the server does not know {about}; check `server` and `path`")),
    }
}
