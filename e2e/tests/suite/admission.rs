//! Manifests that cannot work are refused by the API server, in words that say what to do. No operator is involved.

use anyhow::{Result, bail};
use keyferry_e2e::harness::{ControlPlane, Namespace};
use serde_json::{Value, json};

use crate::support::{Manifest, cluster_store, external_secret, secret_store, vault};

async fn namespace(prefix: &str) -> Result<Namespace> {
    Namespace::create(ControlPlane::shared().await?, prefix).await
}

/// Each manifest is refused with a message that holds all of its words.
async fn refuses(namespace: &Namespace, cases: &[(Manifest, &[&str])]) -> Result<()> {
    for (manifest, words) in cases {
        let Err(refusal) = namespace.apply(&manifest.to_string()).await else { bail!("accepted: {manifest}") };
        let message = format!("{refusal:#}");
        let missing: Vec<_> = words.iter().filter(|word| !message.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} not in the refusal of {manifest}: {message}");
    }
    Ok(())
}

fn db() -> Manifest {
    external_secret("db").property("password", "db", "password")
}

fn target(target: Value) -> Manifest {
    db().with("/spec/target", target)
}

#[tokio::test]
async fn external_secrets() -> Result<()> {
    let entry = |secret_key: &str| json!({ "secretKey": secret_key, "remoteRef": { "key": "db" } });
    let remote = |field: &str, value: &str| {
        external_secret("db").add("data", json!({ "secretKey": "a", "remoteRef": { "key": "db", field: value } }))
    };
    let from = |entry: Value| external_secret("db").add("dataFrom", entry);
    let extract = || json!({ "key": "db" });
    let generator = || json!({ "generatorRef": { "kind": "Password", "name": "p" } });
    let cases: &[(Manifest, &[&str])] = &[
        (external_secret("db"), &["spec", "has neither data nor dataFrom", "add an entry"]),
        (db().property("password", "other", "x"), &["spec", "same secretKey", "rename one"]),
        (external_secret("db").add("data", entry("a b")), &["spec.data[0].secretKey", "a b"]),
        (external_secret("db").add("data", entry("")), &["spec.data[0].secretKey"]),
        (external_secret("db").add("data", entry(&"k".repeat(254))), &["spec.data[0].secretKey", "253"]),
        (external_secret("db").add("data", json!({ "secretKey": "a" })), &["spec.data[0].remoteRef", "Required"]),
        (
            external_secret("db").add("data", json!({ "secretKey": "a", "remoteRef": {} })),
            &["remoteRef.key", "Required"],
        ),
        (remote("decodingStrategy", "Base32"), &["decodingStrategy", "Base32", "Base64URL"]),
        (remote("conversionStrategy", "Ascii"), &["conversionStrategy", "Ascii", "Unicode"]),
        (remote("metadataPolicy", "Always"), &["metadataPolicy", "Always", "Fetch"]),
        (remote("nullBytePolicy", "Drop"), &["nullBytePolicy", "Drop", "Ignore"]),
        (from(json!({})), &["spec.dataFrom[0]", "says nothing to fetch", "add extract"]),
        (from(json!({ "extract": extract(), "find": {} })), &["spec.dataFrom[0]", "more than one of extract"]),
        (from(json!({ "extract": extract(), "sourceRef": generator() })), &["spec.dataFrom[0]", "more than one of"]),
        (from(json!({ "sourceRef": {} })), &["spec.dataFrom[0].sourceRef", "exactly one of storeRef and generatorRef"]),
        (from(json!({ "extract": extract(), "rewrite": [{}] })), &["rewrite[0]", "exactly one of regexp"]),
        (target(json!({ "name": "Not A Name" })), &["spec.target.name", "Not A Name"]),
        (target(json!({ "creationPolicy": "Sometimes" })), &["creationPolicy", "Sometimes", "Orphan"]),
        (target(json!({ "deletionPolicy": "Never" })), &["deletionPolicy", "Never", "Retain"]),
        (target(json!({ "creationPolicy": "Merge", "deletionPolicy": "Delete" })), &["deletionPolicy Delete", "Owner"]),
        (target(json!({ "creationPolicy": "None", "deletionPolicy": "Merge" })), &["deletionPolicy Merge", "None"]),
        (target(json!({ "template": { "engineVersion": "v1" } })), &["engineVersion", "v1", "v2"]),
        (
            target(json!({ "template": { "type": "bootstrap.kubernetes.io/token" } })),
            &["spec.target.template", "bootstrap"],
        ),
        (
            target(json!({ "template": {
                "type": "kubernetes.io/service-account-token",
                "metadata": { "annotations": { "kubernetes.io/service-account.name": "admin" } },
            } })),
            &["spec.target.template", "service-account"],
        ),
        (
            target(json!({ "template": { "templateFrom": [{ "target": "Spec", "literal": "a: b" }] } })),
            &["spec.target", "templateFrom", "Annotations or Labels"],
        ),
        (db().every("one hour"), &["spec.refreshInterval", "one hour"]),
        (db().every("1d"), &["spec.refreshInterval", "1d"]),
        (db().with("/spec/refreshPolicy", "Always"), &["spec.refreshPolicy", "Always", "Periodic"]),
        (db().with("/spec/secretStoreRef/kind", "Store"), &["spec.secretStoreRef.kind", "Store", "ClusterSecretStore"]),
        (db().with("/spec/refreshIntervall", "1h"), &["refreshIntervall"]),
    ];
    refuses(&namespace("refused").await?, cases).await
}

