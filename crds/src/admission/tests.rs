//! Each rule of a store: what the API server says by its CEL rules and what we say ourselves is the same.

use serde_json::{Value, json};

use super::{Scope, problem, violations};
use crate::{CheckInterval, GoDuration, SecretStoreSpec, api_server, duration};

const NAMESPACED: Scope<'_> = Scope::Namespace("app");

/// What is told, as field and problem.
type Told = Vec<(String, String)>;

fn told_by_api_server(spec: &Value, scope: Scope<'_>) -> Told {
    api_server::told(if scope == Scope::Cluster { "ClusterSecretStore" } else { "SecretStore" }, spec)
}

fn told_by_operator(spec: &Value, scope: Scope<'_>) -> Told {
    let spec: SecretStoreSpec = serde_json::from_value(spec.clone()).unwrap();
    let violations = violations(&spec, scope).into_iter();
    let mut told: Told = violations.map(|violation| (violation.field, violation.problem.into_owned())).collect();
    told.sort();
    told
}

fn provider(provider: &Value) -> Value {
    json!({ "provider": provider })
}

#[track_caller]
fn accepted(scope: Scope<'_>, spec: &Value) {
    assert_eq!(told_by_api_server(spec, scope), []);
    assert_eq!(told_by_operator(spec, scope), []);
}

/// Both must say just this.
#[track_caller]
fn refused(scope: Scope<'_>, spec: &Value, field: &str, problem: &str) {
    let expected = [(field.to_owned(), problem.to_owned())];
    assert_eq!(told_by_api_server(spec, scope), expected);
    assert_eq!(told_by_operator(spec, scope), expected);
}

/// Only we can say it: a rule of the API server does not see what is needed for it.
#[track_caller]
fn refused_by_operator(scope: Scope<'_>, spec: &Value, field: &str) -> String {
    assert_eq!(told_by_api_server(spec, scope), []);
    let mut told = told_by_operator(spec, scope);
    assert_eq!(told.len(), 1, "{told:?}");
    let (at, problem) = told.remove(0);
    assert_eq!(at, field);
    problem
}

fn key(name: &str) -> Value {
    json!({ "name": name, "key": "value" })
}

fn key_in(namespace: &str) -> Value {
    json!({ "name": "login", "key": "value", "namespace": namespace })
}

fn akeyless(auth: &Value) -> Value {
    provider(&json!({ "akeyless": { "akeylessGWApiURL": "https://gw.example:8000/v2", "authSecretRef": auth } }))
}

#[test]
fn exactly_one_known_provider() {
    let fake = json!({ "data": [] });
    for providers in [json!({}), json!({ "alibaba": {} }), json!({ "fake": fake, "aws": {} })] {
        let told = told_by_api_server(&provider(&providers), NAMESPACED);
        assert_eq!(told[0].0, "spec.provider", "{providers}");
        assert!(told[0].1.starts_with("needs exactly one of akeyless, aws, "), "{told:?}");
        assert!(serde_json::from_value::<SecretStoreSpec>(provider(&providers)).is_err());
    }
    accepted(NAMESPACED, &provider(&json!({ "fake": fake })));
}

#[test]
fn check_intervals() {
    let with = |interval: Value| json!({ "provider": { "fake": { "data": [] } }, "refreshInterval": interval });
    for good in [json!(0), json!(300), json!("5m"), json!("0"), json!("1h30m0s")] {
        accepted(NAMESPACED, &with(good));
    }
    let field = "spec.refreshInterval";
    refused(NAMESPACED, &with(json!(-1)), field, &CheckInterval::Seconds(-1).duration().unwrap_err());
    let told = CheckInterval::Text(GoDuration::from("1d")).duration().unwrap_err();
    for bad in ["1d", "300", "-5m", ""] {
        refused(NAMESPACED, &with(json!(bad)), field, &told);
    }
}

#[test]
fn retry_intervals() {
    let with = |interval: &str| json!({ "provider": { "fake": { "data": [] } }, "retrySettings": { "retryInterval": interval } });
    accepted(NAMESPACED, &with("10s"));
    refused(NAMESPACED, &with("10"), "spec.retrySettings.retryInterval", duration::PROBLEM);
}

#[test]
fn namespace_regexes_that_do_not_compile() {
    let with = |regex: &str| {
        json!({
            "provider": { "fake": { "data": [] } },
            "conditions": [{ "namespaces": ["a"] }, { "namespaceRegexes": ["^a$", regex] }],
        })
    };
    accepted(Scope::Cluster, &with("^team-.*$"));
    let told = refused_by_operator(Scope::Cluster, &with("team-("), "spec.conditions[1].namespaceRegexes[1]");
    assert_eq!(told, "is not a regular expression: correct \"team-(\"");
}

