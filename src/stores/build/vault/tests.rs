//! What a store says that cannot work, and what it reads.

use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::stores::{
    build::fixtures::{Cluster, key, secret},
    scope::Scope,
};

const NAMESPACED: Scope<'_> = Scope::Namespace("team");
const NOBODY: Scope<'_> = Scope::Cluster { consumer: None };

/// Secrets and a ServiceAccount of the namespace `team`.
async fn cluster() -> Cluster {
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    Cluster::holding([
        secret("login", &[("token", "hunter2"), ("empty", " \n"), ("lines", "hunter2\nhunter3")]),
        secret("client", &[("tls.crt", certificate), ("tls.key", "hunter2"), ("other", "hunter2")]),
        ("/api/v1/namespaces/team/serviceaccounts/reader".into(), json!({ "metadata": { "name": "reader" } })),
    ])
    .await
}

fn vault(more: &Value) -> Value {
    let mut vault = json!({ "server": "https://vault.example", "path": "kv" });
    vault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "vault": vault })
}

fn auth(auth: &Value) -> Value {
    vault(&json!({ "auth": auth }))
}

/// A SecretStore of the team is refused in these words.
async fn assert_refused(cluster: &Cluster, provider: Value, told: &str) {
    let refusal = cluster.refusal(NAMESPACED, &provider).await;
    assert!(refusal.starts_with(told), "{refusal}\nis not\n{told}");
    assert!(!refusal.contains("hunter"), "{refusal}");
}

/// A method is refused in these words: `Cause: field …`, where the field stands below `auth`.
async fn assert_all_refused(cases: impl IntoIterator<Item = (Value, &str, &str)>) {
    let cluster = cluster().await;
    for (spec, cause, told) in cases {
        assert_refused(&cluster, auth(&spec), &format!("{cause}: spec.provider.vault.auth.{told}")).await;
    }
}

const INVALID: &str = "InvalidConfiguration";
const MISSING: &str = "MissingCredential";

#[tokio::test]
async fn settings_that_cannot_work_are_named_with_their_remedy() {
    let cluster = cluster().await;
    let not_a_certificate = json!({ "certSecretRef": key("client", "other"), "keySecretRef": { "name": "client" } });
    for (spec, told) in [
        (json!({ "server": "" }), ": server: is not a URL with a host; write it like https://host:port"),
        (json!({ "server": "vault:8200" }), ": server: must begin with https:// or http://"),
        (json!({ "server": "https://me:hunter2@vault" }), ": server: must not hold a user name or password"),
        (json!({ "namespace": "a\nb" }), ": namespace: the name has a line break"),
        (
            json!({ "auth": { "namespace": "a\nb", "tokenSecretRef": key("login", "token") } }),
            ": auth.namespace: the name",
        ),
        (json!({ "headers": { "X Y": "hunter2" } }), ": headers: \"X Y\" is not a name of an HTTP header; correct it"),
        (json!({ "headers": { "Content-Length": "2" } }), ": headers: Content-Length is about the connection"),
        (json!({ "caBundle": "aHVudGVyMg==" }), ": caBundle or caProvider: holds no certificate; give PEM"),
        (
            json!({ "tls": not_a_certificate }),
            ": tls: the client certificate is not in PEM form; correct what it names",
        ),
        (json!({ "auth": {} }), ".vault.auth names no way to log in; name one, or remove auth where an agent logs in"),
    ] {
        assert_refused(&cluster, vault(&spec), &format!("{INVALID}: spec.provider{told}")).await;
    }
    for key in ["empty", "lines"] {
        let told = format!("{INVALID}: spec.provider: auth.tokenSecretRef: the token in the Secret ");
        assert_refused(&cluster, auth(&json!({ "tokenSecretRef": self::key("login", key) })), &told).await;
    }
    let certificate = json!({ "clientCert": { "name": "client" }, "secretRef": key("client", "other") });
    let told =
        format!("{INVALID}: spec.provider: auth.cert: the client certificate's key is not a private key in PEM form");
    assert_refused(&cluster, auth(&json!({ "cert": certificate })), &told).await;
}

