//! The services that give out access tokens.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{HeaderMap, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    api::Cloud,
    aws,
    people::{Pool, Provider},
    refusal::Refusal,
    world::SCOPE,
};
use crate::{jwt, lock::lock, query::pairs};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// Whom assertions are for.
const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

/// How wrong a client's clock may be.
const SKEW: i64 = 300;

/// The longest that an assertion or a token may hold.
const HOUR: Duration = Duration::from_hours(1);

/// `POST https://oauth2.googleapis.com/token`
pub(super) async fn request_token(cloud: &Cloud, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let form = form(headers, body)?;
    match form.get("grant_type").map(String::as_str) {
        Some(JWT_BEARER) => {
            only(form.keys(), &["assertion", "grant_type"])?;
            let (member, scopes) = assertion(cloud, &form).await?;
            Ok(issue(cloud, &member, scopes))
        }
        Some("refresh_token") => {
            only(form.keys(), &["client_id", "client_secret", "grant_type", "refresh_token"])?;
            let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
            let users = lock(&cloud.world).people.users.clone();
            let is_client = |user: &&super::User| {
                user.client_id == given("client_id") && user.client_secret == given("client_secret")
            };
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
    let claims = jwt::claims(assertion).ok_or_else(|| grant("Invalid JWT"))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let header = jwt::header(assertion).unwrap_or_default();
    let key_id = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(grant("Invalid JWT: the algorithm must be RS256"));
    }
    let (account, key) = {
        let people = &lock(&cloud.world).people;
        (people.accounts.get(text("iss")).cloned(), people.key(text("iss"), key_id))
    };
    let account = account.ok_or_else(|| grant("Invalid grant: account not found"))?;
    let key = key.ok_or_else(|| grant("Invalid JWT Signature."))?;
    key.verify(assertion).await.map_err(|_| grant("Invalid JWT Signature."))?;
    if account.disabled {
        return Err(grant("Invalid grant: account disabled"));
    }
    if text("aud") != TOKEN_ENDPOINT {
        return Err(grant("Invalid JWT: Failed audience check."));
    }
    let now = Timestamp::now().as_second();
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    match (time("iat"), time("exp")) {
        (Some(from), Some(to)) if from <= now + SKEW && from < to && to - from <= 3600 => {}
        _ => {
            let description = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                               timeframe. Check your iat and exp values in the JWT claim.";
            return Err(grant(description));
        }
    }
    let scopes: Vec<_> = text("scope").split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() {
        return Err(Refusal::oauth("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    Ok((format!("serviceAccount:{}", account.email), scopes))
}

/// `POST https://sts.googleapis.com/v1/token`
pub(super) async fn exchange(cloud: &Cloud, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    const MEMBERS: [&str; 7] =
        ["audience", "grant_type", "options", "requested_token_type", "scope", "subject_token", "subject_token_type"];
    let form = form(headers, body)?;
    only(form.keys(), &MEMBERS)?;
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if given("grant_type") != TOKEN_EXCHANGE || given("requested_token_type") != ACCESS_TOKEN {
        return Err(Refusal::oauth("invalid_request", "Invalid grant or requested token type."));
    }
    let audience = given("audience");
    let pool = lock(&cloud.world).people.pools.get(audience).cloned();
    let pool = pool.ok_or_else(|| {
        Refusal::oauth("invalid_target", "The target service indicated by the \"audience\" parameters is invalid.")
    })?;
    let subject = subject(&pool, given("subject_token_type"), given("subject_token")).await?;
    if !pool.subjects.is_empty() && !pool.subjects.contains(&subject) {
        let description = "The given credential is rejected by the attribute condition.";
        return Err(Refusal::oauth("unauthorized_client", description));
    }
    let scopes = given("scope").split_whitespace().map(str::to_owned).collect();
    let mut answer = issue(cloud, &pool.member(&subject), scopes);
    answer["issued_token_type"] = json!(ACCESS_TOKEN);
    Ok(answer)
}

/// Who bears a token from elsewhere.
async fn subject(pool: &Pool, kind: &str, token: &str) -> Result<String, Refusal> {
    let grant = |what: &str| Refusal::oauth("invalid_grant", format!("The credential is not accepted: {what}."));
    match (&pool.provider, kind) {
        (Provider::Aws { account, keys }, AWS_REQUEST) => {
            let user = aws::verify(token, &pool.audience, keys, Timestamp::now()).map_err(grant)?;
            Ok(format!("arn:aws:iam::{account}:user/{user}"))
        }
        (Provider::Oidc { audiences, issuer, keys }, JWT | ID_TOKEN) => {
            let claims = keys.verify(token).await.map_err(grant)?;
            if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
                return Err(grant("its issuer is not the provider's"));
            }
            let own = [pool.audience.clone(), format!("https:{}", pool.audience)];
            let accepted = if audiences.is_empty() { own.as_slice() } else { audiences };
            if !accepted.iter().any(|audience| jwt::is_for(&claims, audience)) {
                return Err(grant("its audience does not match"));
            }
            let subject = claims.get("sub").and_then(Value::as_str);
            subject.map(str::to_owned).ok_or_else(|| grant("it has no subject"))
        }
        _ => Err(Refusal::oauth("invalid_request", "Invalid subject_token_type for this provider.")),
    }
}

/// `POST https://securetoken.googleapis.com/v1/identitybindingtoken`
pub(super) async fn bind(cloud: &Cloud, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    const MEMBERS: [&str; 6] =
        ["audience", "grant_type", "requested_token_type", "scope", "subject_token", "subject_token_type"];
    let body = object(headers, body)?;
    only(body.keys(), &MEMBERS)?;
    let given = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let kinds = [given("grant_type"), given("requested_token_type"), given("subject_token_type")];
    if kinds != [TOKEN_EXCHANGE, ACCESS_TOKEN, JWT] {
        return Err(Refusal::invalid("Invalid grant or token type."));
    }
    let cluster = lock(&cloud.world).people.clusters.get(given("audience")).cloned();
    let cluster = cluster
        .ok_or_else(|| Refusal::invalid("Identity Pool does not exist. Please check that the identity pool exists."))?;
    let invalid = |what: &str| Refusal::invalid(format!("The subject token is not accepted: {what}."));
    let claims = cluster.keys.verify(given("subject_token")).await.map_err(invalid)?;
    let pool = format!("{}.svc.id.goog", cluster.project);
    if claims.get("iss").and_then(Value::as_str) != Some(&cluster.issuer) {
        return Err(invalid("its issuer is another cluster"));
    }
    if !jwt::is_for(&claims, &pool) {
        return Err(invalid("its audience is not the identity pool"));
    }
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let account = subject.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    let (namespace, name) = account.ok_or_else(|| invalid("it is of no ServiceAccount"))?;
    let scopes = given("scope").split_whitespace().map(str::to_owned).collect();
    Ok(issue(cloud, &format!("serviceAccount:{pool}[{namespace}/{name}]"), scopes))
}

/// `POST https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken`
pub(super) fn generate_access_token(
    cloud: &Cloud,
    authorization: Option<&str>,
    account: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let body = object(headers, body)?;
    only(body.keys(), &["delegates", "lifetime", "scope"])?;
    let texts = |name: &str| -> Vec<String> {
        let list = body.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let lifetime = match body.get("lifetime").and_then(Value::as_str) {
        None => HOUR,
        Some(text) => text
            .strip_suffix('s')
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs)
            .filter(|lifetime| !lifetime.is_zero() && *lifetime <= HOUR)
            .ok_or_else(|| Refusal::invalid("Request contains an invalid lifetime."))?,
    };
    let scopes = texts("scope");
    if scopes.is_empty() {
        return Err(Refusal::invalid("Scope required."));
    }
    let world = &mut *lock(&cloud.world);
    let caller = world.tokens.member(authorization)?.to_owned();
    let chain = texts("delegates").into_iter().map(|delegate| {
        let name = delegate.strip_prefix("projects/-/serviceAccounts/");
        name.map(str::to_owned).unwrap_or(delegate)
    });
    let mut acting = caller;
    for next in chain.chain([account.to_owned()]) {
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
    let token = world.tokens.issue(&acting, scopes, ttl);
    let end = Timestamp::now().saturating_add(ttl).unwrap_or(Timestamp::MAX);
    Ok(json!({"accessToken": token, "expireTime": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()}))
}

fn issue(cloud: &Cloud, member: &str, scopes: Vec<String>) -> Value {
    let ttl = cloud.settings.token_ttl;
    let token = lock(&cloud.world).tokens.issue(member, scopes, ttl);
    json!({"access_token": token, "expires_in": ttl.as_secs(), "token_type": "Bearer"})
}

fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().map(str::trim) == Some(wanted)
}

fn form(headers: &HeaderMap, body: &[u8]) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = || Refusal::oauth("invalid_request", "Bad Request");
    let text = std::str::from_utf8(body).map_err(|_| wrong())?;
    let form = pairs(text).filter(|_| is(headers, "application/x-www-form-urlencoded")).ok_or_else(wrong)?;
    Ok(form.into_iter().collect())
}

fn object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let object = serde_json::from_slice(body).ok().filter(|_| is(headers, "application/json"));
    object.ok_or_else(|| Refusal::invalid("Invalid JSON payload received."))
}

fn only<'a>(given: impl IntoIterator<Item = &'a String>, known: &[&str]) -> Result<(), Refusal> {
    match given.into_iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(Refusal::invalid(format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field.")))
        }
    }
}
