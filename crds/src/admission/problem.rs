//! What can be wrong with a manifest, and the remedy: the same words in the API server's answer and in a condition. Each
//! continues a sentence that begins with the field.

/// A text that must say something.
pub(crate) const EMPTY: &str = "is empty: set it";
/// A selector without key.
pub(crate) const KEY: &str = "names no key: set key to the key of the Secret that holds the value";
/// A selector without name or key.
pub(crate) const NAME_AND_KEY: &str = "names no Secret or no key of it: set name and key";
/// A reference of a ClusterSecretStore that leaves the namespace open.
pub(crate) const NAMESPACE: &str = "names no namespace, and a ClusterSecretStore has none of its own: set namespace";
/// No backend, several, or an unknown one.
pub(crate) const PROVIDER: &str = "needs exactly one of akeyless, aws, azurekv, fake, gcpsm, infisical, kubernetes, vault \
                                   and webhook; this operator knows no other";
/// An address without host.
pub(crate) const URL: &str = "has no host: write a URL such as https://api.akeyless.io";

/// Akeyless without credentials.
pub(crate) const AKEYLESS_ACCESS_ID: &str =
    "names no access ID: set accessID.name and accessID.key, here or below secretRef, or kubernetesAuth";

/// A deletion both at once and with a way back.
pub(crate) const AWS_FORCED: &str = "asks for deletion both at once and with a recovery window: remove forceDeleteWithoutRecovery or recoveryWindowInDays";
/// Something that is no region.
pub(crate) const AWS_REGION: &str = "is not a region of AWS: write one such as eu-central-1";
/// What every region looks like.
pub(crate) const AWS_REGION_PATTERN: &str = "^[a-z]{2,}(-[a-z]+)+-[0-9]+$";
/// A recovery window that AWS does not have.
pub(crate) const AWS_RECOVERY_WINDOW: &str = "is not a recovery window that AWS knows: choose 7 to 30 days";
/// Tags that the operator sets.
pub(crate) const AWS_SESSION_TAGS: &str =
    "has a tag that the operator sets itself: remove esoNamespace, esoStoreName and esoStoreKind";

/// Endpoints that only one way to log in knows.
pub(crate) const AZURE_SDK: &str =
    "has customCloudConfig, which works only with the newer SDK: set useAzureSDK to true";
/// A cloud without endpoints.
pub(crate) const AZURE_STACK: &str =
    "has environmentType AzureStackCloud, whose endpoints differ: add customCloudConfig";

/// No way to log in, or several.
pub(crate) const KUBERNETES_AUTH: &str = "needs exactly one of cert, token and serviceAccount";

/// Check-and-set where there are no versions.
pub(crate) const VAULT_CHECK_AND_SET: &str = "has checkAndSet, which the KV engine v1 does not know: remove it, or set \
                                              version to v2";
/// JWT auth without a JWT.
pub(crate) const VAULT_JWT: &str = "names no JWT: set secretRef or kubernetesServiceAccountToken";
/// AppRole without a role.
pub(crate) const VAULT_ROLE: &str = "names no role: set roleId, or roleRef to a Secret that holds it";
/// Half of a client certificate.
pub(crate) const VAULT_TLS: &str = "has a certificate without key, or a key without certificate: set both certSecretRef \
                                    and keySecretRef";

/// Auth without a method.
pub(crate) const WEBHOOK_AUTH: &str = "names no method: set ntlm, or remove auth";

/// An ExternalSecret that asks for nothing.
pub(crate) const NO_DATA: &str = "has neither data nor dataFrom: add an entry that says what to fetch";
/// Two values for one key.
pub(crate) const SAME_KEY: &str = "has two entries of data with the same secretKey: rename one, or remove it";
/// An entry of dataFrom that asks for nothing.
pub(crate) const NO_FETCH: &str = "says nothing to fetch: add extract, find, or sourceRef.generatorRef";
/// An entry of dataFrom that asks for several things.
pub(crate) const SEVERAL_FETCHES: &str =
    "has more than one of extract, find and sourceRef.generatorRef: make an entry of dataFrom for each";
/// No source, or two.
pub(crate) const SOURCE: &str = "needs exactly one of storeRef and generatorRef";
/// No change of keys, or several.
pub(crate) const REWRITE: &str = "needs exactly one of regexp, transform and merge: make an entry of rewrite for each";

/// Deleting a Secret that is not ours alone.
pub(crate) const DELETE_SHARED: &str = "has deletionPolicy Delete, which needs a Secret of its own: set creationPolicy to \
                                        Owner or Orphan, or choose another deletionPolicy";
/// Removing keys that are never written.
pub(crate) const MERGE_NOTHING: &str =
    "has deletionPolicy Merge, but creationPolicy None writes nothing to merge into: choose another of the two";
/// A template for what Secrets do not have.
pub(crate) const TEMPLATE_TARGET: &str =
    "has a templateFrom whose target a Secret does not have: use Data, Annotations or Labels";
/// A Secret with which a machine can join the cluster.
pub(crate) const BOOTSTRAP_TOKEN: &str =
    "makes a bootstrap token, with which anybody could join the cluster: use another type";
/// A Secret that the cluster would fill with a ServiceAccount's token.
pub(crate) const ACCOUNT_TOKEN: &str =
    "makes a token of a ServiceAccount: remove the annotation kubernetes.io/service-account.name, or use another type";
/// The same, as far as one can tell before the template is rendered.
pub(crate) const ACCOUNT_TOKEN_PERHAPS: &str =
    "could make a token of a ServiceAccount: remove the templateFrom with target Annotations, or use another type";
