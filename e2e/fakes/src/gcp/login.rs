//! Access tokens for who has a key, and for who may act as somebody.

use std::{collections::BTreeMap, time::Duration};

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{api::Cloud, people::User, refusal::Refusal, world::SCOPE};
use crate::{
    jwt::{Jwt, SKEW},
    lock::lock,
    request::{is_of, pairs},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Whom assertions are for.
const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

/// The longest that an assertion or a token may hold.
const HOUR: Duration = Duration::from_hours(1);

/// `POST https://oauth2.googleapis.com/token`
pub(super) async fn request_token(cloud: &Cloud, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let form = form(headers, body)?;
    match form.get("grant_type").map(String::as_str) {
        Some(JWT_BEARER) => {
            only(&form, &["assertion", "grant_type"])?;
            let (member, scopes) = assertion(cloud, &form).await?;
            Ok(issue(cloud, &member, scopes))
        }
        Some("refresh_token") => {
            only(&form, &["client_id", "client_secret", "grant_type", "refresh_token"])?;
            let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
            let users = lock(&cloud.world).people.users.clone();
            let is_client =
                |user: &&User| user.client_id == given("client_id") && user.client_secret == given("client_secret");
            if !users.iter().any(|user| is_client(&user)) {
                return Err(Refusal::oauth("invalid_client", "The OAuth client was not found."));
            }
            let user = users.iter().filter(is_client).find(|user| user.refresh_token == given("refresh_token"));
            let user = user.ok_or_else(|| Refusal::oauth("invalid_grant", "Token has been expired or revoked."))?;
            Ok(issue(cloud, &format!("user:{}", user.email), vec![SCOPE.to_owned()]))
        }
        _ => Err(Refusal::oauth("unsupported_grant_type", "Invalid grant_type")),
    }
}

/// The service account that an assertion comes from, and the scopes that it asks for.
async fn assertion(cloud: &Cloud, form: &BTreeMap<String, String>) -> Result<(String, Vec<String>), Refusal> {
    let grant = |description: &str| Refusal::oauth("invalid_grant", description);
    let assertion = form.get("assertion").map(String::as_str).unwrap_or_default();
    let Jwt { header, claims, .. } = Jwt::parse(assertion).ok_or_else(|| grant("Invalid JWT"))?;
    if header.text("alg") != "RS256" {
        return Err(grant("Invalid JWT: the algorithm must be RS256"));
    }
    let (issuer, subject) = (claims.text("iss"), claims.text("sub"));
    let (account, key) = {
        let people = &lock(&cloud.world).people;
        (people.accounts.get(issuer).cloned(), people.key(issuer, header.text("kid")))
    };
    let account = account.ok_or_else(|| grant("Invalid grant: account not found"))?;
    let key = key.ok_or_else(|| grant("Invalid JWT Signature."))?;
    key.verify(assertion).await.map_err(|_| grant("Invalid JWT Signature."))?;
    if account.disabled {
        return Err(grant("Invalid grant: account disabled"));
    }
    if claims.text("aud") != TOKEN_ENDPOINT {
        return Err(grant("Invalid JWT: Failed audience check."));
    }
    let now = Timestamp::now().as_second();
    match (claims.time("iat"), claims.time("exp")) {
        (Some(from), Some(to)) if from <= now + SKEW && from < to && to - from <= 3600 => {}
        _ => {
            let description = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                               timeframe. Check your iat and exp values in the JWT claim.";
            return Err(grant(description));
        }
    }
    if !subject.is_empty() && subject != issuer {
        let description = "Client is unauthorized to retrieve access tokens using this method.";
        return Err(Refusal::oauth("unauthorized_client", description));
    }
    let scopes: Vec<_> = claims.text("scope").split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() {
        return Err(Refusal::oauth("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    Ok((format!("serviceAccount:{}", account.email), scopes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    #[serde(default)]
    delegates: Vec<String>,
    lifetime: Option<String>,
    #[serde(default)]
    scope: Vec<String>,
}

/// `POST https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken`
pub(super) fn generate_access_token(
    cloud: &Cloud,
    bearer: Option<&str>,
    account: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let mut world = lock(&cloud.world);
    let caller = world.member(bearer)?.to_owned();
    let Generate { delegates, lifetime, scope } = object(headers, body)?;
    let lifetime = match lifetime {
        None => HOUR,
        Some(text) => text
            .strip_suffix('s')
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs)
            .filter(|lifetime| !lifetime.is_zero() && *lifetime <= HOUR)
            .ok_or_else(|| Refusal::invalid("Request contains an invalid lifetime."))?,
    };
    if scope.is_empty() {
        return Err(Refusal::invalid("Scope required."));
    }
    let named = |delegate: &String| delegate.strip_prefix("projects/-/serviceAccounts/").map(str::to_owned);
    let chain: Option<Vec<_>> = delegates.iter().map(named).chain([Some(account.to_owned())]).collect();
    let chain = chain.ok_or_else(|| Refusal::invalid("Request contains an invalid delegate."))?;
    let mut acting = caller;
    for next in chain {
        let known = world.people.accounts.get(&next);
        let known = known.ok_or_else(|| Refusal::not_found("Not found; Gaia id not found for email."))?;
        if known.disabled || !known.users.contains(&acting) {
            return Err(Refusal::denied(
                "iam.serviceAccounts.getAccessToken",
                &format!("projects/-/serviceAccounts/{next}"),
            ));
        }
        acting = format!("serviceAccount:{next}");
    }
    let ttl = lifetime.min(cloud.settings.token_ttl);
    let token = world.issue(&acting, scope, ttl);
    let end = Timestamp::now().saturating_add(ttl).unwrap_or(Timestamp::MAX);
    Ok(json!({"accessToken": token, "expireTime": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()}))
}

pub(super) fn issue(cloud: &Cloud, member: &str, scopes: Vec<String>) -> Value {
    let ttl = cloud.settings.token_ttl;
    let token = lock(&cloud.world).issue(member, scopes, ttl);
    json!({"access_token": token, "expires_in": ttl.as_secs(), "token_type": "Bearer"})
}

pub(super) fn form(headers: &HeaderMap, body: &[u8]) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = || Refusal::oauth("invalid_request", "Bad Request");
    let text = std::str::from_utf8(body).map_err(|_| wrong())?;
    let form = pairs(text).filter(|_| is_of(headers, "application/x-www-form-urlencoded")).ok_or_else(wrong)?;
    Ok(form.into_iter().collect())
}

/// A form may have no fields but `known`.
pub(super) fn only(form: &BTreeMap<String, String>, known: &[&str]) -> Result<(), Refusal> {
    match form.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(Refusal::oauth("invalid_request", format!("Parameter not allowed for this message type: {name}")))
        }
    }
}

/// A body in JSON, of exactly this form.
pub(super) fn object<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    if !is_of(headers, "application/json") {
        return Err(Refusal::invalid("Invalid JSON payload received."));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))
}
