//! Reading objects of all kinds.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_azure::Azure;
use keyferry_core::{ErrorKind, Parts, Provider, SecretBytes};
use keyferry_fakes::azure::{Content, Kind, Object};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixtures::{Heard, at, cloud, config, fetch_one, metadata, refused, store, text, value, version};

#[tokio::test]
async fn the_type_before_the_name_chooses_the_kind() {
    let cloud = cloud();
    let der = [0x30, 0x00, 0xff, 0xfe];
    let key =
        json!({"kty": "RSA", "key_ops": ["verify"], "n": "AQAB-_8", "e": "AQAB", "extra": 9_007_199_254_740_993_u64});
    let Value::Object(key) = key else { unreachable!("an object") };
    cloud.put(Object::secret("a", "the secret"));
    cloud.put(Object::new("a", Content::Certificate(STANDARD.encode(der))));
    let of_key = cloud.put(Object::new("a", Content::Key(key)));
    let store = store(config(cloud.url()));
    assert_eq!(value(&store, "a").await, "the secret");
    assert_eq!(value(&store, "secret/a/ignored").await, "the secret");
    assert_eq!(fetch_one(&store, at("cert/a")).await.unwrap().value, SecretBytes::new(der));
    let fetched = fetch_one(&store, at("key/a")).await;
    let expected = format!(
        r#"{{"e":"AQAB","extra":9007199254740993,"key_ops":["verify"],"kid":"{}/keys/a/{of_key}","kty":"RSA","n":"AQAB-_8"}}"#,
        cloud.url()
    );
    assert_eq!(text(&fetched), expected);
    assert_eq!(fetched.unwrap().version.as_ref().unwrap().as_str(), of_key);
}

#[tokio::test]
async fn every_kind_has_versions() {
    let cloud = cloud();
    let key = |kid: &str| Content::Key(serde_json::Map::from_iter([("kty".to_owned(), json!(kid))]));
    let old = [
        cloud.put(Object::secret("a", "1")),
        cloud.put(Object::new("a", Content::Certificate("MQ==".into()))),
        cloud.put(Object::new("a", key("1"))),
    ];
    cloud.put(Object::secret("a", "2"));
    cloud.put(Object::new("a", Content::Certificate("Mg==".into())));
    cloud.put(Object::new("a", key("2")));
    let store = store(config(cloud.url()));
    for (name, old) in ["secret/a", "cert/a", "key/a"].into_iter().zip(old) {
        let (first, newest) = (fetch_one(&store, version(name, &old)).await, value(&store, name).await);
        assert!(text(&first).contains('1') && newest.contains('2'), "{name}");
        assert_eq!(first.unwrap().version.as_ref().unwrap().as_str(), old);
    }
}

#[tokio::test]
async fn metadata_are_tags_and_times() {
    let cloud = cloud();
    let object = Object {
        expires: Some(1_893_456_000),
        not_before: Some(946_684_800),
        ..Object::secret("a", "s3cr3t").tagged(&[("team", "red"), ("json", r#"{"b":1}"#)])
    };
    cloud.put(object);
    let mut settings = config(cloud.url());
    let answer = text(&fetch_one(&store(settings.clone()), metadata("a")).await);
    let found: serde_json::Map<String, Value> = serde_json::from_str(&answer).unwrap();
    let keys: Vec<_> = found.keys().map(String::as_str).collect();
    let times = ["attribute.created", "attribute.expires", "attribute.notBefore", "attribute.updated"];
    assert_eq!(keys, [&times[..], &["json", "team"]].concat());
    assert_eq!(found["attribute.expires"], "2030-01-01T00:00:00Z");
    assert_eq!(found["attribute.notBefore"], "2000-01-01T00:00:00Z");
    assert_eq!((&found["team"], &found["json"]), (&"red".into(), &r#"{"b":1}"#.into()));
    cloud.put(Object::secret("b", "s3cr3t").tagged(&[("attribute.created", "never")]));
    let answer = text(&fetch_one(&store(settings.clone()), metadata("b")).await);
    assert!(answer.contains("attribute.created") && !answer.contains("never"), "{answer}");
    settings.use_azure_sdk = true;
    let tags = text(&fetch_one(&store(settings), metadata("a")).await);
    assert_eq!(tags, r#"{"json":"{\"b\":1}","team":"red"}"#);
}

#[tokio::test]
async fn certificates_and_keys_have_metadata_too() {
    let cloud = cloud();
    cloud.put(Object::new("a", Content::Certificate("MQ==".into())).tagged(&[("team", "red")]));
    cloud.put(Object::new("a", Content::Key(serde_json::Map::new())).tagged(&[("team", "blue")]));
    let store = store(config(cloud.url()));
    assert!(text(&fetch_one(&store, metadata("cert/a")).await).contains(r#""team":"red""#));
    assert!(text(&fetch_one(&store, metadata("key/a")).await).contains(r#""team":"blue""#));
}

#[tokio::test]
async fn what_can_be_taken_out_of_an_answer_depends_on_the_kind() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "x"));
    cloud.put(Object::new("a", Content::Certificate("MQ==".into())));
    cloud.put(Object::new("a", Content::Key(serde_json::Map::new())));
    let store = store(config(cloud.url()));
    for (locator, parts) in [
        (at("a"), Parts::Members),
        (metadata("secret/a"), Parts::Tags("a".into())),
        (at("cert/a"), Parts::Whole),
        (metadata("cert/a"), Parts::Properties),
        (at("key/a"), Parts::Properties),
    ] {
        assert_eq!(fetch_one(&store, locator).await.unwrap().parts, parts);
    }
}

#[tokio::test]
async fn each_kind_can_be_missing_and_is_named() {
    let cloud = cloud();
    let store = store(config(cloud.url()));
    for (key, expected) in
        [("a", "there is no secret a"), ("cert/a", "there is no certificate a"), ("key/a", "there is no key a")]
    {
        let error = refused(&store, key).await;
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, expected));
        assert_eq!(error.request_id.as_deref(), Some("00000000-0000-0000-0000-000000000003"));
    }
}

#[tokio::test]
async fn a_deleted_secret_is_missing_and_a_disabled_one_is_not() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "s3cr3t"));
    cloud.delete(Kind::Secret, "a");
    cloud.put(Object::secret("b", "s3cr3t").disabled());
    let store = store(config(cloud.url()));
    assert_eq!(refused(&store, "a").await.kind, ErrorKind::NotFound);
    let error = refused(&store, "b").await;
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert_eq!(error.message, "the secret b is disabled; enable it in the vault");
}

#[tokio::test]
async fn a_key_or_version_that_cannot_be_costs_no_call() {
    let cloud = cloud();
    let store = store(config(cloud.url()));
    for (locator, expected) in [
        (
            at("secrets/a"),
            "key \"secrets/a\": unknown Azure Keyvault object Type; write secret/NAME, cert/NAME, key/NAME or NAME",
        ),
        (version("a", "0f?b"), "version \"0f?b\" of \"a\": is not a version of Key Vault, which are 32 hex digits"),
    ] {
        let error = fetch_one(&store, locator).await.expect_err("no value");
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, expected));
    }
    assert!(cloud.counts().all().is_empty());
}

