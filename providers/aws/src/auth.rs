//! From what a store says about its login to clients that sign with it.
//!
//! ```text
//! identity (ambient | keys | ServiceAccount) ─► additionalRoles[0] ─► … ─► role ─► clients
//! ```

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use keyferry_clouds::aws::{
    Ambient, ORIGIN, Role,
    sts::{Tags, WebIdentity, assume},
};
use keyferry_core::Result;
use keyferry_rest::{Lease, Login};

use crate::{
    client::{Clients, Wire},
    config::{AccessKeys, AwsConfig, Identity},
};

/// How one store logs in. What comes out holds as long as the last credentials of the chain.
#[derive(Debug)]
pub(crate) struct SignIn {
    wire: Wire,
    source: Source,
    roles: Vec<(Role, Tags)>,
}

#[derive(Debug)]
enum Source {
    Ambient(Box<Ambient>),
    Keys(AccessKeys),
    WebIdentity(WebIdentity),
}

/// The name of the sessions of ServiceAccounts: trust policies that were written for another operator test it.
const SESSION: &str = "external-secrets-provider-aws";

impl SignIn {
    pub(crate) fn new(config: &AwsConfig, wire: Wire) -> Result<Self> {
        let source = match &config.identity {
            Identity::Ambient => Source::Ambient(Box::new(wire.ambient(&config.environment))),
            Identity::Keys(keys) => Source::Keys(keys.clone()),
            Identity::ServiceAccount(tokens) => {
                let field = "auth.jwt.serviceAccountRef";
                Source::WebIdentity(WebIdentity::new(Arc::clone(tokens), SESSION, field, wire.caller())?)
            }
        };
        let between = config.additional_roles.iter().map(|arn| {
            let role = Role { arn: arn.clone(), external_id: None };
            (role, Tags::default())
        });
        let last = config.role.iter().map(|last| {
            let tags = Tags { pairs: last.session_tags.pairs(), transitive_keys: last.transitive_tag_keys.clone() };
            (Role { arn: last.arn.clone(), external_id: last.external_id.clone() }, tags)
        });
        Ok(Self { source, roles: between.chain(last).collect(), wire })
    }

    /// Whether logging in again can come to other credentials.
    pub(crate) fn is_renewable(&self) -> bool {
        !matches!(self.source, Source::Keys(_)) || !self.roles.is_empty()
    }

    async fn credentials(&self) -> Result<Credentials> {
        let (wire, caller) = (&self.wire, self.wire.caller());
        let mut credentials = match &self.source {
            Source::Ambient(ambient) => ambient.credentials().await?,
            Source::Keys(keys) => keys.credentials(),
            Source::WebIdentity(web_identity) => web_identity.credentials(&wire.clients(None).sts, caller).await?,
        };
        for (role, tags) in &self.roles {
            credentials = assume(&wire.clients(Some(credentials)).sts, caller, role, tags.clone()).await?;
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

impl AccessKeys {
    fn credentials(&self) -> Credentials {
        let text = |value: &keyferry_core::SecretBytes| value.trimmed().expose_str().unwrap_or_default().to_owned();
        Credentials::new(text(&self.id), text(&self.secret), self.session_token.as_ref().map(text), None, ORIGIN)
    }
}
