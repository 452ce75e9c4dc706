//! Windows authentication of the fake server for webhook stores, as a client sees it that knows nothing of its code.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE},
};
use hyper_util::rt::TokioIo;
use keyferry_fakes::webhook::{Domain, WebhookTarget};
use md4::{Digest, Md4};
use md5::Md5;
use serde_json::json;
use tokio::net::TcpStream;

/// One connection.
struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    async fn to(server: &WebhookTarget) -> Self {
        let stream = TcpStream::connect(server.url().replace("http://", "")).await.expect("the server");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        Self(sender)
    }

    /// The status, and what `WWW-Authenticate` says.
    async fn get(&mut self, authorization: Option<&str>) -> (u16, Vec<String>) {
        self.0.ready().await.expect("an open connection");
        let mut request = Request::get("/v1/raw/a").header(HOST, "server");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = self.0.send_request(request.body(Empty::new()).expect("a request")).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        body.collect().await.expect("a whole answer");
        let challenges = parts.headers.get_all(WWW_AUTHENTICATE).iter();
        (parts.status.as_u16(), challenges.map(|value| value.to_str().expect("text").to_owned()).collect())
    }

    /// Message 2.
    async fn introduce(&mut self, scheme: &str) -> Vec<u8> {
        let (status, challenges) = self.get(Some(&show(scheme, &negotiate()))).await;
        let encoded = challenges.first().and_then(|value| value.strip_prefix(scheme)).expect("a challenge");
        assert_eq!((status, challenges.len()), (401, 1));
        STANDARD.decode(encoded.trim()).expect("base64")
    }

    /// Introduces itself and answers as `login` has it; the status.
    async fn log_in(&mut self, login: &Login<'_>) -> u16 {
        let challenge = self.introduce("NTLM").await;
        self.get(Some(&show("NTLM", &login.answer(&challenge)))).await.0
    }
}

fn show(scheme: &str, message: &[u8]) -> String {
    format!("{scheme} {}", STANDARD.encode(message))
}

fn negotiate() -> Vec<u8> {
    [b"NTLMSSP\0\x01\0\0\0".as_slice(), &0xa288_8205_u32.to_le_bytes(), &[0; 24]].concat()
}

/// A right login, unless something is changed in it.
#[derive(Clone, Copy)]
struct Login<'a> {
    domain: &'a str,
    user: &'a str,
    password: &'a str,
    lm: &'a [u8],
    /// Changes what the server said of itself.
    about: fn(&mut Vec<u8>),
    /// Changes the whole message.
    message: fn(&mut Vec<u8>),
}

const ANN: Login<'static> =
    Login { domain: "CORP", user: "ann", password: "pässword", lm: &[0; 24], about: |_| {}, message: |_| {} };

