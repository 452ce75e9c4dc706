//! Sending a request and reading the whole answer, and what can go wrong on the way.

use std::{error::Error as StdError, io};

use keyferry_core::{Error, ErrorKind, Retry, SecretBytes};
use reqwest::{Response, StatusCode, header::HeaderMap};
use rustls::CertificateError;
use url::Url;
use zeroize::Zeroizing;

/// No secret is nearly as long; a listing of ten thousand names is about one megabyte.
pub(crate) const MAX_BODY: usize = 8 << 20;

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
    /// The answer is longer than [`MAX_BODY`].
    TooLong,
    /// The server was not reached, or said nothing.
    Unreachable(reqwest::Error),
}

pub(crate) async fn exchange(http: &reqwest::Client, request: reqwest::Request) -> Result<Received, Failure> {
    let mut response = http.execute(request).await.map_err(Failure::Unreachable)?;
    let body = read(&mut response).await?;
    Ok(Received { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}

async fn read(response: &mut Response) -> Result<SecretBytes, Failure> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if announced > MAX_BODY {
        return Err(Failure::TooLong);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => return Err(Failure::TooLong),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(SecretBytes::new(std::mem::take(&mut *body))),
            Err(error) if error.is_timeout() => return Err(Failure::Unreachable(error)),
            Err(_) => return Err(Failure::Cut),
        }
    }
}

impl Failure {
    /// The texts of the HTTP and TLS stacks are not shown: they name internals of ours, not what a user can mend.
    pub(crate) fn into_error(self, provider: &'static str, operation: &'static str, about: &str, url: &Url) -> Error {
        let server = url.origin().ascii_serialization();
        let error = |kind, message| Error::new(kind, provider, operation, message);
        match self {
            Self::Cut => error(ErrorKind::Malformed, format!("the answer about {about} ended half way"))
                .with_retry(Retry::Backoff),
            Self::TooLong => {
                error(ErrorKind::Malformed, format!("the answer about {about} is longer than {} MiB", MAX_BODY >> 20))
            }
            Self::Unreachable(cause) if cause.is_timeout() => {
                error(ErrorKind::TimedOut, format!("{server} did not answer in time"))
            }
            Self::Unreachable(cause) if cause.is_dns() => error(
                ErrorKind::Unavailable,
                format!("the host name of {server} cannot be resolved; check the address and the cluster's DNS"),
            ),
            Self::Unreachable(cause) => match find::<rustls::Error>(&cause) {
                // Another try meets the same certificate.
                Some(tls) => error(ErrorKind::Unavailable, format!("no TLS connection to {server}: {}", tls_text(tls)))
                    .with_retry(Retry::Never),
                None => error(ErrorKind::Unavailable, format!("{server} cannot be reached: {}", io_text(&cause))),
            },
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

fn io_text(error: &reqwest::Error) -> &'static str {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "no route to it",
        _ if error.is_connect() => "no connection",
        _ => "the connection ended before an answer came",
    }
}

/// The innermost `E` among the causes of `error`, with a look inside I/O errors, which hide theirs.
fn find<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut found = None;
    let mut cause = error.source();
    while let Some(current) = cause {
        found = current.downcast_ref::<E>().or(found);
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    found
}
