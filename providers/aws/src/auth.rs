//! From what a store says about its login to clients that sign with it.
//!
//! ```text
//! identity (ambient | keys | ServiceAccount) ─► additionalRoles[0] ─► … ─► role ─► clients
//! ```

mod ambient;
mod sts;

use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use keyferry_core::Result;
use keyferry_rest::{Lease, Login};

use self::ambient::Ambient;
use crate::{
    client::{Clients, Wire},
    config::{AccessKeys, AwsConfig, Identity, Role, SessionTags},
};

/// How one store logs in. What comes out holds as long as the last credentials of the chain.
#[derive(Debug)]
pub(crate) struct SignIn {
    wire: Wire,
    source: Source,
    roles: Vec<Role>,
}

#[derive(Debug)]
enum Source {
    Ambient(Box<Ambient>),
    Keys(AccessKeys),
    WebIdentity(sts::WebIdentity),
}

impl SignIn {
    pub(crate) fn new(config: &AwsConfig, wire: Wire) -> Result<Self> {
        let source = match &config.identity {
            Identity::Ambient => Source::Ambient(Box::new(Ambient::new(&wire))),
            Identity::Keys(keys) => Source::Keys(keys.clone()),
            Identity::ServiceAccount(tokens) => Source::WebIdentity(sts::WebIdentity::new(&wire, tokens)?),
        };
        let between = config.additional_roles.iter().map(|arn| Role {
            arn: arn.clone(),
            external_id: None,
            session_tags: SessionTags::Listed(Vec::new()),
            transitive_tag_keys: Vec::new(),
        });
        Ok(Self { wire, source, roles: between.chain(config.role.clone()).collect() })
    }

    /// Whether logging in again can come to other credentials.
    pub(crate) fn is_renewable(&self) -> bool {
        !matches!(self.source, Source::Keys(_)) || !self.roles.is_empty()
    }

    async fn credentials(&self) -> Result<Credentials> {
        let mut credentials = match &self.source {
            Source::Ambient(ambient) => ambient.credentials(&self.wire).await?,
            Source::Keys(keys) => keys.credentials(),
            Source::WebIdentity(web_identity) => web_identity.credentials(&self.wire).await?,
        };
        for role in &self.roles {
            credentials = sts::assume(&self.wire, credentials, role).await?;
        }
        Ok(credentials)
    }
}

#[async_trait]
impl Login for SignIn {
    type Token = Clients;

    async fn login(&self, _current: Option<&Clients>) -> Result<Lease<Clients>> {
        let credentials = self.credentials().await?;
        let ttl = credentials.expiry().map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
        Ok(Lease { token: self.wire.clients(Some(credentials)), ttl })
    }
}

/// What the SDK calls the origin of credentials; it is shown in nothing but the SDK's own traces.
const ORIGIN: &str = "keyferry";

impl AccessKeys {
    fn credentials(&self) -> Credentials {
        let text = |value: &keyferry_core::SecretBytes| value.trimmed().expose_str().unwrap_or_default().to_owned();
        Credentials::new(text(&self.id), text(&self.secret), self.session_token.as_ref().map(text), None, ORIGIN)
    }
}
