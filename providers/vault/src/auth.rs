//! Ways to log in.

mod aws;
mod google;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use keyferry_core::{Result, SecretBytes, TokenSource};
use keyferry_rest::Identity;

pub use self::{
    aws::{AwsIdentity, AwsLogin},
    google::{GoogleIdentity, GoogleLogin},
};
use crate::client::{VaultClient, operation};

/// How a store comes by its token.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// By a login.
    Login {
        /// Where the auth method is mounted, below `auth/`.
        path: String,
        /// What to show there.
        method: LoginMethod,
    },
    /// Not at all: an agent or proxy in front of the server adds the token.
    #[default]
    None,
    /// Somebody else made it, and renews it.
    Token(SecretBytes),
}

/// What is shown to an auth method.
#[derive(Clone, Debug)]
pub enum LoginMethod {
    /// An AppRole.
    AppRole {
        /// The role's id.
        role_id: SecretBytes,
        /// One of the role's secret ids.
        secret_id: SecretBytes,
    },
    /// An identity of AWS.
    Aws(Box<AwsLogin>),
    /// A TLS client certificate.
    Cert {
        /// The certificate role, unless the server shall look for a matching one.
        role: Option<String>,
        /// The certificate. It takes the place of [`crate::Tls::identity`].
        identity: Identity,
    },
    /// A service account of Google's.
    Google(Box<GoogleLogin>),
    /// A JWT, also one that Vault has reviewed by a Kubernetes API server.
    Jwt {
        /// The role; where it is absent, the method's default role.
        role: Option<String>,
        /// Where the JWT comes from.
        jwt: JwtSource,
    },
    /// A user of Vault itself or of an LDAP directory.
    Password {
        /// User name.
        username: String,
        /// Password, exactly as it is.
        password: SecretBytes,
    },
}

/// Where a JWT comes from.
#[derive(Clone, Debug)]
pub enum JwtSource {
    /// A file that is read at each login: the operator's own ServiceAccount token.
    File(PathBuf),
    /// The JWT itself.
    Fixed(SecretBytes),
    /// Minted for each login, by a ServiceAccount or a cloud.
    Minted {
        /// Mints the tokens.
        tokens: Arc<dyn TokenSource>,
        /// Audiences beside those that the source adds by itself.
        audiences: Vec<String>,
        /// How long a token shall be valid. It is needed for one login only.
        ttl: Duration,
    },
}

/// What goes over the wire: where below the mount, and the members of the body.
pub(crate) struct Credentials {
    pub(crate) path: String,
    pub(crate) members: Vec<(&'static str, SecretBytes)>,
}

impl LoginMethod {
    pub(crate) async fn credentials(&self, client: &VaultClient) -> Result<Credentials> {
        let role = |name, role: &Option<String>| role.as_deref().map(|role| (name, SecretBytes::from(role)));
        let (path, members) = match self {
            Self::AppRole { role_id, secret_id } => {
                ("login".into(), vec![("role_id", role_id.trimmed()), ("secret_id", secret_id.trimmed())])
            }
            Self::Aws(login) => ("login".into(), login.members(client, Timestamp::now()).await?),
            Self::Cert { role: name, .. } => ("login".into(), role("name", name).into_iter().collect()),
            Self::Google(login) => ("login".into(), login.members(client, Timestamp::now()).await?),
            Self::Jwt { role: name, jwt } => {
                let jwt = ("jwt", jwt.jwt(client).await?);
                ("login".into(), role("role", name).into_iter().chain([jwt]).collect())
            }
            Self::Password { username, password } => {
                (format!("login/{}", username.trim()), vec![("password", password.clone())])
            }
        };
        Ok(Credentials { path, members })
    }
}

impl JwtSource {
    async fn jwt(&self, client: &VaultClient) -> Result<SecretBytes> {
        match self {
            Self::File(path) => match tokio::fs::read(path).await {
                Ok(jwt) => Ok(SecretBytes::new(jwt).trimmed()),
                Err(error) => {
                    let text = format!("failed to read the token file {}: {}", path.display(), error.kind());
                    Err(client.invalid(operation::LOGIN, text))
                }
            },
            Self::Fixed(jwt) => Ok(jwt.trimmed()),
            Self::Minted { tokens, audiences, ttl } => Ok(tokens.token(audiences, *ttl).await?.token),
        }
    }
}
