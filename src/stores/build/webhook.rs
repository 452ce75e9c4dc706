//! Any HTTP server that answers JSON.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{GoDuration, WebhookSpec};
use keyferry_webhook::{Auth, Webhook, WebhookConfig};

use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &WebhookSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let config = WebhookConfig {
        url: spec.url.clone(),
        method: spec.method.clone(),
        headers: spec.headers.as_deref().cloned().unwrap_or_default(),
        body: spec.body.as_deref().cloned(),
        timeout: spec.timeout.as_ref().and_then(|timeout| GoDuration::duration(timeout).ok()),
        json_path: spec.result.as_ref().and_then(|result| result.json_path.clone()),
        secrets: secrets(spec, resolver).await?,
        auth: auth(spec, resolver).await?,
        roots: resolver.roots(spec.ca_bundle.as_deref(), spec.ca_provider.as_ref()).await?,
        namespace: if asks_for_namespace(spec) { resolver.consumer()?.to_owned() } else { String::new() },
    };
    Ok(Arc::new(Webhook::new(config, Arc::clone(calls))?))
}

/// Only Secrets that carry this label: what is in them goes, in one form or another, to whatever server the store names.
const LABEL: (&str, &str) = ("external-secrets.io/type", "webhook");

async fn secrets(
    spec: &WebhookSpec,
    resolver: &mut Resolver<'_>,
) -> Result<BTreeMap<String, BTreeMap<String, SecretBytes>>, Unresolved> {
    let mut secrets = BTreeMap::new();
    for (index, named) in spec.secrets.iter().flatten().enumerate() {
        let (field, selector) = (format!("secrets[{index}].secretRef"), &named.secret_ref);
        let name = selector.name.as_deref().unwrap_or_default();
        let keys = resolver.labelled_secret(&field, name, selector.namespace.as_deref(), Open::Allowed, LABEL).await?;
        secrets.insert(named.name.clone(), keys);
    }
    Ok(secrets)
}

async fn auth(spec: &WebhookSpec, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let Some(ntlm) = spec.auth.as_ref().and_then(|auth| auth.ntlm.as_ref()) else { return Ok(Auth::None) };
    let (username, password) = ("auth.ntlm.usernameSecret", "auth.ntlm.passwordSecret");
    Ok(Auth::Ntlm {
        username: resolver.labelled_value(username, &ntlm.username_secret, Open::Allowed, LABEL).await?,
        password: resolver.labelled_value(password, &ntlm.password_secret, Open::Allowed, LABEL).await?,
    })
}

/// Whether what is sent depends on who asks.
fn asks_for_namespace(spec: &WebhookSpec) -> bool {
    let templates = [Some(&spec.url), spec.body.as_deref()];
    let headers = spec.headers.iter().flat_map(|headers| headers.values());
    templates.into_iter().flatten().chain(headers).any(|template| template.contains("namespace"))
}
