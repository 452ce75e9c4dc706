//! Reads what a store refers to: credentials, CA bundles, ServiceAccounts. Happens once, before a provider exists;
//! a provider gets plain values.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use keyferry_core::{SecretBytes, TokenSource};
use keyferry_crds::{CaProvider, CaProviderType, SecretKeySelector, ServiceAccountSelector};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::{
    scope::{CheckedRef, Open, RefError, Referent, Scope},
    token::RequestedTokens,
};
use crate::{
    cluster::{Meta, StoreKey, error_text},
    trouble::Trouble,
};

/// Something that a provider was built from, and the state that it was in. Where it was not there, its coming is
/// waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) on: CheckedRef,
    pub(crate) state: Option<Meta>,
}

/// What resolving a reference can come to, short of a value.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// It depends on who uses the store, and nobody does at the moment: the store's own check goes without it.
    NobodyAsks,
    /// It cannot be had.
    Trouble(Trouble),
}

/// Resolves the references of one store, and remembers what it saw.
pub(crate) struct Resolver<'a> {
    client: Client,
    store: &'a StoreKey,
    scope: Scope<'a>,
    /// What the fields that callers name stand below, for messages.
    below: &'static str,
    dependencies: Vec<Dependency>,
    fingerprint: <RandomState as BuildHasher>::Hasher,
}

impl<'a> Resolver<'a> {
    /// `key` is this process's own, so that fingerprints tell nothing to anybody else.
    pub(super) fn new(client: Client, store: &'a StoreKey, scope: Scope<'a>, key: &RandomState) -> Self {
        Self { client, store, scope, below: "", dependencies: Vec::new(), fingerprint: key.build_hasher() }
    }

    /// Makes the fingerprint that of this state of this store.
    pub(super) fn stamp(&mut self, uid: &str, generation: i64) {
        self.fingerprint.write(uid.as_bytes());
        self.fingerprint.write_i64(generation);
    }

