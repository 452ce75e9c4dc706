//! Sessions of roles, from the Security Token Service.

use std::{fmt, sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sts::{
    Client,
    types::{Credentials as Issued, Tag},
};
use keyferry_core::{ErrorKind, Result, TokenSource};

use super::{
    ORIGIN, Role,
    caller::Caller,
    failure::{Action, Purpose},
    is_role,
};

const ASSUME_ROLE: Action = Action { service: "sts", name: "AssumeRole" };
const ASSUME_WITH_TOKEN: Action = Action { service: "sts", name: "AssumeRoleWithWebIdentity" };

const ROLE_SESSION: &str = "keyferry";

/// A ServiceAccount that may assume a role.
pub struct WebIdentity {
    tokens: Arc<dyn TokenSource>,
    role: String,
    audience: String,
    /// Trust policies that were written for another operator test the names of such sessions.
    session: &'static str,
}

/// The annotations by which EKS ties a ServiceAccount to a role.
const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// The token is used at once, and this is the shortest life that API servers give.
const TOKEN_TTL: Duration = Duration::from_mins(10);

impl WebIdentity {
    /// The ServiceAccount that the store names at `field`. Its sessions are called `session`.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] where no role is tied to it.
    pub fn new(tokens: Arc<dyn TokenSource>, session: &'static str, field: &str, caller: &Caller) -> Result<Self> {
        let invalid = |text| caller.purpose(ASSUME_WITH_TOKEN, "").error(ErrorKind::InvalidConfig, text);
        let annotation = |key| tokens.annotation(key).map(str::trim).filter(|value| !value.is_empty());
        let role = annotation(ROLE_ARN).ok_or_else(|| {
            invalid(format!(
                "{field}: the ServiceAccount has no annotation {ROLE_ARN}; annotate it with the role's ARN"
            ))
        })?;
        if !is_role(role) {
            return Err(invalid(format!(
                "{field}: the ServiceAccount's annotation {ROLE_ARN} is {role:?}, which is not the ARN of a role; write it \
                 like arn:aws:iam::123456789012:role/name"
            )));
        }
        let (role, audience) = (role.to_owned(), annotation(AUDIENCE).unwrap_or(DEFAULT_AUDIENCE).to_owned());
        Ok(Self { tokens, role, audience, session })
    }

    /// Credentials of a session of its role. `sts` need not sign.
    pub async fn credentials(&self, sts: &Client, caller: &Caller) -> Result<Credentials> {
        let token = self.tokens.token(std::slice::from_ref(&self.audience), TOKEN_TTL).await?.token;
        let about = caller.about_role(&self.role);
        let purpose = caller.purpose(ASSUME_WITH_TOKEN, &about);
        let text = token
            .expose_str()
            .ok_or_else(|| purpose.error(ErrorKind::Malformed, "the ServiceAccount's token is not text"))?;
        let sent = sts
            .assume_role_with_web_identity()
            .role_arn(&self.role)
            .role_session_name(self.session)
            .web_identity_token(text)
            .send();
        let answer = caller.exchange(purpose, sent).await?;
        issued(purpose, answer.credentials)
    }
}

impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentity").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Tags of a session.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Keys and values, in this order.
    pub pairs: Vec<(String, String)>,
    /// Keys of tags that outlive assuming another role.
    pub transitive_keys: Vec<String>,
}

/// Credentials of a session of `role`, for whoever `sts` signs as.
pub async fn assume(sts: &Client, caller: &Caller, role: &Role, tags: Tags) -> Result<Credentials> {
    let about = caller.about_role(&role.arn);
    let purpose = caller.purpose(ASSUME_ROLE, &about);
    let tag = |(key, value)| Tag::builder().key(key).value(value).build();
    let pairs = tags.pairs.into_iter().map(tag).collect::<Result<Vec<_>, _>>();
    let pairs = pairs.map_err(|_| purpose.error(ErrorKind::InvalidConfig, "a session tag has no key or no value"))?;
    let sent = sts
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(ROLE_SESSION)
        .set_external_id(role.external_id.clone())
        .set_tags((!pairs.is_empty()).then_some(pairs))
        .set_transitive_tag_keys((!tags.transitive_keys.is_empty()).then_some(tags.transitive_keys))
        .send();
    let answer = caller.exchange(purpose, sent).await?;
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
