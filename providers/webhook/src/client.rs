//! One request, and what its answer means.

use std::{collections::BTreeMap, fmt, io, sync::Arc, time::Duration};

use keyferry_core::{CallObserver, Error, ErrorKind, Locator, Result, SecretBytes, Version};
use keyferry_rest::{Answer, Client, Lines, Method, Request, Tls, Url, is_proxied};
use serde_json::value::RawValue;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    PROVIDER,
    auth::Auth,
    config::WebhookConfig,
    json_path::JsonPath,
    ntlm::{self, Account, Handshake},
    template::{Data, Template},
    url::{checked, query_escaped, server},
};

/// What can be asked, by the name that the metrics know.
pub(crate) const REQUEST: &str = "HTTPRequest";
const CONNECT: &str = "Connect";

/// The wire to one server.
pub(crate) struct WebhookClient {
    http: Client,
    ntlm: Option<(Lines, Account)>,
    method: Method,
    url: Template,
    headers: BTreeMap<String, Template>,
    body: Option<Template>,
    data: Data,
    namespace: String,
    timeout: Option<Duration>,
    json_path: Option<JsonPath>,
    /// The server, unless the template leaves open which it is.
    server: Option<Url>,
}

impl WebhookClient {
    pub(crate) fn new(config: WebhookConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let tls = Tls { roots: config.roots, identity: None };
        let http = Client::new(PROVIDER, &tls, observer)?;
        let invalid = |text: String| http.invalid(REQUEST, text);
        let ntlm = match &config.auth {
            Auth::None => None,
            Auth::Ntlm { username, password } => {
                let account = Account::new(username, password);
                let account = account.map_err(|text| invalid(format!("{}.{text}", ntlm::FIELD)))?;
                Some((Lines::new(PROVIDER, &tls)?, account))
            }
        };
        let data = Data::new(&config.secrets);
        let sample = data.with("remoteRef", [("key", "k"), ("version", ""), ("property", ""), ("namespace", "n")]);
        let template = |field: &str, source: &str| {
            Template::parse(source, &sample).map_err(|text| invalid(format!("the template in {field} {text}")))
        };
        let header = |(name, source): (String, String)| {
            let parsed = template(&format!("the header {name:?}"), &source)?;
            Ok((name, parsed))
        };
        let method = config.method.as_deref().map(str::trim).filter(|method| !method.is_empty()).unwrap_or("GET");
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
            .map_err(|_| invalid(format!("method {method:?} is not a method of HTTP; name one like GET or POST")))?;
        let path = config.json_path.as_deref().filter(|path| !path.trim().is_empty());
        let body = config.body.as_deref().filter(|body| !body.is_empty());
        Ok(Self {
            method,
            server: server(&config.url).map_err(|text| invalid(format!("url {text}")))?,
            url: template("url", &config.url)?,
            headers: config.headers.into_iter().map(header).collect::<Result<_>>()?,
            body: body.map(|body| template("body", body)).transpose()?,
            data,
            namespace: config.namespace,
            timeout: config.timeout.filter(|timeout| !timeout.is_zero()),
            json_path: path.map(JsonPath::parse).transpose().map_err(invalid)?,
            ntlm,
            http,
        })
    }

    /// What the server answers about `locator`.
    pub(crate) async fn read(&self, locator: &Locator) -> Result<SecretBytes> {
        let sent = self.send(self.request(locator)?);
        let answer = match self.timeout {
            None => sent.await?,
            Some(limit) => timeout(limit, sent).await.unwrap_or_else(|_| {
                let text = format!("the server did not answer within {limit:?}, the store's `timeout`");
                Err(Error::new(ErrorKind::TimedOut, PROVIDER, REQUEST, text))
            })?,
        };
        let looks_like_a_page = ["<!doctype html", "<html"].iter().any(|tag| answer.says(tag));
        let about = answer.about();
        match answer.status() {
            // Whatever stands in front of the server, or in its place, answers with pages.
            404 if looks_like_a_page => {
                let text =
                    format!("a web page says that {about} is not there; check that `url` leads to the right server");
                Err(answer.error(ErrorKind::InvalidConfig, text))
            }
            404 => Err(answer.error(ErrorKind::NotFound, format!("the server does not know {about}"))),
            _ if !answer.is_success() => Err(answer.refusal()),
            _ => match &self.json_path {
                Some(path) => selected(path, &answer),
                None if looks_like_a_page => {
                    let text =
                        format!("the answer about {about} is a web page; check `url` and the login in `headers`");
                    Err(answer.error(ErrorKind::Malformed, text))
                }
                None => whole(answer),
            },
        }
    }

