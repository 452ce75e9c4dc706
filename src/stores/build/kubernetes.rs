//! Secrets of a Kubernetes cluster.

use std::sync::Arc;

use keyferry_core::{CallObserver, Provider};
use keyferry_crds::{KubernetesAuth, KubernetesServer, KubernetesSpec};
use keyferry_kubernetes::{Auth, Kubernetes, KubernetesConfig};
use keyferry_rest::Identity;

use super::required;
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &KubernetesSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let mut config = match (&spec.auth_ref, &spec.auth) {
        // A kubeconfig names the server as well.
        (Some(kubeconfig), _) => {
            KubernetesConfig::new(Auth::Kubeconfig(resolver.secret("authRef", kubeconfig, None, Open::Allowed).await?))
        }
        (None, Some(named)) => at(spec.server.as_ref(), auth(named, resolver).await?, resolver).await?,
        (None, None) => return Err(resolver.invalid("auth", "is missing, and authRef too; name one")),
    };
    config.namespace.clone_from(&spec.remote_namespace);
    Ok(Arc::new(Kubernetes::new(config, Arc::clone(calls))?))
}

/// A login to this server.
async fn at(
    server: Option<&KubernetesServer>,
    auth: Auth,
    resolver: &mut Resolver<'_>,
) -> Result<KubernetesConfig, Unresolved> {
    let mut config = KubernetesConfig::new(auth);
    if let Some(server) = server {
        config.server.clone_from(&server.url);
        let resolver = resolver.within("spec.provider.kubernetes.server");
        config.roots = resolver.roots(server.ca_bundle.as_deref(), server.ca_provider.as_ref()).await?;
    }
    Ok(config)
}

