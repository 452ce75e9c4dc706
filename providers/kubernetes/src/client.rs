//! The API server: what every request carries, and what every refusal means.

use std::{fmt, sync::Arc};

use keyferry_core::{CallObserver, Error, ErrorKind, Result, Retry, SecretBytes};
use keyferry_rest::{Answer, BaseUrl, Client, Method, Request, Tls};
use serde::Deserialize;

use crate::{
    PROVIDER,
    auth::{Access, Auth},
    config::KubernetesConfig,
    kubeconfig::{self, Target},
};

/// What can be asked, by the names that the metrics know.
pub(crate) mod operation {
    pub(crate) const ACCESS_REVIEW: &str = "CreateSelfSubjectAccessReview";
    pub(crate) const CONNECT: &str = "Connect";
    pub(crate) const GET: &str = "GetSecret";
    pub(crate) const LIST: &str = "ListSecrets";
    pub(crate) const RULES_REVIEW: &str = "CreateSelfSubjectRulesReview";
}

/// The wire to one API server, as one login.
#[derive(Debug)]
pub(crate) struct KubernetesClient {
    http: Client,
    server: BaseUrl,
    access: Access,
    namespace: String,
}

impl KubernetesClient {
    pub(crate) fn new(config: KubernetesConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let KubernetesConfig { server, roots, namespace, auth } = config;
        let invalid = |text: String| Error::new(ErrorKind::InvalidConfig, PROVIDER, operation::CONNECT, text);
        let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if namespace.is_empty() || namespace.len() > 63 || !namespace.bytes().all(is_label) {
            return Err(invalid(format!("remoteNamespace {namespace:?} is not a name of a namespace; correct it")));
        }
        // A kubeconfig has a server and a CA of its own, so what is wrong with them is not wrong with `server`.
        let within = match auth {
            Auth::Kubeconfig(_) => "the kubeconfig that authRef names cannot be used: ",
            _ => "",
        };
        let (target, access) = match auth {
            Auth::Cert(identity) => {
                (Target { server, roots, identity: Some(identity), token: None }, Access::Certificate)
            }
            Auth::Kubeconfig(text) => {
                let mut target = kubeconfig::parse(&text).map_err(|text| invalid(format!("{within}{text}")))?;
                let access = target.token.take().map_or(Access::Certificate, Access::Fixed);
                (target, access)
            }
            Auth::ServiceAccount { tokens, audiences } => {
                (Target { server, roots, identity: None, token: None }, Access::minted(tokens, audiences))
            }
            Auth::Token(token) => {
                (Target { server, roots, identity: None, token: None }, Access::Fixed(token.trimmed()))
            }
        };
        let (token_field, server_field) = match within {
            "" => ("auth.token.bearerToken: the token in the Secret", "server.url"),
            _ => ("its token", "its server"),
        };
        if let Access::Fixed(token) = &access {
            usable(token).map_err(|text| invalid(format!("{within}{token_field} {text}")))?;
        }
        let tls = Tls { roots: target.roots, identity: target.identity };
        let http = Client::new(PROVIDER, &tls, observer)
            .map_err(|error| Error { message: format!("{within}{}", error.message), ..error })?;
        let address = target.server.trim();
        let address = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
        let server = BaseUrl::parse(&address).map_err(|error| invalid(format!("{within}{server_field} {error}")))?;
        Ok(Self { http, server, access, namespace })
    }

    /// Namespace that Secrets are read from.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Path of the Secrets, or of one of them.
    pub(crate) fn secrets(&self, name: Option<&str>) -> String {
        let all = format!("api/v1/namespaces/{}/secrets", self.namespace);
        name.map_or(all.clone(), |name| format!("{all}/{name}"))
    }

    /// Sends a request that `complete` finishes. Answers are of any status except 401, which is an error.
    pub(crate) async fn send<'a, C>(
        &'a self,
        operation: &'static str,
        method: Method,
        path: &str,
        complete: C,
    ) -> Result<Answer>
    where
        C: Fn(Request<'a>) -> Request<'a>,
    {
        let url =
            self.server.join(path).map_err(|error| self.invalid(operation, format!("the path {path} {error}")))?;
        let (complete, url, method) = (&complete, &url, &method);
        self.access
            .with(|token| async move {
                let mut request = complete(self.http.request(operation, method.clone(), url.clone()));
                if let Some(token) = &token {
                    request = request.bearer(token);
                }
                let answer = request.send().await?;
                match answer.status() {
                    401 => Err(answer.error(ErrorKind::Unauthenticated, UNAUTHENTICATED)),
                    _ => Ok(answer),
                }
            })
            .await
    }

    /// Something in the settings or the reference that cannot work.
    pub(crate) fn invalid(&self, operation: &'static str, message: impl fmt::Display) -> Error {
        self.http.invalid(operation, message)
    }
}

fn usable(token: &SecretBytes) -> Result<(), &'static str> {
    if token.is_empty() {
        return Err("is empty; put one there");
    }
    if !token.expose().iter().all(u8::is_ascii_graphic) {
        return Err("has white space or another character that no token has; correct it");
    }
    Ok(())
}

const UNAUTHENTICATED: &str =
    "the API server does not accept the login; check that the token or certificate is its own and has not ended";

/// An API server's own word on a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    kind: String,
}

/// What an answer other than 2xx means. Of the server's own text nothing is shown, only its reason is looked at.
pub(crate) fn refusal(answer: &Answer, namespace: &str) -> Error {
    let status: Status = answer.hint().unwrap_or_default();
    let about = answer.about();
    let is_status = status.kind == "Status";
    match answer.status() {
        403 => answer.error(
            ErrorKind::AccessDenied,
            format!("the login may not read {about}; bind it to a Role in namespace {namespace} that allows it"),
        ),
        // Only the API server itself can know that a Secret is not there, and it says of what kind the missing thing is.
        404 if is_status && status.reason == "NotFound" && status.details.is_some_and(|of| of.kind == "secrets") => {
            answer.error(ErrorKind::NotFound, format!("there is no {about}"))
        }
        404 => answer.error(
            ErrorKind::InvalidConfig,
            format!("nothing there knows {about}; check that server.url is the address of an API server"),
        ),
        // The place where the listing was is no longer kept: the next one begins anew.
        410 => answer
            .error(ErrorKind::Unavailable, format!("listing {about} took longer than the API server keeps its place"))
            .with_retry(Retry::Never),
        _ => answer.refusal(),
    }
}