#[tokio::test]
async fn references_that_cannot_be_followed_are_named_with_their_remedy() {
    let elsewhere = json!({ "name": "login", "key": "token", "namespace": "other" });
    let foreign_account = json!({ "name": "reader", "namespace": "other" });
    let gone = json!({ "serviceAccountRef": { "name": "gone" } });
    assert_all_refused([
        (json!({ "tokenSecretRef": {} }), INVALID, "tokenSecretRef has no `key`; name a key of the Secret"),
        (json!({ "tokenSecretRef": { "key": "token" } }), INVALID, "tokenSecretRef has no `name`; set it"),
        (
            json!({ "tokenSecretRef": elsewhere }),
            INVALID,
            "tokenSecretRef names the namespace \"other\", but a SecretStore may only refer to its own; remove `namespace`",
        ),
        (
            json!({ "tokenSecretRef": key("gone", "token") }),
            MISSING,
            "tokenSecretRef: Secret team/gone does not exist; create it",
        ),
        (
            json!({ "tokenSecretRef": key("login", "gone") }),
            MISSING,
            "tokenSecretRef: Secret team/login has no key \"gone\"; add it",
        ),
        (
            json!({ "appRole": { "roleId": "r", "secretRef": key("gone", "token") } }),
            MISSING,
            "appRole.secretRef: Secret team/gone does not exist",
        ),
        (
            json!({ "kubernetes": { "role": "r", "serviceAccountRef": { "name": "gone" } } }),
            MISSING,
            "kubernetes.serviceAccountRef: ServiceAccount team/gone does not exist; create it",
        ),
        (
            json!({ "kubernetes": { "role": "r", "serviceAccountRef": foreign_account } }),
            INVALID,
            "kubernetes.serviceAccountRef names the namespace \"other\"",
        ),
        (
            json!({ "jwt": { "kubernetesServiceAccountToken": gone } }),
            MISSING,
            "jwt.kubernetesServiceAccountToken.serviceAccountRef: ServiceAccount team/gone does not exist",
        ),
        (
            json!({ "iam": { "vaultRole": "r", "jwt": gone } }),
            MISSING,
            "iam.jwt.serviceAccountRef: ServiceAccount team/gone does not exist",
        ),
        (
            json!({ "gcp": { "role": "r", "workloadIdentity": gone } }),
            MISSING,
            "gcp.workloadIdentity.serviceAccountRef: ServiceAccount team/gone does not exist",
        ),
    ])
    .await;
}