#[test]
fn a_secret_store_reads_from_its_own_namespace() {
    let with = |namespace| {
        provider(&json!({
            "vault": { "server": "https://v", "auth": { "tokenSecretRef": key_in(namespace) } },
        }))
    };
    accepted(NAMESPACED, &with("app"));
    accepted(Scope::Cluster, &with("other"));
    let told = refused_by_operator(NAMESPACED, &with("other"), "spec.provider.vault.auth.tokenSecretRef");
    assert!(told.starts_with("names the namespace \"other\"") && told.contains("use a ClusterSecretStore"), "{told}");
}

#[test]
fn a_cluster_secret_store_names_the_namespace_of_its_own_references() {
    let nowhere = json!({ "type": "ConfigMap", "name": "ca" });
    let somewhere = json!({ "type": "Secret", "name": "ca", "namespace": "ops" });
    let vault = |ca: &Value| provider(&json!({ "vault": { "server": "https://v", "caProvider": ca } }));
    accepted(NAMESPACED, &vault(&nowhere));
    accepted(Scope::Cluster, &vault(&somewhere));
    refused(Scope::Cluster, &vault(&nowhere), "spec.provider.vault.caProvider", problem::NAMESPACE);
}

#[test]
fn akeyless_url_with_host() {
    let with = |url: &str| {
        provider(&json!({
            "akeyless": { "akeylessGWApiURL": url, "authSecretRef": { "accessID": key("login") } },
        }))
    };
    accepted(NAMESPACED, &with("https://api.akeyless.io"));
    accepted(NAMESPACED, &with("http://127.0.0.1:8080/api/v2"));
    // Akeyless's own service.
    accepted(NAMESPACED, &with(""));
    for bad in ["api.akeyless.io", "https://", "gw:8000"] {
        refused(NAMESPACED, &with(bad), "spec.provider.akeyless.akeylessGWApiURL", problem::URL);
    }
}

#[test]
fn akeyless_access_id_in_either_layout() {
    accepted(NAMESPACED, &akeyless(&json!({ "accessID": key("login"), "accessType": key("login") })));
    accepted(NAMESPACED, &akeyless(&json!({ "secretRef": { "accessID": key("login"), "accessType": key("login") } })));
    accepted(NAMESPACED, &akeyless(&json!({ "secretRef": { "accessID": {} }, "accessID": key("login") })));
    for bad in [
        json!({}),
        json!({ "secretRef": {} }),
        json!({ "accessID": { "name": "login" } }),
        json!({ "secretRef": { "accessID": { "key": "value" } } }),
    ] {
        refused(NAMESPACED, &akeyless(&bad), "spec.provider.akeyless.authSecretRef", problem::AKEYLESS_ACCESS_ID);
    }
}

#[test]
fn akeyless_kubernetes_auth_is_complete() {
    let with =
        |id: &str, config: &str| akeyless(&json!({ "kubernetesAuth": { "accessID": id, "k8sConfName": config } }));
    accepted(NAMESPACED, &with("p-1", "conf"));
    let at = "spec.provider.akeyless.authSecretRef.kubernetesAuth";
    refused(NAMESPACED, &with("", "conf"), &format!("{at}.accessID"), problem::EMPTY);
    refused(NAMESPACED, &with("p-1", ""), &format!("{at}.k8sConfName"), problem::EMPTY);
}

#[test]
fn akeyless_secrets_of_a_cluster_secret_store_name_their_namespace() {
    let at = "spec.provider.akeyless.authSecretRef";
    accepted(Scope::Cluster, &akeyless(&json!({ "accessID": key_in("ops") })));
    accepted(Scope::Cluster, &akeyless(&json!({ "secretRef": { "accessID": key_in("ops"), "accessTypeParam": {} } })));
    let cases = [
        (json!({ "accessID": key("login") }), "accessID"),
        (json!({ "accessID": key_in("ops"), "accessType": key("login") }), "accessType"),
        (json!({ "secretRef": { "accessID": key("login") } }), "secretRef.accessID"),
        (
            json!({ "kubernetesAuth": { "accessID": "p", "k8sConfName": "c", "secretRef": key("login") } }),
            "kubernetesAuth.secretRef",
        ),
    ];
    for (auth, field) in cases {
        refused(Scope::Cluster, &akeyless(&auth), &format!("{at}.{field}"), problem::NAMESPACE);
    }
}

fn aws(more: &Value) -> Value {
    let mut aws = json!({ "service": "SecretsManager", "region": "eu-central-1" });
    aws.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    provider(&json!({ "aws": aws }))
}

#[test]
fn aws_regions() {
    for good in ["us-east-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "ap-southeast-7"] {
        accepted(NAMESPACED, &aws(&json!({ "region": good })));
    }
    for bad in ["", "Frankfurt", "eu-central", "eu_central_1", "https://eu-central-1"] {
        refused(NAMESPACED, &aws(&json!({ "region": bad })), "spec.provider.aws.region", problem::AWS_REGION);
    }
}

