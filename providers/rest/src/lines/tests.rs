use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper_util::client::proxy::matcher::Matcher;
use keyferry_core::{Error, ErrorKind, Retry, SecretBytes, Unobserved};
use keyferry_testkit::{Reply, ScriptedServer};
use rcgen::generate_simple_self_signed;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};
use url::Url;

use super::{Dialer, LineLogin, Lines};
use crate::{Answer, Client, Tls};

/// Says these one after the other.
struct Says(Vec<&'static str>);

impl LineLogin for Says {
    fn answer(&mut self, challenges: &[&str]) -> Option<SecretBytes> {
        assert_eq!(challenges, ["Test"]);
        (!self.0.is_empty()).then(|| SecretBytes::from(self.0.remove(0)))
    }
}

fn says<const N: usize>(words: [&'static str; N]) -> Says {
    Says(words.into())
}

fn asks() -> Reply {
    Reply::text(401, "who?").header("WWW-Authenticate", "Test")
}

fn lines() -> Lines {
    Lines::new("Test", &Tls::default()).expect("lines")
}

async fn read(lines: &Lines, url: &str, mut login: Says) -> Result<Answer, Error> {
    let client = Client::new("Test", &Tls::default(), Arc::new(Unobserved)).expect("a client");
    let url = Url::parse(url).expect("a URL").join("/v1/a?b=c").expect("a URL");
    client.get("Read", url).about("the secret a").header("X-Plain", "p").send_on(lines, &mut login).await
}

/// Passes connections on to a server and counts them.
struct Relay {
    url: String,
    count: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Relay {
    async fn to(server: &ScriptedServer) -> Self {
        let target = server.url().replace("http://", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(&target).await.expect("the server");
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        });
        Self { url, count, task }
    }

    fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const LINE: &str = "GET /v1/a?b=c";

#[tokio::test]
async fn all_of_a_login_and_later_requests_travel_on_one_line() {
    let ok = || (LINE, Reply::text(200, "{}"));
    let server = ScriptedServer::expecting([(LINE, asks()), (LINE, asks()), ok(), ok()]).await;
    let (relay, lines) = (Relay::to(&server).await, lines());
    for login in [says(["one", "two"]), says([])] {
        assert_eq!(read(&lines, &relay.url, login).await.map(|answer| answer.status()), Ok(200));
    }
    assert_eq!(relay.connections(), 1);
    let requests = server.finish();
    let shown: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(shown, ["", "one", "two", ""]);
    for request in requests {
        assert_eq!((request.header("x-plain"), request.header("accept")), ("p", "*/*"));
        assert_eq!(request.header("host"), relay.url.replace("http://", ""));
        assert!(request.header("user-agent").starts_with("keyferry/"));
    }
}

#[tokio::test]
async fn nobody_shares_a_line_that_is_in_use() {
    let server = ScriptedServer::answering(|request| match request.header("authorization") {
        "" => asks(),
        _ => Reply::text(200, "{}"),
    })
    .await;
    let (relay, lines) = (Relay::to(&server).await, lines());
    let (one, two) = tokio::join!(read(&lines, &relay.url, says(["a"])), read(&lines, &relay.url, says(["b"])));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(relay.connections(), 2);
}

#[tokio::test]
async fn a_line_that_was_refused_or_given_up_is_not_used_again() {
    let replies = [(LINE, asks()), (LINE, asks()), (LINE, Reply::hang()), (LINE, Reply::text(200, "{}"))];
    let server = ScriptedServer::expecting(replies).await;
    let (relay, lines) = (Relay::to(&server).await, lines());
    assert_eq!(read(&lines, &relay.url, says([])).await.map(|answer| answer.status()), Ok(401));
    let hung = time::timeout(Duration::from_millis(200), read(&lines, &relay.url, says(["one"]))).await;
    assert!(hung.is_err());
    assert_eq!(read(&lines, &relay.url, says([])).await.map(|answer| answer.status()), Ok(200));
    assert_eq!(relay.connections(), 3);
    server.finish();
}

#[tokio::test]
async fn a_server_may_hang_up_before_a_login_but_not_within() {
    let closing = || asks().header("Connection", "close");
    let replies = [(LINE, closing()), (LINE, Reply::text(200, "{}")), (LINE, asks()), (LINE, closing())];
    let server = ScriptedServer::expecting(replies).await;
    assert_eq!(read(&lines(), &server.url(), says(["one"])).await.map(|answer| answer.status()), Ok(200));
    let error = read(&lines(), &server.url(), says(["one", "two"])).await.expect_err("hung up");
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Backoff));
    assert!(error.message.contains("ended the connection in the middle of the login"), "{error}");
    server.finish();
}

#[tokio::test]
async fn a_line_that_the_server_has_closed_meanwhile_is_replaced() {
    let ok = || Reply::text(200, "{}");
    let server =
        ScriptedServer::expecting([(LINE, ok()), (LINE, ok().header("Connection", "close")), (LINE, ok())]).await;
    let (relay, lines) = (Relay::to(&server).await, lines());
    for _ in 0..3 {
        assert_eq!(read(&lines, &relay.url, says([])).await.map(|answer| answer.status()), Ok(200));
    }
    assert_eq!(relay.connections(), 2);
}

#[tokio::test]
async fn a_line_that_nobody_takes_any_more_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 1024];
        assert!(stream.read(&mut head).await.expect("a request") > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.expect("an answer");
        stream.read(&mut head).await.expect("an end")
    });
    let lines = lines();
    assert!(read(&lines, &url, says([])).await.is_ok());
    time::pause();
    time::advance(Duration::from_secs(60)).await;
    assert!(!server.is_finished(), "it is kept for a while");
    assert_eq!(server.await.expect("no panic"), 0);
}

