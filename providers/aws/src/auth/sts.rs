//! Sessions of roles, from the Security Token Service.

use std::{fmt, sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sts::types::{Credentials as Issued, Tag};
use keyferry_core::{ErrorKind, Result, TokenSource};

use super::ORIGIN;
use crate::{
    client::Wire,
    config::Role,
    error::{Action, Purpose},
};

const ASSUME_ROLE: Action = Action { service: "sts", name: "AssumeRole" };
const ASSUME_WITH_TOKEN: Action = Action { service: "sts", name: "AssumeRoleWithWebIdentity" };

/// The name of the sessions of ServiceAccounts: trust policies that were written for another operator test it.
const WEB_IDENTITY_SESSION: &str = "external-secrets-provider-aws";
const ROLE_SESSION: &str = "keyferry";

/// A ServiceAccount that may assume a role.
pub(super) struct WebIdentity {
    tokens: Arc<dyn TokenSource>,
    role: String,
    audience: String,
}

/// The annotations by which EKS ties a ServiceAccount to a role.
const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// The token is used at once, and this is the shortest life that API servers give.
const TOKEN_TTL: Duration = Duration::from_mins(10);

impl WebIdentity {
    pub(super) fn new(wire: &Wire, tokens: &Arc<dyn TokenSource>) -> Result<Self> {
        let annotation = |key| tokens.annotation(key).map(str::trim).filter(|value| !value.is_empty());
        let role = annotation(ROLE_ARN).ok_or_else(|| {
            let text = format!(
                "auth.jwt.serviceAccountRef: the ServiceAccount has no annotation {ROLE_ARN}; annotate it with the role's ARN"
            );
            wire.purpose(ASSUME_WITH_TOKEN, "").error(ErrorKind::InvalidConfig, text)
        })?;
        let audience = annotation(AUDIENCE).unwrap_or(DEFAULT_AUDIENCE);
        Ok(Self { tokens: Arc::clone(tokens), role: role.to_owned(), audience: audience.to_owned() })
    }

    pub(super) async fn credentials(&self, wire: &Wire) -> Result<Credentials> {
        let token = self.tokens.token(std::slice::from_ref(&self.audience), TOKEN_TTL).await?.token;
        let about = format!("role {}", self.role);
        let purpose = wire.purpose(ASSUME_WITH_TOKEN, &about);
        let text = token
            .expose_str()
            .ok_or_else(|| purpose.error(ErrorKind::Malformed, "the ServiceAccount's token is not text"))?;
        let sent = wire
            .clients(None)
            .sts
            .assume_role_with_web_identity()
            .role_arn(&self.role)
            .role_session_name(WEB_IDENTITY_SESSION)
            .web_identity_token(text)
            .send();
        let answer = wire.exchange(purpose, sent).await?;
        issued(purpose, answer.credentials)
    }
}

impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentity").field("role", &self.role).finish_non_exhaustive()
    }
}

/// A session of `role` for the holder of `credentials`.
pub(super) async fn assume(wire: &Wire, credentials: Credentials, role: &Role) -> Result<Credentials> {
    let about = format!("role {}", role.arn);
    let purpose = wire.purpose(ASSUME_ROLE, &about);
    let tags: Vec<_> = role.session_tags.pairs();
    let tags = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags = tags
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| purpose.error(ErrorKind::InvalidConfig, "sessionTags: a tag has no key or no value"))?;
    let sent = wire
        .clients(Some(credentials))
        .sts
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(ROLE_SESSION)
        .set_external_id(role.external_id.clone())
        .set_tags((!tags.is_empty()).then_some(tags))
        .set_transitive_tag_keys((!role.transitive_tag_keys.is_empty()).then(|| role.transitive_tag_keys.clone()))
        .send();
    let answer = wire.exchange(purpose, sent).await?;
    issued(purpose, answer.credentials)
}

fn issued(purpose: Purpose<'_>, issued: Option<Issued>) -> Result<Credentials> {
    let issued = issued.ok_or_else(|| purpose.lacking("credentials"))?;
    let end = issued.expiration.try_into().map_err(|_| purpose.lacking("time at which the session ends"))?;
    if issued.access_key_id.is_empty() || issued.secret_access_key.is_empty() {
        return Err(purpose.lacking("credentials"));
    }
    let (id, secret, token) = (issued.access_key_id, issued.secret_access_key, issued.session_token);
    Ok(Credentials::new(id, secret, Some(token), Some(end), ORIGIN))
}