impl Login<'_> {
    fn answer(&self, challenge: &[u8]) -> Vec<u8> {
        let number = |at: usize| usize::from(challenge[at]) | usize::from(challenge[at + 1]) << 8;
        let mut about = challenge[number(44)..][..number(40)].to_vec();
        // The time is the last that the server says; behind it comes that this message has an integrity code.
        let end = about.len() - 4;
        let time = about[end - 8..end].to_vec();
        about.splice(end..end, [6, 0, 4, 0, 2, 0, 0, 0]);
        (self.about)(&mut about);
        let (domain, user) = (utf16(self.domain), utf16(self.user));
        let identity = utf16(&format!("{}{}", self.user.to_uppercase(), self.domain));
        let key = hmac_md5(&Md4::digest(utf16(self.password)), &identity);
        let blob = [&[1, 1, 0, 0, 0, 0, 0, 0], &time[..], &[7; 8], &[0; 4], &about, &[0; 4]].concat();
        let proof = hmac_md5(&key, &[&challenge[24..32], &blob].concat());
        let nt = [&proof[..], &blob].concat();
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        let parts = [self.lm, &nt, &domain, &user, &[], &[]];
        let mut offset = 88;
        for part in parts {
            let length = u16::try_from(part.len()).expect("short").to_le_bytes();
            message.extend([length, length].concat());
            message.extend(u32::try_from(offset).expect("short").to_le_bytes());
            offset += part.len();
        }
        message.extend([5, 0x82, 0x88, 0xa2]);
        message.resize(88, 0);
        message.extend(parts.concat());
        let code = hmac_md5(&hmac_md5(&key, &proof), &[&negotiate(), challenge, &message].concat());
        message[72..88].copy_from_slice(&code);
        (self.message)(&mut message);
        message
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn hmac_md5(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Md5>::new_from_slice(key).expect("a key").chain_update(message).finalize().into_bytes().to_vec()
}

fn server() -> WebhookTarget {
    let server = WebhookTarget::start().expect("a free port");
    server.put("a", "x");
    server.set_domain(Domain::with_account("ann", "pässword"));
    server
}

#[tokio::test]
async fn a_connection_is_let_in_and_stays_so() {
    let server = server();
    for scheme in ["NTLM", "Negotiate"] {
        let mut connection = Connection::to(&server).await;
        assert_eq!(connection.get(None).await, (401, vec!["Negotiate".into(), "NTLM".into()]));
        let challenge = connection.introduce(scheme).await;
        assert_eq!(connection.get(Some(&show(scheme, &ANN.answer(&challenge)))).await, (200, vec![]));
        assert_eq!(connection.get(None).await.0, 200);
    }
    assert_eq!(Connection::to(&server).await.get(None).await.0, 401);
}

#[tokio::test]
async fn names_have_no_case_and_domains_two_names() {
    let server = server();
    for (domain, user) in [
        ("CORP", "ANN"),
        ("corp", "Ann"),
        ("corp.example.com", "ann"),
        ("", "ann"),
        ("", "ann@corp.example.com"),
        ("", "Ann@CORP"),
    ] {
        let login = Login { domain, user, ..ANN };
        assert_eq!(Connection::to(&server).await.log_in(&login).await, 200, "{domain} {user}");
    }
}

#[tokio::test]
async fn a_response_is_good_for_one_connection_and_once() {
    let server = server();
    let (mut first, mut second) = (Connection::to(&server).await, Connection::to(&server).await);
    let challenge = first.introduce("NTLM").await;
    let shown = show("NTLM", &ANN.answer(&challenge));
    assert_eq!(second.get(Some(&shown)).await.0, 401, "it was not asked");
    second.introduce("NTLM").await;
    assert_eq!(second.get(Some(&shown)).await.0, 401, "it was asked something else");
    assert_eq!(first.get(Some(&shown)).await.0, 200);
    assert_eq!(first.get(Some(&shown)).await.0, 401, "once more");
    assert_eq!(first.get(None).await.0, 401, "whoever begins anew is not let in any more");
    assert_ne!(first.introduce("NTLM").await[24..32], challenge[24..32], "no challenge twice");
    assert_eq!(first.get(Some(&shown)).await.0, 401, "the answer to an older challenge");
}

#[tokio::test]
async fn what_is_not_right_is_refused() {
    let server = server();
    for (what, login) in [
        ("another password", Login { password: "password", ..ANN }),
        ("nobody", Login { user: "bob", ..ANN }),
        ("another domain", Login { domain: "OTHER", ..ANN }),
        ("another suffix", Login { domain: "", user: "ann@other.example.com", ..ANN }),
        ("an LM response", Login { lm: &[1; 24], ..ANN }),
        ("less than the server said of itself", Login { about: |about| drop(about.drain(..4)), ..ANN }),
        ("another name of the server", Login { about: |about| about[4] ^= 1, ..ANN }),
        ("a changed integrity code", Login { message: |message| message[72] ^= 1, ..ANN }),
        ("changed flags", Login { message: |message| message[62] ^= 1, ..ANN }),
        ("a response of the first version", Login { message: |message| message[20] = 24, ..ANN }),
        ("half a message", Login { message: |message| message.truncate(100), ..ANN }),
    ] {
        let mut connection = Connection::to(&server).await;
        assert_eq!(connection.log_in(&login).await, 401, "{what}");
        assert_eq!(connection.log_in(&ANN).await, 200, "after {what}");
    }
}

#[tokio::test]
async fn only_what_is_offered_is_understood() {
    let server = server();
    server.set_domain(Domain { schemes: vec!["NTLM".into()], ..Domain::with_account("ann", "pässword") });
    let mut connection = Connection::to(&server).await;
    let offered = (401, vec!["NTLM".into()]);
    for shown in [
        show("Negotiate", &negotiate()),
        show("NTLM", b"NTLMSSP\0\x02\0\0\0"),
        show("NTLM", &negotiate()[..12]),
        "NTLM !".into(),
        "NTLM".into(),
        "Bearer webhook-token".into(),
    ] {
        assert_eq!(connection.get(Some(&shown)).await, offered, "{shown}");
    }
    assert_eq!(connection.log_in(&ANN).await, 200);
    server.set_domain(Domain::with_account("ann", "another"));
    assert_eq!(connection.get(None).await.0, 401, "the account is not what it was");
    server.set_token("t");
    assert_eq!(connection.get(Some("Bearer t")).await.0, 200);
}

#[tokio::test]
async fn it_is_driven_from_outside() {
    let server = WebhookTarget::start().expect("a free port");
    server.put("a", "x");
    let accounts = json!([{ "name": "ann", "password": "pässword" }]);
    let domain = json!({ "name": "CORP", "dnsName": "corp.example.com", "accounts": accounts });
    let request = reqwest::Client::new().put(format!("{}/_fake/domain", server.url())).json(&domain);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    assert_eq!(Connection::to(&server).await.log_in(&ANN).await, 200);
}
