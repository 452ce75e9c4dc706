//! No value ever leaves its path: unique values are planted wherever the operator meets one, then everything that it
//! says is searched for them in every form that an encoder would give them.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, Fault, Relay};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::{Manifest, Tenant, credential, external_secret, secret_store, vault, vault_at};

/// A value that stands nowhere else; the space and the plus tell encodings apart.
fn canary(place: &str) -> String {
    format!("canary {place}+{:016x}", u64::from(std::process::id()) ^ 0x5bd1_e995_0000_0000)
}

/// Fails if `text` holds a canary in any form. `whence` says what the text is.
fn assert_clean(whence: &str, text: &str, canaries: &[String]) {
    for canary in canaries {
        for (form, encoded) in forms(canary) {
            assert!(!text.contains(&encoded), "{whence} holds a value ({canary}) in {form}:\n{text}");
        }
    }
}

/// The value and what common encoders make of it.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let hex = hexadecimal(value);
    let mut forms = vec![
        ("plain text", value.to_owned()),
        ("hexadecimal", hex.to_uppercase()),
        ("hexadecimal", hex),
        ("a URL", percent_encoded(value, "%20")),
        ("a form", percent_encoded(value, "+")),
        ("a list of bytes", format!("{:?}", value.as_bytes()).trim_matches(['[', ']']).to_owned()),
    ];
    // Three alignments: what stands around the value shifts its bits. The ends depend on the neighbours.
    for shift in 0..3 {
        let whole = base64(&[&vec![0; shift], value.as_bytes()].concat());
        let middle = whole[if shift == 0 { 0 } else { 4 }..whole.len() - 4].to_owned();
        forms.push(("base64", middle.replace('+', "-").replace('/', "_")));
        forms.push(("base64", middle));
    }
    forms
}

fn hexadecimal(value: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// As the API server writes bytes: the one base64 encoder that these tests have anyway.
fn base64(bytes: &[u8]) -> String {
    let text = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec()));
    text.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

fn percent_encoded(value: &str, space: &str) -> String {
    let encode = |byte: u8| match byte {
        b' ' => space.to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

#[tokio::test]
async fn nothing_that_the_operator_says_holds_a_value() -> Result<()> {
    let (tenant, bao) = (Tenant::create("leaks").await?, Bao::shared().await?);
    let (value, text, bytes, password, secret_id, body) =
        (canary("value"), canary("text"), canary("bytes"), canary("password"), canary("id"), canary("body"));
    let broken_json = format!("{{\"a\": \"{text}");
    let secret =
        json!({ "value": value, "broken": broken_json, "bytes": format!("{bytes}\u{0}"), "a/b": value, "a b": text });
    tenant.kv.put("db", &secret).await?;
    let relay = Relay::to(bao.url()).await?;
    let mut operator = tenant.operator().start().await?;

    // What works.
    tenant.apply(&external_secret("works").every("1s").property("value", "db", "value").key("all", "db")).await?;
    tenant.synced("works").await?;
    // Values that do not fit what the manifest asks of them.
    for (name, manifest) in misfits() {
        tenant.apply(&manifest).await?;
        tenant.fails(name, &[]).await?;
    }
    // Logins that are refused: the credential must not be told either.
    tenant.apply(&credential("wrong", &[("token", &password), ("secret-id", &secret_id)])).await?;
    let token = json!({ "tokenSecretRef": { "name": "wrong", "key": "token" } });
    bao.enable_auth(tenant.name(), "approle").await?;
    let app_role = json!({
        "appRole": { "path": tenant.name(), "roleId": "nobody", "secretRef": { "name": "wrong", "key": "secret-id" } },
    });
    for (name, auth) in [("wrong-token", token), ("wrong-role", app_role)] {
        tenant.apply(&secret_store(name, vault_at(bao.url(), tenant.name(), auth))).await?;
        tenant.store_fails(name, &[]).await?;
    }
    // Answers that cannot be read: the body may be the secret.
    tenant.apply(&secret_store("relayed", vault(relay.url(), tenant.name()))).await?;
    let relayed = external_secret("relayed").store("relayed").every("1s").property("value", "db", "value");
    tenant.apply(&relayed).await?;
    tenant.synced("relayed").await?;
    let half: &'static str = Box::leak(format!("{{\"data\": {{\"data\": {{\"password\": \"{body}").into_boxed_str());
    for status in [200, 400, 403, 500] {
        relay.fail(Fault::Answer { status, headers: &["Content-Type: application/json"], body: half });
        tenant.fails("relayed", &[]).await?;
        relay.recover();
        tenant.synced("relayed").await?;
    }
    tenant.tells("ExternalSecret", "relayed", "UpdateFailed", "").await?;
    tenant.fence("fence", "vault").await?;
    let metrics = operator.metrics().await?;
    operator.terminate().await?;

    let canaries = [value, text, bytes, password, secret_id, body];
    assert_clean("the log", &operator.log()?, &canaries);
    assert_clean("a metric", metrics.text(), &canaries);
    assert_clean("an event", &json!(tenant.events().await?).to_string(), &canaries);
    for kind in ["ExternalSecret", "SecretStore"] {
        let objects = tenant.namespace.objects(kind).await?.list(&ListParams::default()).await?;
        let objects: Vec<Value> = objects.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        assert_clean(kind, &json!(objects).to_string(), &canaries);
    }
    Ok(())
}

/// ExternalSecrets that fail because of what the value is.
fn misfits() -> Vec<(&'static str, Manifest)> {
    let with = |name, remote: Value| {
        (name, external_secret(name).add("data", json!({ "secretKey": "key", "remoteRef": remote })))
    };
    let map = json!({ "extract": { "key": "db", "property": "broken" } });
    vec![
        with("path-in-text", json!({ "key": "db", "property": "value.a" })),
        with("path-in-broken", json!({ "key": "db", "property": "broken.a" })),
        with("undecodable", json!({ "key": "db", "property": "value", "decodingStrategy": "Base64" })),
        with("null-byte", json!({ "key": "db", "property": "bytes", "nullBytePolicy": "Fail" })),
        ("no-map", external_secret("no-map").add("dataFrom", map)),
        ("collision", external_secret("collision").extract("db")),
    ]
}

/// The search itself must be able to find something.
#[test]
fn every_form_of_a_value_is_found() {
    let value = canary("self-test");
    let hidden = [
        format!("x{value}y"),
        base64(format!("x{value}yz").as_bytes()),
        base64(format!("xy{value}").as_bytes()),
        hexadecimal(&value),
        format!("https://host/?q={}", percent_encoded(&value, "%20")),
        format!("{:?}", value.as_bytes()),
    ];
    for text in hidden {
        let found = forms(&value).iter().any(|(_, form)| text.contains(form));
        assert!(found, "not found in {text}");
    }
}