#[tokio::test]
async fn failures_read_like_those_of_other_connections() {
    let port = TcpListener::bind("127.0.0.1:0").await.and_then(|socket| socket.local_addr()).expect("a port").port();
    let server = ScriptedServer::expecting([(LINE, Reply::close()), (LINE, Reply::text(200, "{}").truncated())]).await;
    for (url, kind, words) in [
        (format!("http://127.0.0.1:{port}"), ErrorKind::Unavailable, "cannot be reached: connection refused"),
        ("http://nobody.invalid".into(), ErrorKind::Unavailable, "cannot be resolved; check the address"),
        (server.url(), ErrorKind::Unavailable, "cannot be reached: the connection ended before an answer came"),
        (server.url(), ErrorKind::Malformed, "the answer about the secret a ended half way"),
        (server.url().replace("http:", "https:"), ErrorKind::Unavailable, "no TLS connection to"),
    ] {
        let error = read(&lines(), &url, says([])).await.expect_err(words);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    server.finish();
}

async fn tls_server(protocols: &[&str]) -> (ScriptedServer, Tls) {
    let made = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth();
    let mut config = config.with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], key).expect("TLS");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let server = ScriptedServer::answering_tls(config, |_| Reply::text(200, "{}")).await;
    (server, Tls { roots: Some(made.cert.pem().into()), ..Tls::default() })
}

#[tokio::test]
async fn tls_trusts_the_stores_roots() {
    let (server, tls) = tls_server(&["h2", "http/1.1"]).await;
    let trusting = Lines::new("Test", &tls).expect("lines");
    assert_eq!(read(&trusting, &server.url(), says([])).await.map(|answer| answer.status()), Ok(200));
    let error = read(&lines(), &server.url(), says([])).await.expect_err("nobody it trusts");
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Never));
    assert!(error.message.contains("an authority that is not trusted; name its CA"), "{error}");
}

#[tokio::test]
async fn nobody_is_offered_http_2() {
    let (server, tls) = tls_server(&["h2"]).await;
    let error = read(&Lines::new("Test", &tls).expect("lines"), &server.url(), says([])).await.expect_err("no HTTP/2");
    assert!(error.message.contains("no TLS connection"), "{error}");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let tls = Tls { roots: Some("hunter2".into()), ..Tls::default() };
    let error = Lines::new("Test", &tls).expect_err("no certificate");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("caBundle or caProvider") && !error.message.contains("hunter2"), "{error}");
}

fn behind(proxy: &str, tls: &Tls) -> Lines {
    let proxies = Matcher::builder().all(proxy).build();
    Lines { dialer: Dialer::behind(proxies, tls.config().expect("TLS")), idle: Arc::default() }
}

/// A proxy that opens one tunnel, and what it was asked for.
async fn tunnel() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://me:word@{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("a head"));
        }
        let head = String::from_utf8(head).expect("text");
        let to = head.split(' ').nth(1).expect("a target").to_owned();
        let mut server = TcpStream::connect(to).await.expect("the server");
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("an answer");
        let _ = copy_bidirectional(&mut client, &mut server).await;
        head
    });
    (url, task)
}

#[tokio::test]
async fn https_goes_through_a_proxy_in_a_tunnel() {
    let (server, tls) = tls_server(&["http/1.1"]).await;
    let (proxy, tunnel) = tunnel().await;
    let lines = behind(&proxy, &tls);
    assert_eq!(read(&lines, &server.url(), says([])).await.map(|answer| answer.status()), Ok(200));
    drop(lines);
    let head = tunnel.await.expect("no panic");
    assert!(head.starts_with("CONNECT 127.0.0.1:"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6d29yZA=="), "{head}");
}

#[tokio::test]
async fn a_login_does_not_go_through_a_proxy_that_may_share_the_connection() {
    let pinned = || asks().header("Proxy-Support", "session-based-authentication");
    let replies = [
        (LINE, pinned()),
        (LINE, Reply::text(200, "{}")),
        (LINE, Reply::text(200, "{}")),
        (LINE, asks()),
        (LINE, asks()),
    ];
    let proxy = ScriptedServer::expecting(replies).await;
    let read = async |words: Says| {
        let lines = behind(&proxy.url().replace("//", "//me:word@"), &Tls::default());
        read(&lines, "http://secrets.example", words).await
    };
    assert_eq!(read(says(["one"])).await.map(|answer| answer.status()), Ok(200));
    assert_eq!(read(says([])).await.map(|answer| answer.status()), Ok(200), "nobody asked for a login");
    let error = read(says(["one"])).await.expect_err("a proxy that does not promise");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("use https, or add the host to NO_PROXY"), "{error}");
    assert_eq!(read(says([])).await.map(|answer| answer.status()), Ok(401), "no login was about to travel");
    for request in proxy.finish() {
        assert_eq!(request.header("host"), "secrets.example");
        assert_eq!(request.header("proxy-authorization"), "Basic bWU6d29yZA==");
    }
}
