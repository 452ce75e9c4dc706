//! Whose a Secret is. Pure.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::core::v1::Secret;
use keyferry_crds::keys;

use super::{
    sync::{Creation, ValidSync},
    version,
};

/// Why a target must not be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its controller is something else.
    Controlled { kind: String, name: String },
    /// Nobody says that it is an ExternalSecret's.
    Foreign,
    /// It is immutable and would have to change.
    Immutable,
    /// Another ExternalSecret has it.
    Rival(String),
    /// It is of a type whose content Kubernetes itself acts on.
    Privileged(String),
}

impl Refusal {
    /// The condition's words that tools know from other operators.
    pub(crate) fn known_as(&self) -> &'static str {
        match self {
            Self::Controlled { .. } | Self::Foreign | Self::Privileged(_) => {
                "failed to take ownership of target secret"
            }
            Self::Immutable => "could not update secret, target is immutable",
            Self::Rival(_) => "target is owned by another ExternalSecret",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controlled { kind, name } => write!(
                f,
                "it is controlled by {kind} \"{name}\"; choose another spec.target.name or delete that {kind}"
            ),
            Self::Foreign => write!(
                f,
                "it exists and was not written by an ExternalSecret; choose another spec.target.name, delete it, or \
                 hand it over with `kubectl label secret <name> {}=true`",
                keys::LABEL_MANAGED
            ),
            Self::Immutable => f.write_str("delete it to have it written anew, or set spec.target.immutable"),
            Self::Rival(name) => {
                write!(f, "ExternalSecret \"{name}\" has it; choose another spec.target.name for one of them")
            }
            Self::Privileged(kind) => write!(f, "it is of type {kind}, which must not be written from outside"),
        }
    }
}

/// Types that give whoever fills them rights in the cluster.
const PRIVILEGED: [&str; 2] = ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/// Why `want` must not touch `live`, if so.
pub(super) fn refusal(want: &ValidSync, live: &Secret) -> Option<Refusal> {
    if let Some(kind) = live.type_.as_deref().filter(|kind| PRIVILEGED.contains(kind)) {
        return Some(Refusal::Privileged(kind.to_owned()));
    }
    let controller = live.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if let Some(owner) = controller {
        let external_secret = owner.kind == "ExternalSecret" && owner.api_version.starts_with(keys::GROUP);
        return match (external_secret, want.target.creation) {
            (true, _) if owner.name == *want.key.name => None,
            (true, _) => Some(Refusal::Rival(owner.name.clone())),
            (false, Creation::Owner) => {
                Some(Refusal::Controlled { kind: owner.kind.clone(), name: owner.name.clone() })
            }
            (false, Creation::Orphan) => (!is_managed(live)).then_some(Refusal::Foreign),
        };
    }
    let written_by_us = !managers(live, &want.key.name).is_empty();
    (!is_managed(live) && !written_by_us).then_some(Refusal::Foreign)
}

fn is_managed(live: &Secret) -> bool {
    let labels = live.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(keys::LABEL_MANAGED)).is_some_and(|value| value == "true")
}

/// Keys of a metadata map (`f:labels`, `f:annotations`) that this ExternalSecret's earlier writes set.
pub(super) fn manager_owned(live: &Secret, name: &str, map: &str) -> BTreeSet<String> {
    let fields = managers(live, name);
    let keys = fields.iter().filter_map(|fields| fields.get("f:metadata")?.get(map)?.as_object());
    keys.flat_map(|fields| fields.keys()).filter_map(|key| key.strip_prefix("f:")).map(str::to_owned).collect()
}

/// What was written under this ExternalSecret's name. Other operators hash long names in two ways.
fn managers<'a>(live: &'a Secret, name: &str) -> Vec<&'a serde_json::Value> {
    let names = [version::field_manager(name), format!("{}{name}", version::PREFIX)];
    let entries = live.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| entry.manager.as_ref().is_some_and(|manager| names.contains(manager)))
        .filter_map(|entry| entry.fields_v1.as_ref().map(|fields| &fields.0))
        .collect()
}
