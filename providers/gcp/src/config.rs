//! What a store says.

use crate::{Auth, Environment};

/// A store of Google Cloud Secret Manager, its references resolved.
#[derive(Clone, Debug)]
pub struct GcpConfig {
    /// How to log in.
    pub auth: Auth,
    /// What the process's surroundings say.
    pub environment: Environment,
    /// `location`: the region whose regional secrets are read; without it, the global secrets are.
    pub location: Option<String>,
    /// `projectID`. Without it, it is the project of the cluster that the login names, or the one that the metadata
    /// server tells; a service account key does not stand in for it.
    pub project: Option<String>,
    /// `secretVersionSelectionPolicy`.
    pub version_selection: VersionSelection,
}

/// What the newest version is when nobody asks for a certain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VersionSelection {
    /// The one that was added last; an error if it is disabled or destroyed.
    #[default]
    LatestOrFail,
    /// The one that was added last, or, if it is disabled or destroyed, the newest that is enabled.
    LatestOrFetch,
}