#[tokio::test]
async fn each_method_names_what_it_lacks() {
    let token = |seconds: i64| {
        let token = json!({ "serviceAccountRef": { "name": "reader" }, "expirationSeconds": seconds });
        json!({ "jwt": { "kubernetesServiceAccountToken": token } })
    };
    assert_all_refused([
        (
            json!({ "appRole": { "secretRef": key("login", "token") } }),
            INVALID,
            "appRole.roleRef is missing; name the Secret and its key",
        ),
        (json!({ "kubernetes": { "role": "r" } }), INVALID, "kubernetes would send the operator's own token"),
        (json!({ "ldap": { "username": " " } }), INVALID, "ldap.username is empty; set it"),
        (json!({ "ldap": { "username": "ann" } }), INVALID, "ldap.secretRef is missing; name the Secret and its key"),
        (json!({ "userPass": { "username": "" } }), INVALID, "userPass.username is empty; set it"),
        (json!({ "userPass": { "username": "ann" } }), INVALID, "userPass.secretRef is missing"),
        (json!({ "jwt": {} }), INVALID, "jwt names neither secretRef nor kubernetesServiceAccountToken; name one"),
        (
            token(60),
            INVALID,
            "jwt.kubernetesServiceAccountToken.expirationSeconds is 60, and API servers give tokens 600 to 4294967296",
        ),
        (token(-1), INVALID, "jwt.kubernetesServiceAccountToken.expirationSeconds is -1"),
        (json!({ "cert": {} }), INVALID, "cert.clientCert is missing; name the Secret and its key"),
        (json!({ "cert": { "clientCert": { "name": "client" } } }), INVALID, "cert.secretRef is missing"),
        (
            json!({ "iam": { "vaultRole": "r", "secretRef": {} } }),
            INVALID,
            "iam.secretRef.accessKeyIDSecretRef is missing; name the Secret and its key",
        ),
        (
            json!({ "gcp": { "role": "r", "secretRef": {} } }),
            INVALID,
            "gcp.secretRef.secretAccessKeySecretRef is missing; name the Secret and its key",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_cluster_store_names_namespaces_or_waits_for_who_asks() {
    let cluster = cluster().await;
    let open = auth(&json!({ "tokenSecretRef": key("login", "token") }));
    assert_eq!(cluster.refusal(NOBODY, &open).await, "nobody asks");
    assert!(cluster.build(Scope::Cluster { consumer: Some("team") }, &open).await.is_ok());
    let told = "MissingCredential: spec.provider.vault.auth.tokenSecretRef: Secret other/login does not exist";
    assert!(cluster.refusal(Scope::Cluster { consumer: Some("other") }, &open).await.starts_with(told));
    let named = auth(&json!({ "tokenSecretRef": { "name": "login", "key": "token", "namespace": "team" } }));
    assert!(cluster.build(NOBODY, &named).await.is_ok());
    let authority = vault(&json!({ "caProvider": { "type": "Secret", "name": "ca", "key": "ca.crt" } }));
    let told =
        "InvalidConfiguration: spec.provider.vault.caProvider has no `namespace`, which a ClusterSecretStore must set";
    assert!(cluster.refusal(NOBODY, &authority).await.starts_with(told));
}

/// In the order in which they are looked at; each reads a Secret that is not there.
#[tokio::test]
async fn of_several_methods_the_first_counts() {
    let methods = [
        ("tokenSecretRef", key("a", "k")),
        ("appRole", json!({ "roleId": "r", "secretRef": key("b", "k") })),
        ("kubernetes", json!({ "role": "r", "secretRef": key("c", "k") })),
        ("ldap", json!({ "username": "u", "secretRef": key("d", "k") })),
        ("userPass", json!({ "username": "u", "secretRef": key("e", "k") })),
        ("jwt", json!({ "secretRef": key("f", "k") })),
        ("cert", json!({ "clientCert": key("g", "k"), "secretRef": key("g", "k") })),
        ("iam", json!({ "vaultRole": "r", "secretRef": { "accessKeyIDSecretRef": key("h", "k") } })),
        ("gcp", json!({ "role": "r", "secretRef": { "secretAccessKeySecretRef": key("i", "k") } })),
    ];
    for (at, (name, _)) in methods.iter().enumerate() {
        let from_here: Value =
            methods[at..].iter().map(|(name, method)| ((*name).to_owned(), method.clone())).collect();
        let cluster = Cluster::holding([]).await;
        assert_refused(&cluster, auth(&from_here), &format!("{MISSING}: spec.provider.vault.auth.{name}")).await;
        assert_eq!(cluster.reads(), 1, "nothing of the other methods is read");
    }
}

#[tokio::test]
async fn an_empty_path_is_the_methods_own() {
    let cluster = cluster().await;
    let server = ScriptedServer::answering(|_| Reply::json(403, &json!({}))).await;
    let token = key("login", "token");
    for (method, spec) in [
        ("approle", json!({ "appRole": { "path": "", "roleId": "r", "secretRef": token } })),
        ("kubernetes", json!({ "kubernetes": { "mountPath": "", "role": "r", "secretRef": token } })),
        ("ldap", json!({ "ldap": { "path": "", "username": "u", "secretRef": token } })),
        ("userpass", json!({ "userPass": { "path": "", "username": "u", "secretRef": token } })),
        ("jwt", json!({ "jwt": { "path": "", "secretRef": token } })),
    ] {
        let mut provider = auth(&spec);
        provider["vault"]["server"] = json!(server.url());
        let provider = cluster.build(NAMESPACED, &provider).await.expect("a provider");
        let error = provider.check().await.expect_err("refused");
        assert!(error.message.starts_with(&format!("the login at auth/{method} was refused")), "{error}");
    }
}