#[tokio::test]
async fn a_version_that_is_not_there_is_missing() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "x"));
    let absent = "00000000000000000000000000000000";
    let error = fetch_one(&store(config(cloud.url())), version("a", absent)).await.expect_err("no value");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(error.message, format!("there is no version {absent} of the secret a"));
}

#[tokio::test]
async fn every_request_is_heard_of_and_reads_run_side_by_side() {
    let cloud = cloud();
    let names: Vec<_> = (0..64).map(|number| format!("s-{number}")).collect();
    for name in &names {
        cloud.put(Object::secret(name, name));
    }
    let heard = Arc::new(Heard::default());
    let store = Azure::new(config(cloud.url()), Arc::clone(&heard) as _).unwrap();
    let locators: Vec<_> = names.iter().map(|name| at(name)).chain([at("missing")]).collect();
    let answers = store.fetch(&locators, Instant::now()).await;
    let found: Vec<_> = answers[..64].iter().map(text).collect();
    assert_eq!(found, names);
    let calls = heard.calls();
    assert_eq!(calls.iter().filter(|call| **call == ("Login", true)).count(), 1);
    assert_eq!(calls.iter().filter(|call| **call == ("GetSecret", true)).count(), 64);
    assert_eq!(calls.iter().filter(|call| **call == ("GetSecret", false)).count(), 1);
    assert_eq!(calls.len(), 66);
}

/// Gives out tokens, and answers everything else like this.
pub(crate) async fn scripted(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::answering(move |request| {
        if request.path.ends_with("/oauth2/v2.0/token") {
            Reply::json(200, &json!({"access_token": "t0k3n", "expires_in": 3600, "token_type": "Bearer"}))
        } else {
            reply()
        }
    })
    .await
}

#[tokio::test]
async fn requests_are_what_key_vault_expects() {
    let server =
        scripted(|| Reply::json(200, &json!({"value": "x", "id": "https://v.vault.azure.net/secrets/a/0f"}))).await;
    let store = store(config(&server.url()));
    fetch_one(&store, version("a", "0f")).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "no request without a token goes before");
    assert_eq!(requests[1].line(), "GET /secrets/a/0f?api-version=7.0");
    assert_eq!(requests[1].header("authorization"), "Bearer t0k3n");
}

#[tokio::test]
async fn answers_of_another_form_are_malformed_and_never_shown() {
    for (key, body) in [
        ("a", json!({"id": "hunter2"})),
        ("a", json!({"value": null, "id": "hunter2"})),
        ("a", json!({"value": 7, "id": "hunter2"})),
        ("a", json!(["hunter2"])),
        ("cert/a", json!({"id": "hunter2"})),
        ("cert/a", json!({"cer": "hunter2!"})),
        ("key/a", json!({"kid": "hunter2"})),
        ("key/a", json!({"key": "hunter2"})),
    ] {
        let server = scripted(move || Reply::json(200, &body)).await;
        let error = refused(&store(config(&server.url())), key).await;
        assert_eq!(error.kind, ErrorKind::Malformed, "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
