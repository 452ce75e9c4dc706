//! How an access id proves itself.

use std::time::Duration;

use jiff::Timestamp;
use keyferry_clouds::aws;
use keyferry_core::{Result, SecretBytes};
use keyferry_rest::Client;

use super::{
    Encoded, Proof,
    aws::{identity, signed_question},
    azure, gcp, text,
};
use crate::{
    config::{Auth, KubernetesToken, ServiceAccount, credential},
    environment::Environment,
};

/// A store's [`Auth`], checked, with what its proofs are made of.
#[derive(Debug)]
pub(crate) enum Method {
    AccessKey { access_key: SecretBytes },
    AwsIam(Box<aws::Identity>),
    AzureAd(Box<azure::Identity>),
    Gcp(Box<gcp::Identity>),
    Kubernetes { config_name: String, token: KubernetesToken },
}

/// Longer than any login takes, and the shortest that Kubernetes mints.
const SERVICE_ACCOUNT_TOKEN_TTL: Duration = Duration::from_mins(10);

impl Method {
    /// Fails with [`keyferry_core::ErrorKind::InvalidConfig`] for what cannot be a credential.
    pub(crate) fn new(auth: Auth, environment: Environment, clouds: Client) -> Result<Self> {
        let param = |value: Option<SecretBytes>| match value.filter(|value| !value.trimmed().is_empty()) {
            Some(value) => credential("accessTypeParam", &value).map(|value| Some(text(&value).to_owned())),
            None => Ok(None),
        };
        Ok(match auth {
            Auth::AccessKey { access_key } => {
                Self::AccessKey { access_key: credential("accessTypeParam", &access_key)? }
            }
            Auth::AwsIam => Self::AwsIam(Box::new(identity(environment.aws.as_ref())?)),
            Auth::AzureAd { id, service_account } => {
                let identity = azure::Identity::new(clouds, environment.azure, param(id)?, service_account)?;
                Self::AzureAd(Box::new(identity))
            }
            Auth::Gcp { audience } => {
                Self::Gcp(Box::new(gcp::Identity::new(clouds, environment.gcp_metadata, param(audience)?)))
            }
            Auth::Kubernetes { config_name, token } => {
                let token = match token {
                    KubernetesToken::Kept(token) => {
                        KubernetesToken::Kept(credential("the token that kubernetesAuth.secretRef names", &token)?)
                    }
                    minted @ KubernetesToken::Minted(_) => minted,
                };
                let config_name = credential("k8sConfName", &config_name.into())?;
                Self::Kubernetes { config_name: text(&config_name).to_owned(), token }
            }
        })
    }

    pub(super) async fn proof(&self) -> Result<Proof<'_>> {
        Ok(match self {
            Self::AccessKey { access_key } => Proof::AccessKey { access_key: text(access_key) },
            Self::AwsIam(identity) => {
                Proof::AwsIam { cloud_id: Encoded::of(&signed_question(identity, Timestamp::now()).await?) }
            }
            Self::AzureAd(identity) => Proof::AzureAd { cloud_id: Encoded::of(&identity.token().await?) },
            Self::Gcp(identity) => Proof::Gcp { cloud_id: Encoded::of(&identity.token().await?) },
            Self::Kubernetes { config_name, token } => {
                let token = match token {
                    KubernetesToken::Kept(token) => Encoded::of(token),
                    KubernetesToken::Minted(account) => Encoded::of(&mint(account, &account.audiences).await?),
                };
                Proof::Kubernetes { config_name, token }
            }
        })
    }

    /// What to look at when the gateway refuses this login.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::AccessKey { .. } => "check accessID and accessTypeParam",
            Self::AwsIam(_) => "check accessID, and that the auth method admits the AWS role of the operator's pod",
            Self::AzureAd(_) => "check accessID, and that the auth method admits the identity in Entra ID",
            Self::Gcp(_) => {
                "check accessID, and that the auth method admits the Google service account and the audience of \
                 accessTypeParam"
            }
            Self::Kubernetes { .. } => {
                "check accessID and k8sConfName, and that the auth method admits the ServiceAccount and its audiences"
            }
        }
    }
}

/// A fresh token of a ServiceAccount.
pub(super) async fn mint(account: &ServiceAccount, audiences: &[String]) -> Result<SecretBytes> {
    Ok(account.source.token(audiences, SERVICE_ACCOUNT_TOKEN_TTL).await?.token)
}
