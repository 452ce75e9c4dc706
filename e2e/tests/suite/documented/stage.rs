//! Where the manifests of a page are tried.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::{Operator, OperatorSpec, condition, resource_of};
use kube::api::DeleteParams;
use kube::core::{DynamicObject, TypeMeta};
use kube::discovery::Scope;
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::page::Page;
use crate::support::{Manifest, Tenant, external_secret, secret_store};

/// A page, and a team with an operator that tries its sections one after the other.
pub(super) struct Stage {
    pub(super) tenant: Tenant<'static>,
    pub(super) page: Page,
    tried: BTreeSet<String>,
    provoked: BTreeSet<String>,
    operator: Operator,
}

/// What must differ from the page: each text on the left stands in the section once, and is replaced by that on the right.
pub(super) type Changes<'a> = &'a [(&'a str, &'a str)];

impl Stage {
    /// Starts an operator for a page such as `vault.md`; `prepare` may add to its environment.
    pub(super) async fn open(file: &str, prepare: impl FnOnce(OperatorSpec) -> OperatorSpec) -> Result<Self> {
        let page = Page::read(file)?;
        let tenant = Tenant::create(&format!("doc-{}", slug(file.trim_end_matches(".md")))).await?;
        // The page's store may have its name.
        tenant.delete("SecretStore", "vault").await?;
        let operator = start(&tenant, prepare).await?;
        Ok(Self { tenant, page, tried: BTreeSet::new(), provoked: BTreeSet::new(), operator })
    }

    /// Goes on with another operator, for a section that needs another environment.
    pub(super) async fn recast(&mut self, prepare: impl FnOnce(OperatorSpec) -> OperatorSpec) -> Result<()> {
        self.operator.terminate().await?;
        self.operator = start(&self.tenant, prepare).await?;
        Ok(())
    }

    /// A value that the manifests of a section hold, such as `/stringData/token` of the Secret therein.
    pub(super) fn value(&self, heading: &str, pointer: &str) -> Result<String> {
        let manifests = documents(&self.manifests(heading, &[])?)?;
        let found = manifests.iter().find_map(|manifest| manifest.pointer(pointer)?.as_str());
        found.map(str::to_owned).with_context(|| format!("the section \"{heading}\" has no {pointer}"))
    }

    /// The store of a section works, and an ExternalSecret that `read` completes gets `expected` from it.
    pub(super) async fn works(
        &mut self,
        heading: &str,
        changes: Changes<'_>,
        read: impl FnOnce(Manifest) -> Manifest,
        expected: &[(&str, &str)],
    ) -> Result<()> {
        let applied = self.apply(heading, changes).await?;
        let store = applied.iter().find(|object| kind(object).ends_with("SecretStore"));
        let store = store.with_context(|| format!("the section \"{heading}\" has no store"))?;
        let (name, kind) = (store.name_any(), kind(store).to_owned());
        let ready = self.tenant.namespace.wait_for_ready(&kind, &name, "True", &[]).await;
        ready.with_context(|| self.at(heading))?;
        let reader = slug(heading);
        let manifest = external_secret(&reader).store(&name).with("/spec/secretStoreRef/kind", kind);
        self.tenant.apply(&read(manifest)).await?;
        self.tenant.holds(&reader, expected).await.with_context(|| self.at(heading))?;
        Ok(())
    }

    /// As [`Stage::works`], of a ClusterSecretStore. Of the Secret that it refers to, it names these keys.
    pub(super) async fn works_anywhere(
        &mut self,
        heading: &str,
        keys: &[&str],
        changes: Changes<'_>,
        read: impl FnOnce(Manifest) -> Manifest,
        expected: &[(&str, &str)],
    ) -> Result<()> {
        let namespace = self.tenant.name();
        // The class keeps the operators of other tests away: they see the stores of the whole cluster.
        let class = format!("spec:\n  controller: {namespace}\n  provider:");
        let place =
            |behind: String| (format!("namespace: keyferry{behind}"), format!("namespace: {namespace}{behind}"));
        let own = ["\n".to_owned()].into_iter().chain(keys.iter().map(|key| format!(", key: {key}")));
        let own: Vec<_> = own.map(place).chain([("spec:\n  provider:".to_owned(), class)]).collect();
        let mut all: Vec<_> = own.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        all.extend(changes);
        self.works(heading, &all, read, expected).await
    }