async fn auth(auth: &KubernetesAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    if let Some(certificate) = &auth.cert {
        let (cert_field, key_field) = ("auth.cert.clientCert", "auth.cert.clientKey");
        let selector = required(resolver, cert_field, certificate.client_cert.as_ref())?;
        let certificates = resolver.secret(cert_field, selector, None, Open::Forbidden).await?;
        let selector = required(resolver, key_field, certificate.client_key.as_ref())?;
        let key = resolver.secret(key_field, selector, None, Open::Forbidden).await?;
        return Ok(Auth::Cert(Identity { certificates: certificates.expose().to_vec(), key, field: "auth.cert" }));
    }
    if let Some(token) = &auth.token {
        let field = "auth.token.bearerToken";
        let selector = required(resolver, field, token.bearer_token.as_ref())?;
        return Ok(Auth::Token(resolver.secret(field, selector, None, Open::Forbidden).await?));
    }
    match &auth.service_account {
        // The source adds the audiences of the manifest itself.
        Some(account) => Ok(Auth::ServiceAccount {
            tokens: resolver.tokens("auth.serviceAccount", account).await?,
            audiences: Vec::new(),
        }),
        None => Err(resolver.invalid("auth", "names no way to log in; name one")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::stores::{
        build::fixtures::{Cluster, key, secret},
        scope::Scope,
    };

    const NAMESPACED: Scope<'_> = Scope::Namespace("team");
    const NOBODY: Scope<'_> = Scope::Cluster { consumer: None };

    async fn cluster() -> Cluster {
        let config = "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n\
                      clusters: [{name: c, cluster: {server: 'https://far'}}]\nusers: [{name: u, user: {token: hunter2}}]";
        Cluster::holding([
            secret("login", &[("token", "hunter2"), ("config", config), ("empty", "\n")]),
            ("/api/v1/namespaces/team/serviceaccounts/reader".into(), json!({ "metadata": { "name": "reader" } })),
        ])
        .await
    }

    fn kubernetes(spec: &Value) -> Value {
        json!({ "kubernetes": spec })
    }

    fn account(namespace: Option<&str>) -> Value {
        json!({ "serviceAccount": { "name": "reader", "namespace": namespace } })
    }

    #[tokio::test]
    async fn what_cannot_work_is_named_with_its_remedy() {
        let cluster = cluster().await;
        let token = json!({ "token": { "bearerToken": key("login", "token") } });
        let server = |server: Value| json!({ "server": server, "auth": token });
        for (spec, told) in [
            (json!({}), "InvalidConfiguration: spec.provider.kubernetes.auth is missing, and authRef too; name one"),
            (
                json!({ "auth": {} }),
                "InvalidConfiguration: spec.provider.kubernetes.auth names no way to log in; name one",
            ),
            (
                json!({ "auth": { "token": {} } }),
                "InvalidConfiguration: spec.provider.kubernetes.auth.token.bearerToken is missing; name the Secret",
            ),
            (
                json!({ "auth": { "token": { "bearerToken": { "name": "login" } } } }),
                "InvalidConfiguration: spec.provider.kubernetes.auth.token.bearerToken has no `key`; name a key",
            ),
            (
                json!({ "auth": { "token": { "bearerToken": key("gone", "token") } } }),
                "MissingCredential: spec.provider.kubernetes.auth.token.bearerToken: Secret team/gone does not exist",
            ),
            (
                json!({ "auth": { "token": { "bearerToken": key("login", "empty") } } }),
                "InvalidConfiguration: spec.provider: auth.token.bearerToken: the token in the Secret is empty; put one there",
            ),
            (
                json!({ "auth": { "cert": { "clientKey": key("login", "token") } } }),
                "InvalidConfiguration: spec.provider.kubernetes.auth.cert.clientCert is missing; name the Secret",
            ),
            (
                json!({ "auth": { "cert": { "clientCert": key("login", "token") } } }),
                "InvalidConfiguration: spec.provider.kubernetes.auth.cert.clientKey is missing; name the Secret",
            ),
            (
                json!({ "auth": { "cert": { "clientCert": key("login", "token"), "clientKey": key("login", "token") } } }),
                "InvalidConfiguration: spec.provider: auth.cert: the client certificate is not in PEM form",
            ),
            (
                json!({ "auth": { "serviceAccount": { "name": "gone" } } }),
                "MissingCredential: spec.provider.kubernetes.auth.serviceAccount: ServiceAccount team/gone does not exist",
            ),
            (
                json!({ "authRef": key("login", "gone") }),
                "MissingCredential: spec.provider.kubernetes.authRef: Secret team/login has no key \"gone\"; add it",
            ),
            (
                json!({ "authRef": key("login", "token") }),
                "InvalidConfiguration: spec.provider: the kubeconfig that authRef names cannot be used: it is not a kubeconfig",
            ),
            (
                json!({ "authRef": key("login", "config"), "remoteNamespace": "a_b" }),
                "InvalidConfiguration: spec.provider: remoteNamespace \"a_b\" is not a name of a namespace; correct it",
            ),
            (
                server(json!({ "url": "ftp://far" })),
                "InvalidConfiguration: spec.provider: server.url must begin with https:// or http://",
            ),
            (
                server(json!({ "caBundle": "aHVudGVyMg==" })),
                "InvalidConfiguration: spec.provider: caBundle or caProvider: holds no certificate; give PEM certificates",
            ),
            (
                server(json!({ "caProvider": { "type": "ConfigMap", "name": "gone" } })),
                "MissingCredential: spec.provider.kubernetes.server.caProvider: ConfigMap team/gone does not exist; create it",
            ),
        ] {
            let refusal = cluster.refusal(NAMESPACED, &kubernetes(&spec)).await;
            assert!(refusal.starts_with(told), "{refusal}\nis not\n{told}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_store_logs_in_as_nobody_of_another_namespace() {
        let cluster = cluster().await;
        for auth in [
            account(Some("kube-system")),
            json!({ "token": { "bearerToken": { "name": "login", "key": "token", "namespace": "kube-system" } } }),
        ] {
            let refusal = cluster.refusal(NAMESPACED, &kubernetes(&json!({ "auth": auth }))).await;
            let told =
                "names the namespace \"kube-system\", but a SecretStore may only refer to its own; remove `namespace`";
            assert!(refusal.contains(told), "{refusal}");
        }
        assert_eq!(cluster.reads(), 0);
        assert!(cluster.build(NAMESPACED, &kubernetes(&json!({ "auth": account(None) }))).await.is_ok());
    }

    #[tokio::test]
    async fn a_cluster_store_logs_in_as_whom_it_names_or_as_who_asks() {
        let cluster = cluster().await;
        let open = kubernetes(&json!({ "auth": account(None) }));
        assert_eq!(cluster.refusal(NOBODY, &open).await, "nobody asks");
        assert!(cluster.build(Scope::Cluster { consumer: Some("team") }, &open).await.is_ok());
        assert!(cluster.build(NOBODY, &kubernetes(&json!({ "auth": account(Some("team")) }))).await.is_ok());
        let token = kubernetes(&json!({ "auth": { "token": { "bearerToken": key("login", "token") } } }));
        let refusal = cluster.refusal(Scope::Cluster { consumer: Some("team") }, &token).await;
        let told =
            "InvalidConfiguration: spec.provider.kubernetes.auth.token.bearerToken has no `namespace`, which a Cluster";
        assert!(refusal.starts_with(told), "{refusal}");
        let server = json!({ "caProvider": { "type": "ConfigMap", "name": "kube-root-ca.crt" } });
        let refusal =
            cluster.refusal(NOBODY, &kubernetes(&json!({ "auth": account(Some("team")), "server": server }))).await;
        let told = "InvalidConfiguration: spec.provider.kubernetes.server.caProvider has no `namespace`, which a ClusterSecretStore";
        assert!(refusal.starts_with(told), "{refusal}");
    }

    #[tokio::test]
    async fn a_kubeconfig_goes_before_all_else() {
        let cluster = cluster().await;
        let both =
            json!({ "authRef": key("login", "config"), "auth": account(Some("other")), "server": { "url": "?" } });
        assert!(cluster.build(NAMESPACED, &kubernetes(&both)).await.is_ok());
        assert_eq!(cluster.reads(), 1);
    }
}
