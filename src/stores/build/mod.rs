//! From a store's manifest to a backend: one file for each, which resolves the references and fills in the backend's
//! settings.

#[cfg(feature = "akeyless")]
mod akeyless;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "fake")]
mod fake;
#[cfg(test)]
#[allow(dead_code, reason = "where one backend is built alone, its tests need a part of it")]
mod fixtures;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "infisical")]
mod infisical;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(feature = "vault")]
mod vault;
#[cfg(feature = "webhook")]
mod webhook;

use std::sync::Arc;

use keyferry_core::{CallObserver, Provider};
use keyferry_crds::{CaProvider, ProviderSpec, SecretKeySelector, SecretStoreSpec};
use keyferry_rest::{Tls, Url};

use super::resolve::{Resolver, Unresolved};
use crate::trouble::Trouble;

/// The backend of `spec`, without layers.
#[cfg_attr(
    not(all(feature = "akeyless", feature = "vault")),
    allow(unused_variables, clippy::unused_async, reason = "the fake, built alone, resolves and requests nothing")
)]
pub(super) async fn provider(
    spec: &SecretStoreSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    match &spec.provider {
        #[cfg(feature = "akeyless")]
        ProviderSpec::Akeyless(spec) => {
            akeyless::provider(spec, resolver.within("spec.provider.akeyless"), calls).await
        }
        #[cfg(feature = "aws")]
        ProviderSpec::Aws(spec) => aws::provider(spec, resolver.within("spec.provider.aws"), calls).await,
        #[cfg(feature = "azure")]
        ProviderSpec::AzureKv(spec) => azure::provider(spec, resolver.within("spec.provider.azurekv"), calls).await,
        #[cfg(feature = "fake")]
        ProviderSpec::Fake(spec) => fake::provider(spec),
        #[cfg(feature = "gcp")]
        ProviderSpec::GcpSm(spec) => gcp::provider(spec, resolver.within("spec.provider.gcpsm"), calls).await,
        #[cfg(feature = "infisical")]
        ProviderSpec::Infisical(spec) => {
            infisical::provider(spec, resolver.within("spec.provider.infisical"), calls).await
        }
        #[cfg(feature = "kubernetes")]
        ProviderSpec::Kubernetes(spec) => {
            kubernetes::provider(spec, resolver.within("spec.provider.kubernetes"), calls).await
        }
        #[cfg(feature = "vault")]
        ProviderSpec::Vault(spec) => vault::provider(spec, resolver.within("spec.provider.vault"), calls).await,
        #[cfg(feature = "webhook")]
        ProviderSpec::Webhook(spec) => webhook::provider(spec, resolver.within("spec.provider.webhook"), calls).await,
        #[allow(unreachable_patterns, reason = "reached where a backend was left out of the build")]
        other => Err(unsupported(other.name())),
    }
}

/// What a manifest asks for and this version does not do.
fn unsupported(what: &str) -> Unresolved {
    let text = format!("spec.provider.{what} is not supported by this build of Keyferry; use another backend or build");
    Unresolved::Trouble(Trouble::lasting("Unsupported", text))
}

/// Whom to trust.
async fn tls(
    resolver: &mut Resolver<'_>,
    bundle: Option<&str>,
    provider: Option<&CaProvider>,
) -> Result<Tls, Unresolved> {
    Ok(Tls { roots: resolver.roots(bundle, provider).await?, identity: None })
}

/// Whether nobody but the vendor sees what is shown to the server at `address`. None at all means the vendor's own.
fn is_vendors(address: &str, is_known: impl Fn(&str) -> bool) -> bool {
    let known = |url: Url| url.scheme() == "https" && url.host_str().is_some_and(&is_known);
    address.trim().is_empty() || Url::parse(address.trim()).is_ok_and(known)
}

/// A selector that the manifest must have.
fn required<'a>(
    resolver: &Resolver<'_>,
    field: &str,
    selector: Option<&'a SecretKeySelector>,
) -> Result<&'a SecretKeySelector, Unresolved> {
    selector.ok_or_else(|| resolver.invalid(field, "is missing; name the Secret and its key"))
}

/// A variable of the operator's environment, for identities that it has itself.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The operator's own environment says something that cannot be meant.
fn misled(problem: &str) -> Unresolved {
    Unresolved::Trouble(Trouble::lasting(
        "InvalidConfiguration",
        format!("{problem}; correct the operator's Deployment"),
    ))
}