    async fn send(&self, request: Request<'_>) -> Result<Answer> {
        let Some((lines, account)) = &self.ntlm else { return request.send().await };
        let mut login = Handshake::of(account);
        let answer = request.send_on(lines, &mut login).await?;
        match login.refusal(answer.about()) {
            Some((kind, text)) => Err(answer.error(kind, text)),
            None => Ok(answer),
        }
    }

    /// Whether the server can be reached, without a request to it: only its author knows what requests do. Behind a
    /// proxy that is for the proxy to say.
    pub(crate) async fn dial(&self) -> Result<()> {
        let Some(server) = self.server.as_ref().filter(|server| !is_proxied(server)) else { return Ok(()) };
        let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = server.port_or_known_default().unwrap_or_default();
        let unreachable = |reason: &str| {
            let text = format!("{host}:{port} cannot be reached: {reason}");
            Error::new(ErrorKind::Unavailable, PROVIDER, CONNECT, text)
        };
        let addresses = lookup_host((host, port)).await;
        let addresses: Vec<_> =
            addresses.map_err(|_| unreachable("its name is not known; check `url` and the cluster's DNS"))?.collect();
        let connected = TcpStream::connect(addresses.as_slice()).await;
        connected.map(drop).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => unreachable("connection refused"),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => unreachable("no route to it"),
            _ => unreachable("no connection"),
        })
    }

    fn request(&self, locator: &Locator) -> Result<Request<'_>> {
        let (key, property) = (locator.name.as_str(), locator.property.as_deref());
        let version = locator.version.as_ref().map(Version::as_str);
        let about = match property {
            Some(property) => format!("the property {property} of the key {key}"),
            None => format!("the key {key}"),
        };
        let invalid = |what: &str, text: &str| self.http.invalid(REQUEST, format!("{about}: {what} {text}"));
        let reference = [
            ("key", key),
            ("version", version.unwrap_or_default()),
            ("property", property.unwrap_or_default()),
            ("namespace", &self.namespace),
        ];
        let data = self.data.with("remoteRef", reference);
        let escaped = reference.map(|(name, text)| (name, query_escaped(text)));
        let escaped = self.data.with("remoteRef", escaped.iter().map(|(name, text)| (*name, text.as_str())));
        let url = self.url.render(&escaped).map_err(|text| invalid("the template in url", &text))?;
        let url = checked(&url).map_err(|text| invalid("the url", text))?;
        let mut request = self.http.request(REQUEST, self.method.clone(), url).about(about.as_str());
        let mut content_type = None;
        for (name, template) in &self.headers {
            let text = template.render(&data);
            let text = text.map_err(|text| invalid(&format!("the template in the header {name:?}"), &text))?;
            if name.eq_ignore_ascii_case("content-type") {
                content_type = Some(text.to_string());
            }
            request = request.secret_header(name, &SecretBytes::from(text.as_str()));
        }
        if let Some(template) = &self.body {
            let text = template.render(&data).map_err(|text| invalid("the template in body", &text))?;
            request = request.body(content_type.as_deref().unwrap_or("application/json"), text.as_str());
        }
        Ok(request)
    }
}

impl fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookClient")
            .field("method", &self.method)
            .field("server", &self.server)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

fn selected(path: &JsonPath, answer: &Answer) -> Result<SecretBytes> {
    let json: &RawValue = answer.json()?;
    path.value(json.get())
        .map_err(|text| answer.error(ErrorKind::Malformed, format!("the answer about {} {text}", answer.about())))
}

/// An answer without a single letter is rather a fault of the server than a value.
fn whole(answer: Answer) -> Result<SecretBytes> {
    let (status, text) = (answer.status(), format!("the answer about {} is empty", answer.about()));
    let body = answer.bytes()?;
    if body.expose().trim_ascii().is_empty() {
        return Err(Error::new(ErrorKind::Malformed, PROVIDER, REQUEST, text).with_status(status));
    }
    Ok(body)
}