#[tokio::test]
async fn stores() -> Result<()> {
    let store = |provider: Value| secret_store("store", provider);
    let vault_with = |pointer: &str, value: Value| store(vault("http://vault", "secret")).with(pointer, value);
    let auth = |auth: Value| vault_with("/spec/provider/vault/auth", auth);
    let akeyless = |auth: Value| {
        store(json!({ "akeyless": { "akeylessGWApiURL": "https://api.akeyless.io", "authSecretRef": auth } }))
    };
    let aws = |more: Value| {
        let mut provider = json!({ "service": "SecretsManager", "region": "eu-west-1" });
        provider.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        store(json!({ "aws": provider }))
    };
    let azure = |more: Value| {
        let mut provider = json!({ "vaultUrl": "https://my-vault.vault.azure.net" });
        provider.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        store(json!({ "azurekv": provider }))
    };
    let cloud = |endpoint: &str| json!({ "activeDirectoryEndpoint": endpoint });
    let key = json!({ "name": "secret", "key": "key" });
    let no_host = json!({ "akeylessGWApiURL": "not a url", "authSecretRef": { "accessID": key, "accessType": key } });
    let path = "/spec/provider/vault";
    let cases: &[(Manifest, &[&str])] = &[
        (store(json!({})), &["spec.provider"]),
        (
            store(json!({ "vault": { "server": "http://vault" }, "fake": { "data": [] } })),
            &["spec.provider", "exactly one"],
        ),
        (store(json!({ "vault": {} })), &["spec.provider.vault.server", "Required"]),
        (vault_with(&format!("{path}/version"), json!("v3")), &["vault.version", "v3", "v2"]),
        (vault_with(&format!("{path}/tls"), json!({ "certSecretRef": key })), &["vault.tls", "keySecretRef"]),
        (
            vault_with(&format!("{path}/checkAndSet"), json!({ "required": true }))
                .with(&format!("{path}/version"), "v1"),
            &["vault", "checkAndSet", "v2"],
        ),
        (auth(json!({ "appRole": { "path": "approle", "secretRef": key } })), &["appRole", "roleId", "roleRef"]),
        (auth(json!({ "jwt": { "path": "jwt" } })), &["jwt", "secretRef", "kubernetesServiceAccountToken"]),
        (auth(json!({ "tokenSecretRef": { "name": "No Name", "key": "key" } })), &["tokenSecretRef.name", "No Name"]),
        (auth(json!({ "tokenSecretRef": { "name": "name", "key": "a/b" } })), &["tokenSecretRef.key", "a/b"]),
        (store(json!({ "akeyless": no_host })), &["akeyless.akeylessGWApiURL"]),
        (akeyless(json!({})), &["akeyless.authSecretRef", "accessID"]),
        (akeyless(json!({ "accessID": { "name": "only" } })), &["akeyless.authSecretRef", "accessID"]),
        (akeyless(json!({ "kubernetesAuth": { "accessID": "", "k8sConfName": "c" } })), &["kubernetesAuth.accessID"]),
        (aws(json!({ "region": "Europe" })), &["aws.region"]),
        (aws(json!({ "service": "SecretManager" })), &["aws.service", "SecretsManager"]),
        (aws(json!({ "customSessionTags": { "esoNamespace": "x" } })), &["aws.customSessionTags", "esoNamespace"]),
        (aws(json!({ "secretsManager": { "recoveryWindowInDays": 3 } })), &["recoveryWindowInDays", "7"]),
        (
            aws(json!({ "secretsManager": { "recoveryWindowInDays": 7, "forceDeleteWithoutRecovery": true } })),
            &["aws.secretsManager", "forceDeleteWithoutRecovery"],
        ),
        (store(json!({ "azurekv": {} })), &["azurekv.vaultUrl", "Required"]),
        (azure(json!({ "authType": "Password" })), &["azurekv.authType", "Password", "ServicePrincipal"]),
        (azure(json!({ "environmentType": "MoonCloud" })), &["azurekv.environmentType", "MoonCloud", "PublicCloud"]),
        (
            azure(json!({ "environmentType": "AzureStackCloud" })),
            &["azurekv", "AzureStackCloud", "add customCloudConfig"],
        ),
        (azure(json!({ "customCloudConfig": cloud("https://login") })), &["azurekv", "set useAzureSDK to true"]),
        (
            azure(json!({ "useAzureSDK": true, "customCloudConfig": cloud("") })),
            &["azurekv.customCloudConfig.activeDirectoryEndpoint"],
        ),
        (azure(json!({ "useAzureSDK": true, "customCloudConfig": {} })), &["activeDirectoryEndpoint", "Required"]),
        (store(json!({ "fake": { "data": [{ "key": "", "value": "x" }] } })), &["fake.data[0].key"]),
        (
            store(
                json!({ "kubernetes": { "auth": { "token": { "bearerToken": key }, "serviceAccount": { "name": "a" } } } }),
            ),
            &["kubernetes.auth", "exactly one"],
        ),
        (vault_with("/spec/refreshInterval", json!("soon")), &["spec.refreshInterval"]),
        (vault_with("/spec/refreshInterval", json!(-1)), &["spec.refreshInterval"]),
        (vault_with(&format!("{path}/sever"), json!("http://vault")), &["sever"]),
    ];
    refuses(&namespace("refused-store").await?, cases).await
}

