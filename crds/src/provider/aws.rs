//! AWS Secrets Manager, Parameter Store and Certificate Manager.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    SecretKeySelector, ServiceAccountSelector,
    admission::problem::{self, AWS_REGION_PATTERN},
};

/// AWS Secrets Manager, Parameter Store or Certificate Manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSpec {
    /// Which service.
    pub service: AwsService,
    /// Region, such as eu-central-1.
    #[schemars(length(max = 64))]
    #[x_kube(validation = (format!("self.matches('{AWS_REGION_PATTERN}')").as_str(), problem::AWS_REGION))]
    pub region: String,
    /// How to log in; as the operator's own Pod where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,
    /// Role that is assumed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Roles that are assumed before, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_roles: Option<Vec<String>>,
    /// External ID with which `role` is assumed.
    #[serde(rename = "externalID", skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Tags of the session with which `role` is assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_tags: Option<Vec<AwsSessionTag>>,
    /// Keys of session tags that go on to roles assumed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transitive_tag_keys: Option<Vec<String>>,
    /// Whether the session is tagged with the namespace and the store.
    #[serde(default)]
    pub session_tags_policy: AwsSessionTagsPolicy,
    /// More tags, with session tags policy Custom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = (
        "!('esoNamespace' in self) && !('esoStoreName' in self) && !('esoStoreKind' in self)",
        problem::AWS_SESSION_TAGS,
    ))]
    pub custom_session_tags: Option<BTreeMap<String, String>>,
    /// Put before every key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How Secrets Manager deletes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<SecretsManager>,
}

/// Services of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AwsService {
    /// Certificate Manager.
    CertificateManager,
    /// Parameter Store of Systems Manager.
    ParameterStore,
    /// Secrets Manager.
    SecretsManager,
}

/// How to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsAuth {
    /// With tokens of a ServiceAccount that names a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<AwsJwtAuth>,
    /// With an access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<AwsSecretRef>,
}

/// Tokens of a ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsJwtAuth {
    /// The ServiceAccount, with the annotation `eks.amazonaws.com/role-arn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
}

/// An access key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSecretRef {
    /// Its ID.
    #[serde(rename = "accessKeyIDSecretRef", skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<SecretKeySelector>,
    /// The key itself.
    #[serde(rename = "secretAccessKeySecretRef", skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretKeySelector>,
    /// The token of a temporary key.
    #[serde(rename = "sessionTokenSecretRef", skip_serializing_if = "Option::is_none")]
    pub session_token: Option<SecretKeySelector>,
}

/// A tag of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSessionTag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Whether a session is tagged with the namespace and the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AwsSessionTagsPolicy {
    /// With these and with `customSessionTags`.
    Custom,
    /// No.
    #[default]
    None,
    /// With these, instead of `sessionTags`.
    Simple,
}

/// How Secrets Manager deletes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.recoveryWindowInDays) || self.recoveryWindowInDays == 0 \
     || !has(self.forceDeleteWithoutRecovery) || !self.forceDeleteWithoutRecovery",
    problem::AWS_FORCED,
))]
pub struct SecretsManager {
    /// At once, without a way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_delete_without_recovery: Option<bool>,
    /// How long a deleted secret can be restored: 7 to 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == 0 || (self >= 7 && self <= 30)", problem::AWS_RECOVERY_WINDOW))]
    pub recovery_window_in_days: Option<i64>,
}
