//! How a machine identity logs in.
//!
//! Every method ends in one request, `POST /v1/auth/{method}/login`, whose answer is an access token; they differ in
//! the proof that they send. Token auth alone sends nothing. A new login is made for every new token, never a renewal:
//! a token can be renewed only up to its longest life, and a login works at any time. What a login gave is revoked in
//! the end; the token of token auth is somebody else's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{CallObserver, Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, BaseUrl, Client, Lease, Login};
use serde_json::json;

use crate::{
    auth::{
        method::{Method, method},
        proof::Proof,
    },
    config::{Ambient, Auth},
    refusal, wire,
};

mod aws;
mod azure;
mod gcp;
mod jwt;
mod kubernetes;
mod method;
mod oci;
mod proof;
mod rsa_key;
mod text;

/// A machine identity, ready to log in.
#[derive(Debug)]
pub(crate) struct MachineIdentity {
    api: Client,
    base: BaseUrl,
    organization: Option<String>,
    proof: Proof,
}

impl MachineIdentity {
    /// Checks the settings as far as that goes without sending anything.
    pub(crate) fn new(
        (auth, ambient): (Auth, Ambient),
        organization: Option<String>,
        (api, base): (Client, BaseUrl),
        observer: Arc<dyn CallObserver>,
    ) -> Result<Self> {
        let organization = organization.map(|slug| slug.trim().to_owned()).filter(|slug| !slug.is_empty());
        Ok(Self { api, base, organization, proof: Proof::new(auth, ambient, observer)? })
    }

    /// What to do when the server does not accept an access token that it has just issued.
    pub(crate) fn remedy(&self) -> &'static str {
        match self.proof {
            Proof::Token(_) => {
                "it has expired or been revoked: make a new one and put it where auth.tokenAuthCredentials.accessToken \
                 points"
            }
            _ => "check the trusted IP addresses and the limits of the machine identity's access tokens",
        }
    }

    /// Ends a token that [`Login::login`] gave.
    pub(crate) async fn revoke(&self, token: &SecretBytes) {
        if matches!(self.proof, Proof::Token(_)) {
            return;
        }
        if let (Ok(url), Some(token)) = (self.base.join("v1/auth/token/revoke"), token.expose_str()) {
            let _ = self.api.post(REVOKE, url).json(&json!({"accessToken": token})).send().await;
        }
    }
}

/// Ending a token, in the words of the metrics.
const REVOKE: &str = "RevokeAccessToken";

#[async_trait]
impl Login for MachineIdentity {
    type Token = SecretBytes;

    async fn login(&self, _current: Option<&SecretBytes>) -> Result<Lease<SecretBytes>> {
        if let Proof::Token(token) = &self.proof {
            return Ok(Lease { token: token.to_secret(), ttl: None });
        }
        let method = method(&self.proof);
        let mut body = self.proof.body(method.operation).await?;
        if let Some(organization) = &self.organization {
            body["organizationSlug"] = organization.as_str().into();
        }
        let url = self.base.join(&format!("v1/auth/{}/login", method.endpoint));
        let url = url.map_err(|error| self.api.invalid(method.operation, error))?;
        let request = self.api.post(method.operation, url).about(format!("the login with auth.{}", method.field));
        let answer = request.json(&body).send().await?;
        if !answer.is_success() {
            return Err(refused(&answer, &method));
        }
        let session: wire::Session = answer.json()?;
        let ttl = (session.expires_in > 0).then(|| Duration::from_secs(session.expires_in));
        Ok(Lease { token: session.access_token, ttl })
    }
}

/// Never [`ErrorKind::NotFound`]: a login that fails says nothing about secrets.
fn refused(answer: &Answer, method: &Method) -> Error {
    let Method { field, check, .. } = method;
    let (kind, text) = match answer.status() {
        401 | 403 if refusal::is_locked_out(answer) => (
            ErrorKind::Unauthenticated,
            format!("auth.{field} is locked for some minutes after too many wrong logins; check {check}"),
        ),
        401 if refusal::is_outside_of_organization(answer) => (
            ErrorKind::InvalidConfig,
            "the machine identity is no member of the sub-organization in secretsScope.organizationSlug; add it there, or \
             correct the slug"
                .to_owned(),
        ),
        401 | 403 => {
            (ErrorKind::Unauthenticated, format!("Infisical refuses the login with auth.{field}; check {check}"))
        }
        404 if refusal::lacks_organization(answer) => (
            ErrorKind::InvalidConfig,
            "there is no sub-organization with the slug in secretsScope.organizationSlug; correct it, or leave it out"
                .to_owned(),
        ),
        404 if refusal::missing(answer).is_some() => (
            ErrorKind::InvalidConfig,
            format!(
                "Infisical knows no machine identity with such a login; check auth.{field}.identityId, hostAPI, and the \
                 identity's authentication methods in Infisical"
            ),
        ),
        400 | 422 => (
            ErrorKind::InvalidConfig,
            format!("Infisical cannot make sense of the login with auth.{field}; check {check}"),
        ),
        500 => (
            ErrorKind::Unavailable,
            format!(
                "Infisical fails at the login with auth.{field}, as it also does when a cloud does not accept the proof; \
                 if it stays so, check {check}"
            ),
        ),
        _ => return answer.refusal(),
    };
    answer.error(kind, text)
}
