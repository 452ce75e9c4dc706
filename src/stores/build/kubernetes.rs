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
        config.roots = resolver.roots(server.ca_bundle.as_deref(), server.ca_provider.as_ref()).await?;
    }
    Ok(config)
}

async fn auth(auth: &KubernetesAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    if let Some(certificate) = &auth.cert {
        let (cert_field, key_field) = ("auth.cert.clientCert", "auth.cert.clientKey");
        let selector = required(resolver, cert_field, certificate.client_cert.as_ref())?;
        let certificates = resolver.secret(cert_field, selector, None, Open::Allowed).await?;
        let selector = required(resolver, key_field, certificate.client_key.as_ref())?;
        let key = resolver.secret(key_field, selector, None, Open::Allowed).await?;
        return Ok(Auth::Cert(Identity { certificates: certificates.expose().to_vec(), key }));
    }
    if let Some(token) = &auth.token {
        let field = "auth.token.bearerToken";
        let selector = required(resolver, field, token.bearer_token.as_ref())?;
        return Ok(Auth::Token(resolver.secret(field, selector, None, Open::Allowed).await?));
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
