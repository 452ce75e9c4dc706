//! Checks of manifests that go beyond their types.
//!
//! Most of them also stand as CEL rules beside the types, so that the API server refuses a wrong manifest at once. Here
//! they are made again, with those that CEL cannot say: a rule cannot see its object's namespace, and objects that were
//! stored before our rules were there never met them.

mod external_secret;
pub(crate) mod problem;
mod provider;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

pub use self::external_secret::external_secret_violations;
use crate::{CheckInterval, GoDuration, SecretStoreSpec, duration};

/// Where a store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// It is a ClusterSecretStore.
    Cluster,
    /// It is a SecretStore in this namespace.
    Namespace(&'a str),
}

/// Something that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, such as `spec.provider.vault.auth.appRole`.
    pub field: String,
    /// Cause and remedy; continues a sentence that begins with the field.
    pub problem: Cow<'static, str>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

/// Everything that cannot work in the spec of a store.
pub fn violations(spec: &SecretStoreSpec, scope: Scope<'_>) -> Vec<Violation> {
    let mut found = Found::default();
    if let Some(Err(error)) = spec.refresh_interval.as_ref().map(CheckInterval::duration) {
        found.add("spec.refreshInterval", error);
    }
    let retry = spec.retry_settings.as_ref().and_then(|settings| settings.retry_interval.as_ref());
    found.duration("spec.retrySettings.retryInterval", retry);
    regexes(spec, &mut found);
    provider::check(&spec.provider, &mut found);
    namespaces(spec, scope, &mut found);
    found.0
}

fn regexes(spec: &SecretStoreSpec, found: &mut Found) {
    for (at, condition) in spec.conditions.iter().flatten().enumerate() {
        for (index, pattern) in condition.namespace_regexes.iter().flatten().enumerate() {
            if regex::Regex::new(pattern).is_err() {
                let field = format!("spec.conditions[{at}].namespaceRegexes[{index}]");
                found.add(field, format!("is not a regular expression: correct \"{pattern}\""));
            }
        }
    }
}

fn namespaces(spec: &SecretStoreSpec, scope: Scope<'_>, found: &mut Found) {
    for reference in spec.references() {
        match (scope, reference.namespace) {
            (Scope::Namespace(own), Some(other)) if own != other => found.add(
                reference.field,
                format!(
                    "names the namespace \"{other}\", but a SecretStore reads only from its own: remove namespace, or \
                     use a ClusterSecretStore"
                ),
            ),
            (Scope::Cluster, None) if reference.needs_namespace => found.add(reference.field, problem::NAMESPACE),
            _ => {}
        }
    }
}

/// Violations, as they are found.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<Cow<'static, str>>) {
        self.0.push(Violation { field: field.into(), problem: problem.into() });
    }

    fn when(&mut self, wrong: bool, field: impl Into<String>, problem: &'static str) {
        if wrong {
            self.add(field, problem);
        }
    }

    fn duration(&mut self, field: &str, duration: Option<&GoDuration>) {
        let unreadable = duration.is_some_and(|duration| duration.duration().is_err());
        self.when(unreadable, field, duration::PROBLEM);
    }
}
