//! Akeyless.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaProvider, SecretKeySelector, ServiceAccountSelector, admission::problem};

/// Akeyless, through its gateway or its public API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AkeylessSpec {
    /// URL of the gateway's API; empty is `https://api.akeyless.io`.
    #[serde(rename = "akeylessGWApiURL")]
    #[x_kube(validation = ("self == '' || (isURL(self) && url(self).getHost() != '')", problem::URL))]
    #[schemars(length(max = 2048))]
    pub akeyless_gw_api_url: String,
    /// How to log in.
    pub auth_secret_ref: AkeylessAuth,
    /// CA certificates (PEM in Base64) that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "byte"))]
    pub ca_bundle: Option<String>,
    /// Where to read CA certificates from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
    /// Whether the gateway's cache is passed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_cache: Option<bool>,
}

/// How to log in. The three selectors may stand below `secretRef` or directly here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.kubernetesAuth) || (has(self.accessID) && has(self.accessID.name) && has(self.accessID.key)) \
     || (has(self.secretRef) && has(self.secretRef.accessID) && has(self.secretRef.accessID.name) \
     && has(self.secretRef.accessID.key))",
    problem::AKEYLESS_ACCESS_ID,
))]
pub struct AkeylessAuth {
    /// With a token of a ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_auth: Option<AkeylessKubernetesAuth>,
    /// With an access ID and what its type needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<AkeylessSecretRef>,
    /// ServiceAccount for the access type azure_ad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
    /// As `secretRef.accessID`.
    #[serde(rename = "accessID", skip_serializing_if = "Option::is_none")]
    pub access_id: Option<SecretKeySelector>,
    /// As `secretRef.accessType`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_type: Option<SecretKeySelector>,
    /// As `secretRef.accessTypeParam`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_type_param: Option<SecretKeySelector>,
}

/// An access ID and what its type needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AkeylessSecretRef {
    /// The access ID.
    #[serde(rename = "accessID", skip_serializing_if = "Option::is_none")]
    pub access_id: Option<SecretKeySelector>,
    /// Its type: api_key, access_key, k8s, aws_iam, azure_ad or gcp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_type: Option<SecretKeySelector>,
    /// What the type needs: the access key of an api_key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_type_param: Option<SecretKeySelector>,
}

/// The selectors that count, wherever they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AkeylessSelectors<'a> {
    /// The access ID.
    pub access_id: Option<&'a SecretKeySelector>,
    /// Its type.
    pub access_type: Option<&'a SecretKeySelector>,
    /// What the type needs.
    pub access_type_param: Option<&'a SecretKeySelector>,
}

impl AkeylessAuth {
    /// The selectors that count: for each, the one below `secretRef` if it names something, else the direct one.
    pub fn selectors(&self) -> AkeylessSelectors<'_> {
        let below = self.secret_ref.as_ref();
        AkeylessSelectors {
            access_id: first(below.and_then(|below| below.access_id.as_ref()), self.access_id.as_ref()),
            access_type: first(below.and_then(|below| below.access_type.as_ref()), self.access_type.as_ref()),
            access_type_param: first(
                below.and_then(|below| below.access_type_param.as_ref()),
                self.access_type_param.as_ref(),
            ),
        }
    }
}

fn first<'a>(
    below: Option<&'a SecretKeySelector>,
    direct: Option<&'a SecretKeySelector>,
) -> Option<&'a SecretKeySelector> {
    let named = |selector: &&SecretKeySelector| !selector.is_empty();
    below.filter(named).or(direct.filter(named))
}

/// Logs in with a token of a ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AkeylessKubernetesAuth {
    /// The access ID of the Kubernetes auth method.
    #[serde(rename = "accessID")]
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub access_id: String,
    /// Name of the gateway's Kubernetes auth configuration.
    #[serde(rename = "k8sConfName")]
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub k8s_conf_name: String,
    /// The ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
    /// A Secret that holds a token, where no ServiceAccount is named; its key is `token` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

#[cfg(test)]
mod tests {
    use super::AkeylessAuth;

    fn names(json: &str) -> [Option<String>; 3] {
        let auth: AkeylessAuth = serde_json::from_str(json).unwrap();
        let found = auth.selectors();
        [found.access_id, found.access_type, found.access_type_param]
            .map(|selector| selector.and_then(|selector| selector.name.clone()))
    }

    #[test]
    fn both_layouts_lead_to_the_same_selectors() {
        let expected = [Some("a".to_owned()), Some("b".to_owned()), Some("c".to_owned())];
        let three = r#""accessID":{"name":"a"},"accessType":{"name":"b"},"accessTypeParam":{"name":"c"}"#;
        assert_eq!(names(&format!("{{{three}}}")), expected);
        assert_eq!(names(&format!(r#"{{"secretRef":{{{three}}}}}"#)), expected);
    }

    #[test]
    fn what_stands_below_secret_ref_wins_unless_it_is_empty() {
        let below = |inner: &str| names(&format!(r#"{{"accessID":{{"name":"direct"}},"secretRef":{{{inner}}}}}"#));
        assert_eq!(below(r#""accessID":{"name":"below"}"#)[0].as_deref(), Some("below"));
        assert_eq!(below(r#""accessID":{}"#)[0].as_deref(), Some("direct"));
        assert_eq!(below(r#""accessType":{"name":"b"}"#)[0].as_deref(), Some("direct"));
    }
}
