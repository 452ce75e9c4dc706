//! Sending a request and reading the whole answer, and what can go wrong on the way.

use std::{error::Error as StdError, io};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Body;
use keyferry_core::{Error, ErrorKind, Retry, SecretBytes};
use reqwest::{StatusCode, header::HeaderMap};
use rustls::CertificateError;
use url::Url;
use zeroize::Zeroizing;

/// No secret is nearly as long; a listing of ten thousand names is about one megabyte.
pub(crate) const MAX_BODY: usize = 8 << 20;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A whole answer.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: SecretBytes,
}

/// Why there is no whole answer.
pub(crate) enum Failure {
    /// The connection ended in the middle of the answer.
    Cut,
    /// The connection ended in the middle of a login that belongs to it.
    HungUp,
    /// The server was reached, and said nothing.
    NoAnswer(BoxError),
    /// The server was not reached.
    NoConnection(BoxError),
    /// The connection ended before a single byte was written.
    NotSent,
    /// The login would belong to a connection that a proxy may use for others as well.
    SharedByProxy,
    TimedOut,
    /// The answer is longer than [`MAX_BODY`].
    TooLong,
    UnknownHost,
    /// The request cannot be put into the form of HTTP.
    Unwritable,
}

/// There is no address for the name of the host.
#[derive(Debug, thiserror::Error)]
#[error("the host name is not known")]
pub(crate) struct UnknownHost(#[source] pub(crate) io::Error);

pub(crate) async fn exchange(http: &reqwest::Client, request: reqwest::Request) -> Result<Received, Failure> {
    whole(http.execute(request).await?.into()).await
}

/// Reads an answer to its end.
pub(crate) async fn whole<B: Body<Data = Bytes> + Unpin>(answer: Response<B>) -> Result<Received, Failure> {
    let (parts, mut incoming) = answer.into_parts();
    let announced = incoming.size_hint().exact().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if announced > MAX_BODY {
        return Err(Failure::TooLong);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(frame) = incoming.frame().await {
        // What is no data are trailers.
        let Ok(chunk) = frame.map_err(|_| Failure::Cut)?.into_data() else { continue };
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Failure::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let body = SecretBytes::new(std::mem::take(&mut *body));
    Ok(Received { status: parts.status, headers: parts.headers, body })
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        match error {
            error if error.is_timeout() => Self::TimedOut,
            error if error.is_dns() => Self::UnknownHost,
            error if error.is_connect() => Self::no_connection(error.into()),
            error => Self::NoAnswer(error.into()),
        }
    }
}

impl Failure {
    pub(crate) fn no_connection(cause: BoxError) -> Self {
        match find_cause::<UnknownHost>(&*cause) {
            Some(_) => Self::UnknownHost,
            None => Self::NoConnection(cause),
        }
    }

    /// The texts of the HTTP and TLS stacks are not shown: they name internals of ours, not what a user can mend.
    pub(crate) fn into_error(self, provider: &'static str, operation: &'static str, about: &str, url: &Url) -> Error {
        const ENDED: &str = "the connection ended before an answer came";
        let server = url.origin().ascii_serialization();
        let error = |kind, message| Error::new(kind, provider, operation, message);
        let unreachable = |cause: BoxError, otherwise| {
            if let Some(tls) = find_cause::<rustls::Error>(&*cause) {
                // Another try meets the same certificate.
                let text = format!("no TLS connection to {server}: {}", tls_text(tls));
                return error(ErrorKind::Unavailable, text).with_retry(Retry::Never);
            }
            let text = io_text(&*cause).unwrap_or(otherwise);
            error(ErrorKind::Unavailable, format!("{server} cannot be reached: {text}"))
        };
        match self {
            Self::Cut => error(ErrorKind::Malformed, format!("the answer about {about} ended half way"))
                .with_retry(Retry::Backoff),
            Self::HungUp => error(
                ErrorKind::Unavailable,
                format!(
                    "{server} ended the connection in the middle of the login, which belongs to the connection; let it, \
                     and whatever stands in front of it, keep connections open"
                ),
            ),
            Self::NoAnswer(cause) => unreachable(cause, ENDED),
            Self::NoConnection(cause) => {
                unreachable(cause, "no connection; check the way there, and the proxy if there is one")
            }
            Self::NotSent => error(ErrorKind::Unavailable, format!("{server} cannot be reached: {ENDED}")),
            Self::SharedByProxy => error(
                ErrorKind::InvalidConfig,
                format!(
                    "the proxy on the way to {server} does not promise to use the connection for nobody else, who would \
                     then be logged in as well; use https, or add the host to NO_PROXY"
                ),
            ),
            Self::TimedOut => error(ErrorKind::TimedOut, format!("{server} did not answer in time")),
            Self::TooLong => {
                error(ErrorKind::Malformed, format!("the answer about {about} is longer than {} MiB", MAX_BODY >> 20))
            }
            Self::UnknownHost => error(
                ErrorKind::Unavailable,
                format!("the host name of {server} cannot be resolved; check the address and the cluster's DNS"),
            ),
            Self::Unwritable => error(ErrorKind::InvalidConfig, format!("the request for {about} cannot be written")),
        }
    }
}

fn tls_text(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another host name"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            // A bad signature is what a CA makes that has been replaced by one of the same name.
            CertificateError::BadSignature | CertificateError::UnknownIssuer => {
                "its certificate comes from an authority that is not trusted; name its CA in caBundle or caProvider"
            }
            _ => "its certificate is not acceptable; check the CA in caBundle or caProvider",
        },
        rustls::Error::AlertReceived(_) => "the server refused; it may ask for a client certificate",
        _ => "the TLS handshake failed; is this an https address?",
    }
}

fn io_text(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    match find_cause::<io::Error>(error)?.kind() {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some("no route to it"),
        _ => None,
    }
}

/// The innermost `E` of `error` and its causes, with a look inside I/O errors, which hide theirs.
pub fn find_cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut cause = Some(error);
    while let Some(current) = cause {
        found = current.downcast_ref::<E>().or(found);
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    found
}
