//! Condition types, and the reasons of conditions and events. Alerts depend on them.

/// The condition type of all kinds.
pub const READY: &str = "Ready";

/// An ExternalSecret's target holds what its spec asks for.
pub const SECRET_SYNCED: &str = "SecretSynced";
/// An ExternalSecret could not be synced.
pub const SECRET_SYNCED_ERROR: &str = "SecretSyncedError";
/// The target was deleted, because the backend has nothing any more and the deletion policy asks for it.
pub const SECRET_DELETED: &str = "SecretDeleted";
/// There is no target to merge into.
pub const SECRET_MISSING: &str = "SecretMissing";

/// A store works.
pub const STORE_VALID: &str = "Valid";
/// A store does not work: wrong manifest, credentials or backend.
pub const STORE_INVALID_PROVIDER_CONFIG: &str = "InvalidProviderConfig";
/// Whether a store works could not be found out.
pub const STORE_VALIDATION_UNKNOWN: &str = "ValidationUnknown";

/// Event: the target was created.
pub const EVENT_CREATED: &str = "Created";
/// Event: the target was deleted.
pub const EVENT_DELETED: &str = "Deleted";
/// Event: the backend positively does not have a secret, and the deletion policy lets it go.
pub const EVENT_MISSING: &str = "MissingProviderSecret";
/// Event: a sync failed.
pub const EVENT_UPDATE_FAILED: &str = "UpdateFailed";
/// Event: the target was changed.
pub const EVENT_UPDATED: &str = "Updated";