    /// The ExternalSecret of a section gets `expected`.
    pub(super) async fn syncs(&mut self, heading: &str, expected: &[(&str, &str)]) -> Result<()> {
        let applied = self.apply(heading, &[]).await?;
        for object in applied.iter().filter(|object| kind(object) == "ExternalSecret") {
            self.tenant.holds(&object.name_any(), expected).await.with_context(|| self.at(heading))?;
        }
        Ok(())
    }

    /// Applies the manifests of a section. Objects of the same names that another section has made are deleted first, so
    /// that nothing of them is left.
    pub(super) async fn apply(&mut self, heading: &str, changes: Changes<'_>) -> Result<Vec<DynamicObject>> {
        let text = self.manifests(heading, changes)?;
        for manifest in documents(&text)? {
            self.delete(&manifest).await.with_context(|| self.at(heading))?;
        }
        let applied = self.tenant.namespace.apply(&text).await.with_context(|| self.at(heading))?;
        self.tried.insert(heading.to_owned());
        Ok(applied)
    }

    /// A new store of this provider says the error of the page that begins with `error`.
    pub(super) async fn store_says(&mut self, error: &str, name: &str, provider: Value) -> Result<()> {
        self.tenant.apply(&secret_store(name, provider)).await?;
        self.says(error, "SecretStore", name).await
    }

    /// A new ExternalSecret that reads from `store` says the error of the page that begins with `error`.
    pub(super) async fn reader_says(
        &mut self,
        error: &str,
        store: &str,
        read: impl FnOnce(Manifest) -> Manifest,
    ) -> Result<()> {
        let name = format!("wrong-{}", self.provoked.len());
        self.tenant.apply(&read(external_secret(&name).store(store))).await?;
        self.says(error, "ExternalSecret", &name).await
    }

    /// An object says the error of the page that begins with `error`.
    pub(super) async fn says(&mut self, error: &str, kind: &str, name: &str) -> Result<()> {
        let pattern = self.page.error(error)?;
        let parts: Vec<_> = pattern.parts().collect();
        let object = self.tenant.namespace.wait_for_ready(kind, name, "False", &parts).await?;
        let ready = condition(&object, "Ready").context("there is no condition Ready")?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(pattern.matches(message), "{} says {pattern:?}, the condition {message:?}", self.page.path());
        self.provoked.insert(error.to_owned());
        Ok(())
    }

    /// Fails unless every section with a manifest was tried, and at least three errors of the page were provoked.
    pub(super) fn close(self) -> Result<()> {
        for heading in self.page.with_manifests() {
            ensure!(self.tried.contains(heading), "{}: no test prepares the section \"{heading}\"", self.page.path());
        }
        ensure!(self.provoked.len() >= 3, "{}: only {} errors were provoked", self.page.path(), self.provoked.len());
        Ok(())
    }

    /// The manifests of a section, as one text.
    fn manifests(&self, heading: &str, changes: Changes<'_>) -> Result<String> {
        let mut text = self.page.section(heading)?.texts("yaml").join("---\n");
        for (documented, real) in changes {
            let times = text.matches(documented).count();
            ensure!(times == 1, "{}: {documented:?} stands {times} times there", self.at(heading));
            text = text.replace(documented, real);
        }
        Ok(text)
    }

    async fn delete(&self, manifest: &Value) -> Result<()> {
        let types: TypeMeta = serde_json::from_value(manifest.clone()).context("a manifest names no kind")?;
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str).context("a manifest has no name")?;
        let client = self.tenant.client();
        let (resource, scope) = resource_of(&client, &types).await?;
        let objects: Api<DynamicObject> = match scope {
            Scope::Cluster => Api::all_with(client, &resource),
            Scope::Namespaced => Api::namespaced_with(client, self.tenant.name(), &resource),
        };
        match objects.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => deleted.map(drop).with_context(|| format!("failed to delete {} {name}", types.kind)),
        }
    }

    fn at(&self, heading: &str) -> String {
        format!("{}, section \"{heading}\"", self.page.path())
    }
}

async fn start(tenant: &Tenant<'static>, prepare: impl FnOnce(OperatorSpec) -> OperatorSpec) -> Result<Operator> {
    let class = format!("--controller-class={}", tenant.name());
    prepare(tenant.operator().argument(class)).start().await
}

/// The kind of an object.
fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

fn documents(text: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(text).context("a manifest is not YAML")
}

/// A heading as a name that Kubernetes accepts.
fn slug(heading: &str) -> String {
    let words = heading.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
