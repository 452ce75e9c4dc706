//! What a store says about its Akeyless gateway.

use std::{fmt, str::FromStr, sync::Arc};

use keyferry_core::{Error, ErrorKind, Result, SecretBytes, TokenSource};
use keyferry_rest::Tls;

use crate::{PROVIDER, environment::Environment};

/// One store's settings, with every reference resolved. White space around a credential makes no difference.
#[derive(Clone, Debug)]
pub struct AkeylessConfig {
    /// `akeylessGWApiURL`; empty is Akeyless's own service.
    pub gateway_url: String,
    /// `accessID`.
    pub access_id: SecretBytes,
    /// How the access id proves itself.
    pub auth: Auth,
    /// What the process's surroundings say, for the clouds' access types.
    pub environment: Environment,
    /// `ignoreCache`: values come from Akeyless itself, not from the gateway's cache.
    pub ignore_cache: bool,
    /// `caBundle` or `caProvider`.
    pub tls: Tls,
}

/// How an access id proves itself.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Access types `api_key` and `access_key`.
    AccessKey {
        /// `accessTypeParam`.
        access_key: SecretBytes,
    },
    /// Access type `aws_iam`: the AWS identity of the operator's pod.
    AwsIam,
    /// Access type `azure_ad`.
    AzureAd {
        /// `accessTypeParam`: with a ServiceAccount the client id, where that has no annotation that says so; otherwise
        /// the object id of a managed identity of the operator's node. Without both, the operator's own identity.
        id: Option<SecretBytes>,
        /// `authSecretRef.serviceAccountRef`: the workload identity of this ServiceAccount.
        service_account: Option<ServiceAccount>,
    },
    /// Access type `gcp`: the Google service account of the operator's node or pod.
    Gcp {
        /// `accessTypeParam`; `None` is `akeyless.io`.
        audience: Option<SecretBytes>,
    },
    /// `kubernetesAuth`.
    Kubernetes {
        /// `k8sConfName`: the name of the gateway's Kubernetes auth config.
        config_name: String,
        /// `secretRef` or `serviceAccountRef`.
        token: KubernetesToken,
    },
}

/// Where a ServiceAccount token comes from.
#[derive(Clone, Debug)]
pub enum KubernetesToken {
    /// `secretRef`: it is kept in a Secret.
    Kept(SecretBytes),
    /// `serviceAccountRef`: each login gets a fresh one.
    Minted(ServiceAccount),
}

/// A `serviceAccountRef`.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// Mints its tokens.
    pub source: Arc<dyn TokenSource>,
    /// `audiences`.
    pub audiences: Vec<String>,
}

/// What an `accessType` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessType {
    /// `api_key` or `access_key`.
    AccessKey,
    /// `aws_iam`.
    AwsIam,
    /// `azure_ad`.
    AzureAd,
    /// `gcp`.
    Gcp,
    /// `k8s`, which only `kubernetesAuth` can say more about.
    Kubernetes,
}

/// An `accessType` that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAccessType;

impl fmt::Display for UnknownAccessType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its text comes from a Secret, perhaps from the wrong key of it.
        f.write_str("accessType is none of api_key, access_key, aws_iam, azure_ad, gcp, k8s")
    }
}

impl std::error::Error for UnknownAccessType {}

impl FromStr for AccessType {
    type Err = UnknownAccessType;

    fn from_str(text: &str) -> Result<Self, UnknownAccessType> {
        match text.trim() {
            "access_key" | "api_key" => Ok(Self::AccessKey),
            "aws_iam" => Ok(Self::AwsIam),
            "azure_ad" => Ok(Self::AzureAd),
            "gcp" => Ok(Self::Gcp),
            "k8s" => Ok(Self::Kubernetes),
            _ => Err(UnknownAccessType),
        }
    }
}

/// A wrong setting that was found before anything was sent.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, "Configure", message)
}

/// A credential without the white space around it; must be some text.
pub(crate) fn credential(field: &str, value: &SecretBytes) -> Result<SecretBytes> {
    let value = value.trimmed();
    match value.expose_str() {
        None => Err(invalid(format!("{field} is not text; store it as it is"))),
        Some("") => Err(invalid(format!("{field} is empty; set it"))),
        Some(_) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::{ErrorKind, SecretBytes};

    use super::{AccessType, UnknownAccessType, credential};

    #[test]
    fn access_types_are_known_by_all_their_names() {
        assert_eq!("api_key\n".parse(), Ok(AccessType::AccessKey));
        assert_eq!("access_key".parse(), Ok(AccessType::AccessKey));
        assert_eq!("k8s".parse(), Ok(AccessType::Kubernetes));
        assert_eq!("hunter2".parse::<AccessType>(), Err(UnknownAccessType));
        assert!(!UnknownAccessType.to_string().contains("hunter2"));
    }

    #[test]
    fn a_credential_is_some_text() {
        assert_eq!(credential("accessID", &" p-1\n".into()), Ok("p-1".into()));
        for (value, wrong) in [
            (SecretBytes::from(" \n"), "accessID is empty; set it"),
            (SecretBytes::new([0xff]), "accessID is not text; store it as it is"),
        ] {
            let error = credential("accessID", &value).expect_err(wrong);
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, wrong));
        }
    }
}
