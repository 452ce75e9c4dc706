//! What a machine identity proves itself with. Where a proof is short-lived, this is what makes it.

use std::sync::Arc;

use jiff::Timestamp;
use keyferry_clouds::{aws::Identity, azure::ManagedIdentity};
use keyferry_core::{CallObserver, Result, SecretBytes};
use keyferry_rest::{Client, Tls};
use serde_json::{Value, json};

use super::{
    aws, azure,
    gcp::Gcp,
    kubernetes::Kubernetes,
    oci::{self, Oci},
    rsa_key,
    text::Text,
};
use crate::{
    PROVIDER,
    config::{Ambient, Auth, invalid},
};

/// One variant for each of [`Auth`]. What several have in common is the id of the machine identity.
#[derive(Debug)]
pub(super) enum Proof {
    Aws(Text, Box<Identity>),
    Azure(Text, ManagedIdentity),
    GcpIam(Text, Gcp),
    GcpIdToken(Text, Gcp),
    Jwt { identity: Text, jwt: Text },
    Kubernetes(Text, Kubernetes),
    Ldap { identity: Text, username: Text, password: Text },
    Oci(Text, Box<Oci>),
    Token(Text),
    Universal { client_id: Text, client_secret: Text },
}

impl Proof {
    pub(super) fn new(auth: Auth, ambient: Ambient, observer: Arc<dyn CallObserver>) -> Result<Self> {
        // The clouds' own endpoints have public certificates, or none.
        let cloud = move || Client::new(PROVIDER, &Tls::default(), Arc::clone(&observer));
        let text = |value: SecretBytes, field| Text::parse(&value, field);
        Ok(match auth {
            Auth::Aws { identity_id } => {
                let identity = Box::new(aws::identity(ambient.aws.as_ref())?);
                Self::Aws(text(identity_id, "awsAuthCredentials.identityId")?, identity)
            }
            Auth::Azure { identity_id, resource } => Self::Azure(
                text(identity_id, "azureAuthCredentials.identityId")?,
                azure::identity(cloud()?, &ambient.azure_metadata, resource)?,
            ),
            Auth::GcpIam { identity_id, service_account_key_file_path } => Self::GcpIam(
                text(identity_id, "gcpIamAuthCredentials.identityId")?,
                Gcp::iam(cloud()?, &ambient.gcp_iam_credentials, &service_account_key_file_path)?,
            ),
            Auth::GcpIdToken { identity_id } => Self::GcpIdToken(
                text(identity_id, "gcpIdTokenAuthCredentials.identityId")?,
                Gcp::metadata(cloud()?, &ambient.gcp_metadata)?,
            ),
            Auth::Jwt { identity_id, jwt } => Self::Jwt {
                identity: text(identity_id, "jwtAuthCredentials.identityId")?,
                jwt: text(jwt, "jwtAuthCredentials.jwt")?,
            },
            Auth::Kubernetes { identity_id, service_account_token_path } => Self::Kubernetes(
                text(identity_id, "kubernetesAuthCredentials.identityId")?,
                Kubernetes::new(service_account_token_path, ambient.service_account_token)?,
            ),
            Auth::Ldap { identity_id, ldap_username, ldap_password } => Self::Ldap {
                identity: text(identity_id, "ldapAuthCredentials.identityId")?,
                username: text(ldap_username, "ldapAuthCredentials.ldapUsername")?,
                password: text(ldap_password, "ldapAuthCredentials.ldapPassword")?,
            },
            Auth::Oci {
                identity_id,
                private_key,
                private_key_passphrase,
                fingerprint,
                user_id,
                tenancy_id,
                region,
            } => {
                let key = rsa_key::parse(&private_key, private_key_passphrase.as_ref());
                let oci = Oci {
                    key: key.map_err(|wrong| invalid(format!("auth.ociAuthCredentials.privateKey {wrong}")))?,
                    fingerprint: oci::word(&fingerprint, "fingerprint")?,
                    user: oci::word(&user_id, "userId")?,
                    tenancy: oci::word(&tenancy_id, "tenancyId")?,
                    region: oci::region(&region)?,
                };
                Self::Oci(text(identity_id, "ociAuthCredentials.identityId")?, Box::new(oci))
            }
            Auth::Token { access_token } => Self::Token(text(access_token, "tokenAuthCredentials.accessToken")?),
            Auth::Universal { client_id, client_secret } => Self::Universal {
                client_id: text(client_id, "universalAuthCredentials.clientId")?,
                client_secret: text(client_secret, "universalAuthCredentials.clientSecret")?,
            },
        })
    }

    /// The login's body. `operation` names the login in errors.
    pub(super) async fn body(&self, operation: &'static str) -> Result<Value> {
        let with_jwt = |identity: &Text, jwt: &SecretBytes| json!({"identityId": identity.as_str(), "jwt": jwt.expose_str().unwrap_or_default()});
        Ok(match self {
            Self::Aws(machine, identity) => aws::body(identity, machine, Timestamp::now()).await?,
            Self::Azure(identity, azure) => with_jwt(identity, &azure.token().await?),
            Self::GcpIam(identity, gcp) | Self::GcpIdToken(identity, gcp) => {
                with_jwt(identity, &gcp.token(identity.as_str()).await?)
            }
            Self::Jwt { identity, jwt } => with_jwt(identity, &jwt.to_secret()),
            Self::Kubernetes(identity, kubernetes) => with_jwt(identity, &kubernetes.token(operation).await?),
            Self::Ldap { identity, username, password } => json!({
                "identityId": identity.as_str(),
                "username": username.as_str(),
                "password": password.as_str(),
            }),
            Self::Oci(identity, oci) => oci.body(identity, Timestamp::now())?,
            Self::Token(token) => json!({"accessToken": token.as_str()}),
            Self::Universal { client_id, client_secret } => {
                json!({"clientId": client_id.as_str(), "clientSecret": client_secret.as_str()})
            }
        })
    }
}