#[tokio::test]
async fn cluster_stores() -> Result<()> {
    let namespace = namespace("refused-css").await?;
    let store = || cluster_store(namespace.name(), namespace.name(), vault("http://vault", "secret"));
    let ca = json!({ "type": "ConfigMap", "name": "ca", "key": "ca.crt" });
    let cases: &[(Manifest, &[&str])] = &[
        (store().with("/spec/provider/vault/caProvider", ca), &["caProvider", "namespace"]),
        (
            store().with("/spec/conditions", json!([{ "namespaces": ["Not A Namespace"] }])),
            &["conditions[0].namespaces[0]"],
        ),
    ];
    refuses(&namespace, cases).await
}

/// Both versions have one schema: nothing that an old manifest says is lost, and nothing is added to it.
#[tokio::test]
async fn both_versions_are_served() -> Result<()> {
    let namespace = namespace("versions").await?;
    let spec = json!({
        "refreshInterval": "1h",
        "secretStoreRef": { "name": "vault", "kind": "SecretStore" },
        "target": { "name": "t", "creationPolicy": "Owner", "deletionPolicy": "Retain" },
        "data": [{ "secretKey": "a", "remoteRef": { "key": "b", "nullBytePolicy": "Fail" } }],
        "dataFrom": [{ "extract": { "key": "c" }, "rewrite": [{ "merge": {} }] }],
    });
    for version in ["v1beta1", "v1"] {
        let manifest = external_secret(version)
            .with("/apiVersion", format!("external-secrets.io/{version}"))
            .with("/spec", spec.clone());
        namespace.apply(&manifest.to_string()).await?;
        let stored = namespace.objects("ExternalSecret").await?.get(version).await?;
        assert_eq!(stored.data["spec"], spec, "{version}");
    }
    Ok(())
}
