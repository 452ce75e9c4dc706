//! From a remote value to the bytes of a key: paths, decoding, key conversion.

use anyhow::{Context, Result};
use keyferry_e2e::harness::Operator;
use serde_json::{Value, json};

use crate::support::{Tenant, external_secret, secret_store};

/// A team with one remote secret and a running operator.
async fn tenant(prefix: &str, secret: Value) -> Result<(Tenant<'static>, Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("doc", &secret).await?;
    let operator = tenant.operator().start().await?;
    Ok((tenant, operator))
}

#[tokio::test]
async fn paths_are_those_of_gjson() -> Result<()> {
    let document = json!({
        "plain": "text", "with.dot": "dotted", "nested": { "deep": { "er": "found" } }, "big": 9_007_199_254_740_991_u64,
        "list": [{ "name": "a", "port": 1 }, { "name": "b", "port": 2 }], "yes": true, "none": null, "empty": "",
        "unicode": "grün ✓",
    });
    let (tenant, _operator) = tenant("gjson", document).await?;
    let expected = [
        ("big", "big", "9007199254740991"),
        ("count", "list.#", "2"),
        ("dotted", "with.dot", "dotted"),
        ("empty", "empty", ""),
        ("escaped", r"with\.dot", "dotted"),
        ("filtered", r#"list.#(name=="b").port"#, "2"),
        ("index", "list.0.name", "a"),
        ("names", "list.#.name", r#"["a","b"]"#),
        ("nested", "nested.deep.er", "found"),
        ("none", "none", ""),
        ("object", "nested.deep", r#"{"er":"found"}"#),
        ("plain", "plain", "text"),
        ("unicode", "unicode", "grün ✓"),
        ("wildcard", "ne*.deep.er", "found"),
        ("yes", "yes", "true"),
    ];
    let manifest = expected
        .iter()
        .fold(external_secret("doc"), |manifest, (key, property, _)| manifest.property(key, "doc", property));

    tenant.apply(&manifest).await?;

    let values: Vec<_> = expected.iter().map(|(key, _, value)| (*key, *value)).collect();
    tenant.holds("doc", &values).await?;
    Ok(())
}

#[tokio::test]
async fn values_are_decoded_where_the_manifest_says_so() -> Result<()> {
    let secret = json!({ "std": "/+8AAQ==", "url": "_-8AAQ==", "text": "not base64!" });
    let (tenant, _operator) = tenant("decoding", secret).await?;
    let entry = |secret_key: &str, property: &str, strategy: &str| {
        let remote = json!({ "key": "doc", "property": property, "decodingStrategy": strategy });
        json!({ "secretKey": secret_key, "remoteRef": remote })
    };
    let manifest = external_secret("doc")
        .add("data", entry("std", "std", "Base64"))
        .add("data", entry("url", "url", "Base64URL"))
        .add("data", entry("auto-std", "std", "Auto"))
        .add("data", entry("auto-url", "url", "Auto"))
        .add("data", entry("auto-text", "text", "Auto"))
        .add("data", entry("none", "std", "None"));

    tenant.apply(&manifest).await?;

    let data = tenant.synced("doc").await?.data.context("the target is empty")?;
    for key in ["std", "url", "auto-std", "auto-url"] {
        assert_eq!(data[key].0, [0xff, 0xef, 0, 1], "{key}");
    }
    assert_eq!((&*data["auto-text"].0, &*data["none"].0), (&b"not base64!"[..], &b"/+8AAQ=="[..]));
    Ok(())
}

#[tokio::test]
async fn keys_that_a_secret_cannot_have_are_converted() -> Result<()> {
    let (tenant, _operator) = tenant("conversion", json!({ "a/b c": "1", "plain.key-x_y": "2" })).await?;
    let unicode = json!({ "extract": { "key": "doc", "conversionStrategy": "Unicode" } });
    tenant.apply(&external_secret("default").extract("doc")).await?;
    tenant.apply(&external_secret("unicode").add("dataFrom", unicode)).await?;

    tenant.holds("default", &[("a_b_c", "1"), ("plain.key-x_y", "2")]).await?;
    tenant.holds("unicode", &[("a_U002f_b_U0020_c", "1"), ("plain.key-x_y", "2")]).await?;
    Ok(())
}

#[tokio::test]
async fn later_entries_win_and_single_keys_win_over_maps() -> Result<()> {
    let (tenant, _operator) = tenant("order", json!({ "a": "doc", "b": "doc", "c": "doc" })).await?;
    tenant.kv.put("other", &json!({ "b": "other", "c": "other" })).await?;

    tenant.apply(&external_secret("doc").extract("doc").extract("other").property("c", "doc", "a")).await?;

    tenant.holds("doc", &[("a", "doc"), ("b", "other"), ("c", "doc")]).await?;
    Ok(())
}

#[tokio::test]
async fn an_entry_may_read_from_another_store() -> Result<()> {
    let (tenant, _operator) = tenant("stores", json!({ "a": "from vault" })).await?;
    let data = json!([{ "key": "/b", "value": "from elsewhere" }, { "key": "/c", "value": "{\"c\": \"map\"}" }]);
    tenant.apply(&secret_store("elsewhere", json!({ "fake": { "data": data } }))).await?;
    let elsewhere = || json!({ "storeRef": { "name": "elsewhere", "kind": "SecretStore" } });
    let b = json!({ "secretKey": "b", "remoteRef": { "key": "/b" }, "sourceRef": elsewhere() });
    let c = json!({ "extract": { "key": "/c" }, "sourceRef": elsewhere() });

    tenant.apply(&external_secret("doc").property("a", "doc", "a").add("data", b).add("dataFrom", c)).await?;

    tenant.holds("doc", &[("a", "from vault"), ("b", "from elsewhere"), ("c", "map")]).await?;
    Ok(())
}

/// Each of these must be refused as a whole: a Secret that holds half of what was asked for is worse than none.
#[tokio::test]
async fn what_cannot_be_had_is_named() -> Result<()> {
    let secret =
        json!({ "text": "not base64!", "a/b": "1", "a b": "2", "null-byte": "a\u{0}b", "nested": { "x": "y" } });
    let (tenant, _operator) = tenant("refused", secret).await?;
    let entry = |more: Value| {
        let mut remote = json!({ "key": "doc" });
        remote.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "secretKey": "key", "remoteRef": remote })
    };
    let of_data = [
        ("missing", json!({ "property": "missing" }), ["PropertyNotFound", "spec.data[0]", "missing"]),
        ("deep", json!({ "property": "nested.y" }), ["PropertyNotFound", "doc", "nested.y"]),
        ("of-text", json!({ "property": "text.x" }), ["PropertyNotFound", "doc", "text.x"]),
        ("malformed", json!({ "property": "nested.#(x==" }), ["PropertyNotFound", "doc", "nested.#(x=="]),
        (
            "undecodable",
            json!({ "property": "text", "decodingStrategy": "Base64" }),
            ["InvalidValue", "doc", "decodingStrategy"],
        ),
        (
            "null-byte",
            json!({ "property": "null-byte", "nullBytePolicy": "Fail" }),
            ["InvalidValue", "doc", "nullBytePolicy"],
        ),
    ];
    for (name, remote, parts) in of_data {
        tenant.apply(&external_secret(name).add("data", entry(remote))).await?;
        let message = tenant.fails(name, &parts).await?;
        assert!(!message.contains("not base64!"), "{message}");
    }
    tenant.apply(&external_secret("collision").extract("doc")).await?;
    tenant.fails("collision", &["InvalidKey", "a_b", "conversionStrategy"]).await?;

    for name in ["missing", "deep", "of-text", "malformed", "undecodable", "null-byte", "collision"] {
        assert!(tenant.namespace.secrets().get_opt(name).await?.is_none(), "{name} was written");
    }
    Ok(())
}
