//! Rules of an ExternalSecret.

use std::collections::HashSet;

use super::{Found, Violation, problem};
use crate::{
    CreationPolicy, DataFrom, DeletionPolicy, ExternalSecretSpec, Rewrite, SourceRef, Target, Template, TemplateFrom,
};

/// Everything that cannot work in the spec of an ExternalSecret, whatever its stores are.
pub fn external_secret_violations(spec: &ExternalSecretSpec) -> Vec<Violation> {
    let mut found = Found::default();
    let (data, maps) = (spec.data.as_deref().unwrap_or_default(), spec.data_from.as_deref().unwrap_or_default());
    found.when(data.is_empty() && maps.is_empty(), "spec", problem::NO_DATA);
    let retained = spec.target.as_ref().and_then(|target| target.deletion_policy).unwrap_or_default();
    let mut keys = HashSet::new();
    let twice = data.iter().any(|entry| !keys.insert(&entry.secret_key));
    found.when(twice && retained == DeletionPolicy::Retain, "spec", problem::SAME_KEY);
    for (index, entry) in data.iter().enumerate() {
        source(entry.source_ref.as_ref(), &format!("spec.data[{index}]"), &mut found);
    }
    for (index, entry) in maps.iter().enumerate() {
        data_from(entry, &format!("spec.dataFrom[{index}]"), &mut found);
    }
    found.duration("spec.refreshInterval", spec.refresh_interval.as_ref());
    for (index, window) in spec.sync_windows.iter().flat_map(|windows| &windows.windows).enumerate() {
        found.duration(&format!("spec.syncWindows.windows[{index}].duration"), Some(&window.duration));
    }
    if let Some(into) = &spec.target {
        target(into, &mut found);
    }
    found.0
}

fn data_from(entry: &DataFrom, at: &str, found: &mut Found) {
    let generated = entry.source_ref.as_ref().is_some_and(|source| source.generator_ref.is_some());
    let asked = [entry.extract.is_some(), entry.find.is_some(), generated].into_iter().filter(|given| *given).count();
    found.when(asked == 0 && entry.source_ref.is_none(), at, problem::NO_FETCH);
    found.when(asked > 1, at, problem::SEVERAL_FETCHES);
    source(entry.source_ref.as_ref(), at, found);
    for (index, rewrite) in entry.rewrite.iter().flatten().enumerate() {
        let Rewrite { regexp, transform, merge } = rewrite;
        let changes = [regexp.is_some(), transform.is_some(), merge.is_some()].into_iter().filter(|given| *given);
        found.when(changes.count() != 1, format!("{at}.rewrite[{index}]"), problem::REWRITE);
    }
}

fn source(source: Option<&SourceRef>, at: &str, found: &mut Found) {
    let ambiguous = source.is_some_and(|source| source.store_ref.is_some() == source.generator_ref.is_some());
    found.when(ambiguous, format!("{at}.sourceRef"), problem::SOURCE);
}

fn target(target: &Target, found: &mut Found) {
    let at = "spec.target";
    let (creation, deletion) = (target.creation_policy.unwrap_or_default(), target.deletion_policy.unwrap_or_default());
    let own = matches!(creation, CreationPolicy::Owner | CreationPolicy::Orphan);
    found.when(deletion == DeletionPolicy::Delete && !own, at, problem::DELETE_SHARED);
    let unwritten = creation == CreationPolicy::None;
    found.when(deletion == DeletionPolicy::Merge && unwritten, at, problem::MERGE_NOTHING);
    let Some(what) = &target.template else { return };
    let manifest = target.manifest.as_ref();
    if manifest.is_none_or(|manifest| manifest.api_version == "v1" && manifest.kind == "Secret") {
        let known = |from: &TemplateFrom| ["", "data", "annotations", "labels"].contains(&&*part(from));
        let unknown = !what.template_from.iter().flatten().all(known);
        found.when(unknown, at, problem::TEMPLATE_TARGET);
    }
    template(what, "spec.target.template", found);
}

/// Secrets of these types have powers that whoever may write an ExternalSecret need not have.
fn template(template: &Template, at: &str, found: &mut Found) {
    let kind = template.type_.as_deref().unwrap_or_default();
    found.when(kind == "bootstrap.kubernetes.io/token", at, problem::BOOTSTRAP_TOKEN);
    if kind == "kubernetes.io/service-account-token" {
        let annotations = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
        let named = annotations.is_some_and(|all| all.contains_key("kubernetes.io/service-account.name"));
        found.when(named, at, problem::ACCOUNT_TOKEN);
        let annotated = template.template_from.iter().flatten().any(|from| part(from) == "annotations");
        found.when(annotated, at, problem::ACCOUNT_TOKEN_PERHAPS);
    }
}

/// The part of the target that a template makes, in lower case.
fn part(from: &TemplateFrom) -> String {
    from.target.as_deref().unwrap_or_default().to_ascii_lowercase()
}