    /// The store that is built.
    pub(super) fn store(&self) -> &'a StoreKey {
        self.store
    }

    /// The namespace of whoever asks, where that makes a difference to the backend.
    pub(super) fn consumer(&mut self) -> Result<&'a str, Unresolved> {
        let namespace = match self.scope {
            Scope::Cluster { consumer } => consumer.ok_or(Unresolved::NobodyAsks)?,
            Scope::Namespace(own) => own,
        };
        self.stamp_text(namespace);
        Ok(namespace)
    }

    /// Whether the store may log in with the token of the operator's own ServiceAccount. Whoever may write a SecretStore
    /// names its server, and would be handed a token that reads every Secret of the cluster.
    pub(super) fn own_token(&self, field: &str) -> Result<PathBuf, Unresolved> {
        let problem = "would send the operator's own token to the server that this SecretStore names; log in with a \
                       ServiceAccount of the namespace, or use a ClusterSecretStore";
        self.for_cluster_stores(field, problem)?;
        Ok(PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token"))
    }

    /// Whether the store may show its server something of the operator's that no namespace owns.
    pub(super) fn may_show(&self, what: &str, field: &str) -> Result<(), Unresolved> {
        let problem = "to the server that this SecretStore names; use another method, or a ClusterSecretStore";
        self.for_cluster_stores(field, format!("would show {what} {problem}"))
    }

    /// Whoever may write a SecretStore names its server, so what is the operator's goes there from a ClusterSecretStore
    /// only.
    fn for_cluster_stores(&self, field: &str, problem: impl fmt::Display) -> Result<(), Unresolved> {
        match self.scope {
            Scope::Cluster { .. } => Ok(()),
            Scope::Namespace(_) => Err(self.invalid(field, problem)),
        }
    }

    /// With an end mark, so that two texts never look like two others.
    fn stamp_text(&mut self, text: impl AsRef<[u8]>) {
        self.fingerprint.write(text.as_ref());
        self.fingerprint.write_u8(0xff);
    }

    /// Names of fields are told as they stand below this one.
    pub(super) fn within(&mut self, below: &'static str) -> &mut Self {
        self.below = below;
        self
    }

    /// Something in the manifest at `field` that cannot work.
    pub(crate) fn invalid(&self, field: &str, problem: impl fmt::Display) -> Unresolved {
        Unresolved::Trouble(Trouble::lasting("InvalidConfiguration", format!("{}.{field} {problem}", self.below)))
    }

    fn missing(&self, field: &str, problem: impl fmt::Display) -> Unresolved {
        Unresolved::Trouble(Trouble::lasting("MissingCredential", format!("{}.{field}: {problem}", self.below)))
    }

    /// Everything that was read, and a fingerprint of all values.
    pub(super) fn finish(self) -> (Vec<Dependency>, u64) {
        (self.dependencies, self.fingerprint.finish())
    }

    /// The value that `selector` at `field` names; `default_key` is the key where it names none.
    pub(crate) async fn secret(
        &mut self,
        field: &str,
        selector: &SecretKeySelector,
        default_key: Option<&str>,
        open: Open,
    ) -> Result<SecretBytes, Unresolved> {
        let key = self.key(field, selector, default_key)?;
        let on = self.check(Referent::Secret, field, selector.name.as_deref(), selector.namespace.as_deref(), open)?;
        let secret: Secret = self.read(field, &on).await?;
        let value = secret.data.and_then(|mut data| data.remove(key)).map(|bytes| SecretBytes::new(bytes.0));
        let value = value.ok_or_else(|| self.missing(field, format!("{on} has no key \"{key}\"; add it")))?;
        self.stamp_text(value.expose());
        Ok(value)
    }

    /// As [`Resolver::secret`], where a selector that is absent or names nothing stands for no value.
    pub(crate) async fn optional_secret(
        &mut self,
        field: &str,
        selector: Option<&SecretKeySelector>,
        open: Open,
    ) -> Result<Option<SecretBytes>, Unresolved> {
        match selector.filter(|selector| !selector.is_empty()) {
            Some(selector) => self.secret(field, selector, None, open).await.map(Some),
            None => Ok(None),
        }
    }

    /// Tokens of the ServiceAccount that `selector` at `field` names.
    pub(crate) async fn tokens(
        &mut self,
        field: &str,
        selector: &ServiceAccountSelector,
    ) -> Result<Arc<dyn TokenSource>, Unresolved> {
        let namespace = selector.namespace.as_deref();
        let on = self.check(Referent::ServiceAccount, field, Some(&selector.name), namespace, Open::Allowed)?;
        let account: ServiceAccount = self.read(field, &on).await?;
        let annotations: BTreeMap<_, _> = account.metadata.annotations.unwrap_or_default();
        let audiences = selector.audiences.clone().unwrap_or_default();
        // Clouds tie identities to annotations; the uid, because a namesake that was created anew is somebody else.
        self.stamp_text(account.metadata.uid.unwrap_or_default());
        for (key, value) in &annotations {
            self.stamp_text(key);
            self.stamp_text(value);
        }
        let client = self.client.clone();
        Ok(Arc::new(RequestedTokens::new(client, on, annotations, audiences)))
    }

    /// The certificates that a store trusts instead of the system's, from `caBundle` or `caProvider`.
    pub(crate) async fn roots(
        &mut self,
        bundle: Option<&str>,
        provider: Option<&CaProvider>,
    ) -> Result<Option<Vec<u8>>, Unresolved> {
        let pem = match (bundle.filter(|bundle| !bundle.is_empty()), provider) {
            (Some(bundle), _) => bundle.as_bytes().to_vec(),
            (None, Some(provider)) => self.provided_roots(provider).await?,
            (None, None) => return Ok(None),
        };
        self.stamp_text(&pem);
        Ok(Some(pem))
    }

    async fn provided_roots(&mut self, provider: &CaProvider) -> Result<Vec<u8>, Unresolved> {
        let (field, namespace) = ("caProvider", provider.namespace.as_deref());
        let key = provider.key.as_deref().filter(|key| !key.is_empty()).unwrap_or("ca.crt");
        match provider.type_ {
            CaProviderType::ConfigMap => self.config_map(field, &provider.name, namespace, key, Open::Forbidden).await,
            CaProviderType::Secret => {
                let mut keys = self.whole_secret(field, &provider.name, namespace, Open::Forbidden).await?;
                let pem = keys.remove(key).ok_or_else(|| self.lacks(field, Referent::Secret, &provider.name, key))?;
                Ok(pem.expose().to_vec())
            }
        }
    }

    /// One key of a ConfigMap.
    pub(super) async fn config_map(
        &mut self,
        field: &str,
        name: &str,
        namespace: Option<&str>,
        key: &str,
        open: Open,
    ) -> Result<Vec<u8>, Unresolved> {
        let on = self.check(Referent::ConfigMap, field, Some(name), namespace, open)?;
        let map: ConfigMap = self.read(field, &on).await?;
        let text = map.data.and_then(|mut data| data.remove(key)).map(String::into_bytes);
        let bytes = text.or_else(|| map.binary_data.and_then(|mut data| data.remove(key)).map(|bytes| bytes.0));
        let bytes = bytes.ok_or_else(|| self.lacks(field, Referent::ConfigMap, name, key))?;
        self.stamp_text(&bytes);
        Ok(bytes)
    }

    /// Every key of a Secret.
    pub(super) async fn whole_secret(
        &mut self,
        field: &str,
        name: &str,
        namespace: Option<&str>,
        open: Open,
    ) -> Result<BTreeMap<String, SecretBytes>, Unresolved> {
        let on = self.check(Referent::Secret, field, Some(name), namespace, open)?;
        let secret = self.read(field, &on).await?;
        Ok(self.keys(secret))
    }

    /// Every key of a Secret that must carry a label.
    pub(super) async fn labelled_secret(
        &mut self,
        field: &str,
        name: &str,
        namespace: Option<&str>,
        open: Open,
        (label, value): (&str, &str),
    ) -> Result<BTreeMap<String, SecretBytes>, Unresolved> {
        let on = self.check(Referent::Secret, field, Some(name), namespace, open)?;
        let secret: Secret = self.read(field, &on).await?;
        if secret.metadata.labels.as_ref().and_then(|labels| labels.get(label)).is_none_or(|have| have != value) {
            return Err(self.invalid(field, format!("names {on}, which lacks the label {label}={value}; set it")));
        }
        Ok(self.keys(secret))
    }

    /// As [`Resolver::secret`], of a Secret that must carry a label.
    pub(super) async fn labelled_value(
        &mut self,
        field: &str,
        selector: &SecretKeySelector,
        open: Open,
        label: (&str, &str),
    ) -> Result<SecretBytes, Unresolved> {
        let (key, name) = (self.key(field, selector, None)?, selector.name.as_deref().unwrap_or_default());
        let mut keys = self.labelled_secret(field, name, selector.namespace.as_deref(), open, label).await?;
        keys.remove(key).ok_or_else(|| self.lacks(field, Referent::Secret, name, key))
    }

    fn key<'s>(
        &self,
        field: &str,
        selector: &'s SecretKeySelector,
        default: Option<&'s str>,
    ) -> Result<&'s str, Unresolved> {
        let key = selector.key.as_deref().filter(|key| !key.is_empty()).or(default);
        key.ok_or_else(|| self.invalid(field, "has no `key`; name a key of the Secret"))
    }

    fn keys(&mut self, secret: Secret) -> BTreeMap<String, SecretBytes> {
        let keys = secret.data.unwrap_or_default().into_iter();
        let keys: BTreeMap<_, _> = keys.map(|(key, bytes)| (key, SecretBytes::new(bytes.0))).collect();
        for (key, value) in &keys {
            self.stamp_text(key);
            self.stamp_text(value.expose());
        }
        keys
    }

    fn lacks(&self, field: &str, kind: Referent, name: &str, key: &str) -> Unresolved {
        self.missing(field, format!("{} \"{name}\" has no key \"{key}\"; add it", kind.as_str()))
    }

    fn check(
        &mut self,
        kind: Referent,
        field: &str,
        name: Option<&str>,
        namespace: Option<&str>,
        open: Open,
    ) -> Result<CheckedRef, Unresolved> {
        self.scope.check(kind, name, namespace, open).map_err(|error| match error {
            RefError::NobodyAsks => Unresolved::NobodyAsks,
            error => self.invalid(field, error),
        })
    }

    async fn read<K>(&mut self, field: &str, on: &CheckedRef) -> Result<K, Unresolved>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + DeserializeOwned + fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &on.key().namespace);
        match api.get_opt(&on.key().name).await {
            Ok(found) => {
                let state = found.as_ref().map(|object| Meta::of(object.meta()));
                self.dependencies.push(Dependency { on: on.clone(), state });
                found.ok_or_else(|| self.missing(field, format!("{on} does not exist; create it")))
            }
            Err(kube::Error::Api(status)) if status.code == 403 => Err(Unresolved::Trouble(Trouble::lasting(
                "AccessDenied",
                format!("{}.{field}: the operator may not read {on}; grant it `get`", self.below),
            ))),
            Err(error) => Err(Unresolved::Trouble(Trouble::passing(
                "KubernetesUnreachable",
                format!("{}.{field}: failed to read {on}: {}", self.below, error_text(&error)),
            ))),
        }
    }
}

impl From<keyferry_core::Error> for Unresolved {
    fn from(error: keyferry_core::Error) -> Self {
        Self::Trouble(Trouble::of_backend("spec.provider", &error))
    }
}
