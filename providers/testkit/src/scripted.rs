//! A real HTTP server whose answers are written by the test: for wire tests, which ask what a backend sends and what
//! it makes of each answer.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Frame, Incoming},
    header::{CONTENT_LENGTH, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Listens on a free port of 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    scheme: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<VecDeque<(String, Reply)>>>,
    unexpected: Arc<Mutex<Vec<String>>>,
    /// Ends with the server.
    _tasks: JoinSet<()>,
}

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as it was sent, with its percent-encoding.
    pub path: String,
    /// What stood behind the `?`, as it was sent; empty where nothing did.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Method, path and query in one line, as [`ScriptedServer::expecting`] takes them.
    pub fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, self.query)
    }

    /// The header `name`, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON, `null` where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Close,
    Drip,
    Hang,
    Stall,
    Truncate,
}

impl Reply {
    /// An answer with a JSON body.
    ///
    /// # Panics
    /// When `status` is none.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, body.to_string()).header("Content-Type", "application/json")
    }

    /// An answer with any body.
    ///
    /// # Panics
    /// When `status` is none.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        Self { status, headers: HeaderMap::new(), body: body.into(), fault: None }
    }

    /// The same answer with another header.
    ///
    /// # Panics
    /// When name or value are not allowed in HTTP.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header value"));
        self
    }

    /// No answer, the connection stays open: a black hole.
    pub fn hang() -> Self {
        Self { fault: Some(Fault::Hang), ..Self::text(200, "") }
    }

    /// No answer, the connection is closed.
    pub fn close() -> Self {
        Self { fault: Some(Fault::Close), ..Self::text(200, "") }
    }

    /// The same answer, sent byte by byte.
    #[must_use]
    pub fn dripping(self) -> Self {
        Self { fault: Some(Fault::Drip), ..self }
    }

    /// The same answer up to the middle of its body; then nothing more comes, and the connection stays open.
    #[must_use]
    pub fn stalled(self) -> Self {
        Self { fault: Some(Fault::Stall), ..self }
    }

    /// The same answer up to the middle of its body; then the connection is closed, with less than was announced.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self { fault: Some(Fault::Truncate), ..self }
    }
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

impl ScriptedServer {
    /// Answers every request with what `handler` says.
    ///
    /// # Panics
    /// When no port can be opened.
    pub async fn answering(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(handler), None).await
    }

    /// As [`ScriptedServer::answering`], over TLS.
    ///
    /// # Panics
    /// When no port can be opened.
    pub async fn answering_tls(
        tls: rustls::ServerConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(handler), Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    /// Expects these requests (`GET /v1/a?list=true`) in this order, and answers each as written. Whatever else comes
    /// is answered with 500 and makes [`ScriptedServer::finish`] fail.
    ///
    /// # Panics
    /// When no port can be opened.
    pub async fn expecting<'a>(script: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        let script: VecDeque<_> = script.into_iter().map(|(line, reply)| (line.to_owned(), reply)).collect();
        let (script, unexpected) = (Arc::new(Mutex::new(script)), Arc::new(Mutex::new(Vec::new())));
        let next = {
            let (script, unexpected) = (Arc::clone(&script), Arc::clone(&unexpected));
            move |request: &Request| {
                let next = lock(&script).pop_front_if(|(line, _)| *line == request.line());
                next.map_or_else(
                    || {
                        lock(&unexpected).push(request.line());
                        Reply::text(500, "unexpected")
                    },
                    |(_, reply)| reply,
                )
            }
        };
        Self { script, unexpected, ..Self::answering(next).await }
    }

    /// Where it listens, without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// All requests.
    ///
    /// # Panics
    /// When a request that [`ScriptedServer::expecting`] named did not come, or another came.
    pub fn finish(self) -> Vec<Request> {
        let missing: Vec<_> = lock(&self.script).iter().map(|(line, _)| line.clone()).collect();
        let unexpected = lock(&self.unexpected).clone();
        assert!(missing.is_empty() && unexpected.is_empty(), "missing: {missing:?}, unexpected: {unexpected:?}");
        self.requests()
    }

    async fn start(handler: Handler, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let requests = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, handler, Arc::clone(&requests)));
        Self { scheme, port, requests, script: Arc::default(), unexpected: Arc::default(), _tasks: tasks }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, handler: Handler, requests: Arc<Mutex<Vec<Request>>>) {
    // Ends all connections when the server is dropped.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, handler, requests) = (tls.clone(), Arc::clone(&handler), Arc::clone(&requests));
        connections.spawn(async move {
            match tls {
                None => serve(socket, handler, requests).await,
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, handler, requests).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(socket: S, handler: Handler, requests: Arc<Mutex<Vec<Request>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let (handler, requests) = (Arc::clone(&handler), Arc::clone(&requests));
        async move {
            let request = receive(request).await?;
            let reply = handler(&request);
            lock(&requests).push(request);
            answer(reply).await
        }
    });
    // A client that hangs up is part of many tests.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn receive(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    Ok(Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    })
}

/// An error makes hyper close the connection at once.
async fn answer(reply: Reply) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
    let Reply { status, headers, body, fault } = reply;
    let length = body.len();
    let half = body.slice(..length / 2);
    let body = match fault {
        None => Full::new(body).map_err(|never| match never {}).boxed(),
        Some(Fault::Close) => return Err(closed()),
        Some(Fault::Drip) => streamed(frames(body.chunks(1).map(|byte| Ok(Bytes::copy_from_slice(byte))).collect())),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Stall) => streamed(frames(vec![Ok(half)]).chain(stream::pending())),
        Some(Fault::Truncate) => streamed(frames(vec![Ok(half), Err(closed())])),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// Each frame is on its way before the next one, or the error, is looked at.
fn frames(chunks: Vec<io::Result<Bytes>>) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::iter(chunks).then(|chunk| async {
        tokio::task::yield_now().await;
        chunk.map(Frame::data)
    })
}

fn streamed(frames: impl Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync + 'static) -> BoxBody<Bytes, io::Error> {
    BodyExt::boxed(StreamBody::new(frames))
}

fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
