//! Which namespaces may use a ClusterSecretStore.

use std::collections::BTreeMap;

use keyferry_crds::{ClusterSecretStoreCondition, SecretStoreSpec};
use kube::core::{Selector, SelectorExt};

use crate::{cluster::StoreKey, trouble::Trouble};

/// Refuses a namespace that no condition of the store lets in. Without conditions everybody is let in.
pub(super) fn check(
    key: &StoreKey,
    spec: &SecretStoreSpec,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<(), Trouble> {
    let conditions = spec.conditions.as_deref().unwrap_or_default();
    if conditions.is_empty() || conditions.iter().any(|condition| lets_in(condition, namespace, labels)) {
        return Ok(());
    }
    let text = format!(
        "using cluster store \"{}\" is not allowed from namespace \"{namespace}\": denied by spec.condition; add the \
         namespace to the store's conditions",
        key.object.name
    );
    Err(Trouble::lasting("AccessDenied", text))
}

fn lets_in(
    condition: &ClusterSecretStoreCondition,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> bool {
    let named = condition.namespaces.iter().flatten().any(|name| name == namespace);
    let matched = condition.namespace_regexes.iter().flatten().any(|pattern| {
        // One that does not compile is told by the store's own check, and lets nobody in.
        regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(namespace))
    });
    let selected = match (&condition.namespace_selector, labels) {
        (Some(selector), Some(labels)) => selected(selector, labels),
        _ => false,
    };
    named || matched || selected
}

fn selected(
    selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    labels: &BTreeMap<String, String>,
) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}