#[test]
fn aws_recovery_window() {
    let with = |days: i64, force: bool| {
        aws(&json!({ "secretsManager": { "recoveryWindowInDays": days, "forceDeleteWithoutRecovery": force } }))
    };
    for (days, force) in [(0, true), (0, false), (7, false), (30, false)] {
        accepted(NAMESPACED, &with(days, force));
    }
    let at = "spec.provider.aws.secretsManager";
    for days in [-1, 1, 6, 31] {
        let field = format!("{at}.recoveryWindowInDays");
        refused(NAMESPACED, &with(days, false), &field, problem::AWS_RECOVERY_WINDOW);
    }
    refused(NAMESPACED, &with(7, true), at, problem::AWS_FORCED);
}

#[test]
fn aws_session_tags_of_the_operator() {
    accepted(NAMESPACED, &aws(&json!({ "customSessionTags": { "team": "a" } })));
    for tag in ["esoNamespace", "esoStoreName", "esoStoreKind"] {
        let spec = aws(&json!({ "customSessionTags": { "team": "a", tag: "x" } }));
        refused(NAMESPACED, &spec, "spec.provider.aws.customSessionTags", problem::AWS_SESSION_TAGS);
    }
}

#[test]
fn azure_clouds() {
    let with = |more: Value| {
        let mut azure = json!({ "vaultUrl": "https://v.vault.azure.net" });
        azure.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        provider(&json!({ "azurekv": azure }))
    };
    let cloud = json!({ "activeDirectoryEndpoint": "https://login.example" });
    accepted(NAMESPACED, &with(json!({})));
    accepted(
        NAMESPACED,
        &with(json!({ "environmentType": "AzureStackCloud", "useAzureSDK": true, "customCloudConfig": cloud })),
    );
    let at = "spec.provider.azurekv";
    refused(NAMESPACED, &with(json!({ "customCloudConfig": cloud })), at, problem::AZURE_SDK);
    refused(NAMESPACED, &with(json!({ "environmentType": "AzureStackCloud" })), at, problem::AZURE_STACK);
    let nowhere = with(json!({ "useAzureSDK": true, "customCloudConfig": { "activeDirectoryEndpoint": "" } }));
    refused(NAMESPACED, &nowhere, &format!("{at}.customCloudConfig.activeDirectoryEndpoint"), problem::EMPTY);
}

#[test]
fn fake_data_is_complete() {
    let with = |data: Value| provider(&json!({ "fake": { "data": [{ "key": "a", "value": "b" }, data] } }));
    accepted(NAMESPACED, &with(json!({ "key": "a", "value": "c", "version": "v2" })));
    let at = "spec.provider.fake.data[1]";
    refused(NAMESPACED, &with(json!({ "key": "", "value": "b" })), &format!("{at}.key"), problem::EMPTY);
    refused(NAMESPACED, &with(json!({ "key": "a", "value": "" })), &format!("{at}.value"), problem::EMPTY);
    // As old objects have it; the API server refuses new ones by the schema.
    let told = told_by_operator(&with(json!({ "key": "a", "valueMap": { "b": "c" } })), NAMESPACED);
    assert_eq!(told, [(format!("{at}.value"), problem::EMPTY.to_owned())]);
}

#[test]
fn infisical_scope_and_universal_auth() {
    let with = |environment: &str, project: &str, id: Value, secret: Value| {
        provider(&json!({ "infisical": {
        "secretsScope": { "environmentSlug": environment, "projectSlug": project },
        "auth": { "universalAuthCredentials": { "clientId": id, "clientSecret": secret } },
    } }))
    };
    let (good, bad) = (key("login"), json!({ "name": "login" }));
    let at = "spec.provider.infisical";
    accepted(NAMESPACED, &with("prod", "shop", good.clone(), good.clone()));
    let refused = |spec: Value, field: &str, problem| refused(NAMESPACED, &spec, &format!("{at}.{field}"), problem);
    refused(with("", "shop", good.clone(), good.clone()), "secretsScope.environmentSlug", problem::EMPTY);
    refused(with("prod", "", good.clone(), good.clone()), "secretsScope.projectSlug", problem::EMPTY);
    let auth = "auth.universalAuthCredentials";
    refused(with("prod", "shop", bad.clone(), good.clone()), &format!("{auth}.clientId"), problem::KEY);
    refused(with("prod", "shop", good, bad), &format!("{auth}.clientSecret"), problem::KEY);
}

