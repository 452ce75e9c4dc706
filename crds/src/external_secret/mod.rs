//! ExternalSecret: which values of which backends go into which Secret.

mod data;
mod generator;
mod rewrite;
mod status;
mod target;
mod template;
#[cfg(test)]
mod tests;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    data::{
        ConversionStrategy, Data, DataFrom, DecodingStrategy, Find, FindName, MetadataPolicy, NullBytePolicy,
        RemoteRef, SourceRef,
    },
    generator::{GeneratorKind, GeneratorRef},
    rewrite::{ConflictPolicy, MergeStrategy, PriorityPolicy, Rewrite, RewriteMerge, RewriteRegexp, RewriteTransform},
    status::{Binding, ExternalSecretStatus, SyncedTarget},
    target::{CreationPolicy, DeletionPolicy, Target, TargetManifest},
    template::{
        EngineVersion, MergePolicy, Template, TemplateAs, TemplateFrom, TemplateItem, TemplateMetadata, TemplateSource,
    },
};
use crate::{GoDuration, SecretStoreRef, admission::problem};

/// What an ExternalSecret asks for.
#[allow(clippy::duplicated_attributes, reason = "columns may have the same type")]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "external-secrets.io",
    version = "v1",
    kind = "ExternalSecret",
    doc = "Keeps a Secret in step with values of a secret backend.",
    namespaced,
    status = "ExternalSecretStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "es",
    category = "external-secrets",
    selectable = ".spec.secretStoreRef.name",
    selectable = ".spec.secretStoreRef.kind",
    selectable = ".spec.target.name",
    selectable = ".spec.refreshInterval",
    printcolumn(name = "StoreType", type_ = "string", json_path = ".spec.secretStoreRef.kind"),
    printcolumn(name = "Store", type_ = "string", json_path = ".spec.secretStoreRef.name"),
    printcolumn(name = "Refresh Interval", type_ = "string", json_path = ".spec.refreshInterval"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.refreshTime")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "(has(self.data) && size(self.data) > 0) || (has(self.dataFrom) && size(self.dataFrom) > 0)",
    problem::NO_DATA,
))]
// The keys stand in a list of one list, so that they are put together once and not for each key. Longer lists than this
// would cost more than the API server spends on a rule; `admission` looks at those.
#[x_kube(validation = (
    "!has(self.data) || size(self.data) > 100 || (has(self.target) && has(self.target.deletionPolicy) \
     && self.target.deletionPolicy != 'Retain') || [self.data.map(entry, entry.secretKey)]\
     .all(keys, keys.all(key, keys.indexOf(key) == keys.lastIndexOf(key)))",
    problem::SAME_KEY,
))]
pub struct ExternalSecretSpec {
    /// The store that is read from, unless an entry names another with `sourceRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_store_ref: Option<SecretStoreRef>,
    /// What is written, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = { "creationPolicy": "Owner", "deletionPolicy": "Retain" }))]
    pub target: Option<Target>,
    /// When values are read again; Periodic where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_policy: Option<RefreshPolicy>,
    /// Time between two reads with refresh policy Periodic, such as 1h; 0 reads only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1h0m0s"))]
    pub refresh_interval: Option<GoDuration>,
    /// Times (UTC) at which periodic reads are allowed or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_windows: Option<SyncWindows>,
    /// Single values, each for one key of the Secret. They win over `dataFrom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub data: Option<Vec<Data>>,
    /// Whole sets of values. Later ones win.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub data_from: Option<Vec<DataFrom>>,
}

/// When values are read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RefreshPolicy {
    /// Never, once the Secret has been written.
    CreatedOnce,
    /// When the ExternalSecret changes.
    OnChange,
    /// At each interval, and when the ExternalSecret changes.
    #[default]
    Periodic,
}

/// Times at which periodic reads are allowed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindows {
    /// Whether the windows allow reads or deny them.
    pub kind: SyncWindowKind,
    /// The windows.
    #[schemars(length(min = 1, max = 100))]
    pub windows: Vec<SyncWindow>,
}

/// What a window is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncWindowKind {
    /// Reads happen only within a window.
    Allow,
    /// Reads never happen within a window.
    Deny,
}

/// One window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindow {
    /// When it opens: five cron fields, `@daily` and the like, or `@every 6h`.
    #[schemars(length(min = 1), regex(pattern = SCHEDULE))]
    pub schedule: String,
    /// How long it stays open.
    pub duration: GoDuration,
}

const SCHEDULE: &str =
    r"^(@(annually|yearly|monthly|weekly|daily|midnight|hourly)|@every [^\s]+.*|[^\s]+( [^\s]+){4})$";
