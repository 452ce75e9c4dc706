//! Names that Keyferry and other operators of these kinds have agreed on.

/// API group of stores and ExternalSecrets.
pub const GROUP: &str = "external-secrets.io";
/// The version that is stored; the other one served is [`VERSION_BETA`].
pub const VERSION: &str = "v1";
/// The older version, with the same schema.
pub const VERSION_BETA: &str = "v1beta1";

/// Label with which a CustomResourceDefinition says that it belongs to the operator.
pub const LABEL_COMPONENT: &str = "external-secrets.io/component";
/// Label of a target: `true` where it is kept up to date by an ExternalSecret.
pub const LABEL_MANAGED: &str = "reconcile.external-secrets.io/managed";
/// Label of a target with creation policy Owner: a hash of namespace and name of the ExternalSecret.
pub const LABEL_CREATED_BY: &str = "reconcile.external-secrets.io/created-by";
/// Label of Secrets that the webhook provider may read; the value must be [`TYPE_WEBHOOK`].
pub const LABEL_TYPE: &str = "external-secrets.io/type";
/// Value of [`LABEL_TYPE`].
pub const TYPE_WEBHOOK: &str = "webhook";

/// Annotation of a target in which other operators keep a hash of its data.
pub const ANNOTATION_DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";
/// Annotation by which tools ask for a sync. On an ExternalSecret any change of a label or annotation does the same.
pub const ANNOTATION_FORCE_SYNC: &str = "external-secrets.io/force-sync";
/// Annotation of a store that silences warnings about how well its provider is maintained.
pub const ANNOTATION_IGNORE_MAINTENANCE_CHECKS: &str = "external-secrets.io/ignore-maintenance-checks";

/// Finalizer of ExternalSecrets.
pub const FINALIZER_EXTERNAL_SECRET: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";
/// Finalizer of stores that other operators write to.
pub const FINALIZER_STORE: &str = "secretstore.externalsecrets.io/finalizer";