#[test]
fn kubernetes_has_exactly_one_complete_login() {
    let with = |auth: Value| provider(&json!({ "kubernetes": { "auth": auth } }));
    let at = "spec.provider.kubernetes.auth";
    accepted(NAMESPACED, &with(json!({ "serviceAccount": { "name": "reader" } })));
    accepted(NAMESPACED, &with(json!({ "cert": { "clientCert": key("tls"), "clientKey": key("tls") } })));
    accepted(NAMESPACED, &provider(&json!({ "kubernetes": { "authRef": key("config") } })));
    let token = json!({ "bearerToken": key("token") });
    for bad in [json!({}), json!({ "serviceAccount": { "name": "reader" }, "token": token })] {
        refused(NAMESPACED, &with(bad), at, problem::KUBERNETES_AUTH);
    }
    let nameless = json!({ "key": "value" });
    let cert = with(json!({ "cert": { "clientCert": nameless, "clientKey": key("tls") } }));
    refused(NAMESPACED, &cert, &format!("{at}.cert.clientCert"), problem::NAME_AND_KEY);
    let cert = with(json!({ "cert": { "clientCert": key("tls"), "clientKey": { "name": "tls" } } }));
    refused(NAMESPACED, &cert, &format!("{at}.cert.clientKey"), problem::NAME_AND_KEY);
    let token = with(json!({ "token": { "bearerToken": { "name": "token" } } }));
    refused(NAMESPACED, &token, &format!("{at}.token.bearerToken"), problem::NAME_AND_KEY);
    let token = with(json!({ "token": { "bearerToken": key("token") } }));
    refused(Scope::Cluster, &token, &format!("{at}.token.bearerToken"), problem::NAMESPACE);
}

fn vault(more: &Value) -> Value {
    let mut vault = json!({ "server": "https://vault.example" });
    vault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    provider(&json!({ "vault": vault }))
}

#[test]
fn vault_app_role_names_a_role() {
    let with = |more: Value| {
        let mut role = json!({ "secretRef": key("login") });
        role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        vault(&json!({ "auth": { "appRole": role } }))
    };
    accepted(NAMESPACED, &with(json!({ "roleId": "r" })));
    accepted(NAMESPACED, &with(json!({ "roleRef": key("login") })));
    for bad in [json!({}), json!({ "roleId": "" })] {
        refused(NAMESPACED, &with(bad), "spec.provider.vault.auth.appRole", problem::VAULT_ROLE);
    }
}

#[test]
fn vault_jwt_has_a_source() {
    let with = |jwt: Value| vault(&json!({ "auth": { "jwt": jwt } }));
    accepted(NAMESPACED, &with(json!({ "secretRef": key("login") })));
    let account = json!({ "kubernetesServiceAccountToken": { "serviceAccountRef": { "name": "a" } } });
    accepted(NAMESPACED, &with(account));
    refused(NAMESPACED, &with(json!({ "role": "r" })), "spec.provider.vault.auth.jwt", problem::VAULT_JWT);
}

#[test]
fn vault_client_certificate_is_whole() {
    accepted(NAMESPACED, &vault(&json!({ "tls": { "certSecretRef": key("tls"), "keySecretRef": key("tls") } })));
    for half in ["certSecretRef", "keySecretRef"] {
        let spec = vault(&json!({ "tls": { half: key("tls") } }));
        refused(NAMESPACED, &spec, "spec.provider.vault.tls", problem::VAULT_TLS);
    }
}

#[test]
fn vault_check_and_set_needs_versions() {
    accepted(NAMESPACED, &vault(&json!({ "checkAndSet": { "required": true } })));
    let spec = vault(&json!({ "checkAndSet": { "required": true }, "version": "v1" }));
    refused(NAMESPACED, &spec, "spec.provider.vault", problem::VAULT_CHECK_AND_SET);
}

#[test]
fn webhook_auth_and_timeout() {
    let with = |more: Value| {
        let mut webhook = json!({ "url": "https://example" });
        webhook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        provider(&json!({ "webhook": webhook }))
    };
    let ntlm = json!({ "usernameSecret": key("login"), "passwordSecret": key("login") });
    accepted(NAMESPACED, &with(json!({ "auth": { "ntlm": ntlm }, "timeout": "10s" })));
    refused(NAMESPACED, &with(json!({ "auth": {} })), "spec.provider.webhook.auth", problem::WEBHOOK_AUTH);
    refused(NAMESPACED, &with(json!({ "timeout": "10" })), "spec.provider.webhook.timeout", duration::PROBLEM);
}

#[test]
fn a_violation_names_field_cause_and_remedy() {
    let spec = serde_json::from_value(vault(&json!({ "auth": { "jwt": {} } }))).unwrap();
    assert_eq!(
        violations(&spec, NAMESPACED)[0].to_string(),
        "spec.provider.vault.auth.jwt names no JWT: set secretRef or kubernetesServiceAccountToken"
    );
}
