//! One line.

use bytes::Bytes;
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use hyper::{
    client::conn::http1::{SendRequest, handshake},
    rt::{Read, Write},
};
use keyferry_core::SecretBytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, HOST, PROXY_AUTHORIZATION, USER_AGENT};
use url::Position;

use crate::{
    client::AGENT,
    transport::{Failure, Received, whole},
};

/// An open connection. It is closed when it is dropped, whatever is under way.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    route: Route,
}

/// What is at the other end.
pub(super) enum Route {
    /// The server itself, perhaps through a tunnel.
    Direct,
    /// A proxy that passes on what it reads, and its login.
    Forwarded(Option<HeaderValue>),
}

impl Line {
    pub(super) async fn over(
        stream: impl Read + Write + Unpin + Send + 'static,
        route: Route,
    ) -> Result<Self, Failure> {
        let (sender, connection) = handshake(stream).await.map_err(|error| Failure::no_connection(error.into()))?;
        // It ends with the sender. What goes wrong meanwhile, the sender hears.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, route })
    }

    /// Whether it can take another request. The answer to the last one must have been read.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) fn is_forwarded(&self) -> bool {
        matches!(self.route, Route::Forwarded(_))
    }

    /// Sends `request`, with `shown` in place of what it may have in `Authorization`, and reads the whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: &reqwest::Request,
        shown: Option<&SecretBytes>,
    ) -> Result<Received, Failure> {
        let request = self.written(request, shown).map_err(|_| Failure::Unwritable)?;
        match self.sender.send_request(request).await {
            Ok(answer) => whole(answer).await,
            Err(error) if error.is_canceled() => Err(Failure::NotSent),
            Err(error) => Err(Failure::NoAnswer(error.into())),
        }
    }

    fn written(
        &self,
        request: &reqwest::Request,
        shown: Option<&SecretBytes>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let (url, mut headers) = (request.url(), request.headers().clone());
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.entry(HOST).or_insert(HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])?);
        let target: Uri = match &self.route {
            Route::Direct => url[Position::BeforePath..Position::AfterQuery].parse()?,
            Route::Forwarded(login) => {
                headers.extend(login.clone().map(|login| (PROXY_AUTHORIZATION, login)));
                url[..Position::AfterQuery].parse()?
            }
        };
        headers.remove(AUTHORIZATION);
        if let Some(shown) = shown {
            let mut value = HeaderValue::from_bytes(shown.expose())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let mut written = Request::builder().method(request.method()).uri(target);
        if let Some(place) = written.headers_mut() {
            *place = headers;
        }
        written.body(Full::new(Bytes::copy_from_slice(body)))
    }
}
