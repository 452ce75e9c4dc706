//! Signature Version 4 computed once more, from AWS's description, to check the signatures of our requests with. It is
//! itself checked with a vector of AWS's published test suite.

use hmac::{Hmac, KeyInit, Mac};
use keyferry_aws::Service;
use keyferry_testkit::Request;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fixtures::{KEY, SECRET, World, caller, latest, ok};

/// The signature of a request without a query, whose path needs no encoding.
pub(crate) fn signature(secret: &str, scope: &str, request: &Request, signed: &str) -> String {
    let time = request.header("x-amz-date");
    let headers: Vec<_> = signed.split(';').map(|name| format!("{name}:{}", request.header(name).trim())).collect();
    let body = hex(&Sha256::digest(&request.body));
    let canonical =
        format!("{}\n{}\n{}\n{}\n\n{signed}\n{body}", request.method, request.path, request.query, headers.join("\n"));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    hex(&hmac(&key, &text))
}

/// Asserts that a request is signed with these credentials, for this service.
pub(crate) fn assert_signed(request: &Request, key: &str, secret: &str, region: &str, service: &str) {
    let authorization = request.header("authorization");
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").expect("a signature").split(", ");
    let part = |name: &str| {
        let value = parts.clone().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in {authorization}")).to_owned()
    };
    let date = &request.header("x-amz-date")[..8];
    let scope = format!("{date}/{region}/{service}/aws4_request");
    assert_eq!(part("Credential"), format!("{key}/{scope}"));
    let signed = part("SignedHeaders");
    for name in ["host", "x-amz-date"] {
        assert!(signed.split(';').any(|header| header == name), "{name} is not signed: {signed}");
    }
    assert_eq!(part("Signature"), signature(secret, &scope, request, &signed));
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn the_published_vector_holds() {
    // `post-vanilla` of AWS's suite.
    let mut headers = http::HeaderMap::new();
    headers.insert("host", "example.amazonaws.com".parse().expect("a header"));
    headers.insert("x-amz-date", "20150830T123600Z".parse().expect("a header"));
    let request = Request { method: "POST".into(), path: "/".into(), query: String::new(), headers, body: Vec::new() };
    let made = signature(SECRET, "20150830/us-east-1/service/aws4_request", &request, "host;x-amz-date");
    assert_eq!(made, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

#[tokio::test]
async fn each_service_s_requests_are_signed_for_it() {
    let answer = |operation: &str, _: &Request| match operation {
        "GetCallerIdentity" => caller(),
        "GetParameter" => ok(&json!({"Parameter": {"Name": "a", "Value": "v", "Version": 1}})),
        _ => ok(&json!({"ARN": "arn:a", "Name": "a", "SecretString": "v", "VersionId": "1"})),
    };
    for (service, operation, signed_for) in [
        (Service::SecretsManager, "GetSecretValue", "secretsmanager"),
        (Service::ParameterStore, "GetParameter", "ssm"),
    ] {
        let world = World::new(service, answer).await;
        world.fetch_one(latest("a")).await.expect("a value");
        keyferry_core::Provider::check(&world.aws).await.expect("a login");
        assert_signed(&world.sent(operation)[0], KEY, SECRET, "eu-west-1", signed_for);
        assert_signed(&world.sent("GetCallerIdentity")[0], KEY, SECRET, "eu-west-1", "sts");
    }
}
