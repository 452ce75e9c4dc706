//! Access tokens for whom somebody else vouches: another issuer of tokens, AWS, or a cluster of GKE.

use axum::http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api::Cloud,
    login::{form, issue, object, only},
    people::{Pool, Provider},
    refusal::Refusal,
};
use crate::{
    aws::{CALLER_IDENTITY, Question},
    jwt::{Jwt, Members, SKEW},
    keys::{Keys, Wrong},
    lock::lock,
};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// The longest that a token from elsewhere may hold, in seconds.
const TWO_DAYS: i64 = 48 * 3600;

/// The longest subject, in bytes.
const LONGEST_SUBJECT: usize = 127;

/// `POST https://sts.googleapis.com/v1/token`
pub(super) async fn exchange(cloud: &Cloud, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    const MEMBERS: [&str; 7] =
        ["audience", "grant_type", "options", "requested_token_type", "scope", "subject_token", "subject_token_type"];
    let form = form(headers, body)?;
    only(&form, &MEMBERS)?;
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if given("grant_type") != TOKEN_EXCHANGE || given("requested_token_type") != ACCESS_TOKEN {
        return Err(Refusal::oauth("invalid_request", "Invalid grant or requested token type."));
    }
    let scopes: Vec<_> = given("scope").split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() || given("subject_token").is_empty() {
        return Err(Refusal::oauth("invalid_request", "Missing scope or subject token."));
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
    let mut answer = issue(cloud, &pool.member(&subject), scopes);
    answer["issued_token_type"] = json!(ACCESS_TOKEN);
    Ok(answer)
}

/// Who bears a token from elsewhere.
async fn subject(pool: &Pool, kind: &str, token: &str) -> Result<String, Refusal> {
    let grant = |what: &str| Refusal::oauth("invalid_grant", format!("The credential is not accepted: {what}."));
    match (&pool.provider, kind) {
        (Provider::Aws { account, keys }, AWS_REQUEST) => {
            let signed = SignedRequest::parse(token).ok_or_else(|| grant("it is no request"))?;
            let question = signed.question().map_err(grant)?;
            if question.header("x-goog-cloud-target-resource") != Ok(&pool.audience) {
                return Err(grant("it is meant for another provider"));
            }
            let user = question.signer(keys, Timestamp::now()).map_err(grant)?;
            Ok(format!("arn:aws:iam::{account}:user/{user}"))
        }
        (Provider::Oidc { audiences, issuer, keys }, JWT | ID_TOKEN) => {
            let claims = verified(keys, token).await.map_err(grant)?;
            if claims.text("iss") != issuer {
                return Err(grant("its issuer is not the provider's"));
            }
            let own = [pool.audience.clone(), format!("https:{}", pool.audience)];
            let accepted = if audiences.is_empty() { own.as_slice() } else { audiences };
            if !accepted.iter().any(|audience| claims.is_for(audience)) {
                return Err(grant("its audience does not match"));
            }
            match claims.text("sub") {
                "" => Err(grant("it has no subject")),
                subject if subject.len() > LONGEST_SUBJECT => Err(grant("its subject is too long")),
                subject => Ok(subject.to_owned()),
            }
        }
        _ => Err(Refusal::oauth("invalid_request", "Invalid subject_token_type for this provider.")),
    }
}

/// The claims of a token that one of `keys` has signed and that says of itself all that Google wants to know.
async fn verified(keys: &Keys, token: &str) -> Result<Members, &'static str> {
    let claims = keys.verify(token).await.map_err(|wrong| match wrong {
        Wrong::Early | Wrong::Expired => "it does not hold now",
        Wrong::Form => "it is no JWT",
        Wrong::Keys => "the issuer's keys cannot be read",
        Wrong::Signature => "its signature does not match",
    })?;
    if Jwt::parse(token).is_none_or(|jwt| jwt.header.text("kid").is_empty()) {
        return Err("it names no key");
    }
    match (claims.time("iat"), claims.time("exp")) {
        (Some(from), Some(to)) if from <= Timestamp::now().as_second() + SKEW && to - from < TWO_DAYS => Ok(claims),
        _ => Err("its time of issue and its end are not those of a short life"),
    }
}

/// A request to AWS, as it stands in a subject token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedRequest {
    #[serde(default)]
    body: String,
    headers: Vec<Header>,
    method: String,
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    value: String,
}

impl SignedRequest {
    fn parse(token: &str) -> Option<Self> {
        serde_json::from_str(&percent_decode_str(token).decode_utf8().ok()?).ok()
    }

    fn question(&self) -> Result<Question<'_>, &'static str> {
        let host = self.url.strip_prefix("https://").and_then(|url| url.split_once('?'));
        match (host, self.method.as_str(), self.body.as_str()) {
            (Some((host, CALLER_IDENTITY)), "POST", "") => {
                let headers = self.headers.iter().map(|Header { key, value }| (key.clone(), value.clone()));
                Ok(Question::new(host.trim_end_matches('/'), (CALLER_IDENTITY, ""), headers))
            }
            _ => Err("it asks something else"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bind {
    audience: String,
    grant_type: String,
    requested_token_type: String,
    scope: String,
    subject_token: String,
    subject_token_type: String,
}

/// `POST https://securetoken.googleapis.com/v1/identitybindingtoken`
pub(super) async fn bind(cloud: &Cloud, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let Bind { audience, grant_type, requested_token_type, scope, subject_token, subject_token_type } =
        object(headers, body)?;
    if [grant_type.as_str(), &requested_token_type, &subject_token_type] != [TOKEN_EXCHANGE, ACCESS_TOKEN, JWT] {
        return Err(Refusal::invalid("Invalid grant or token type."));
    }
    let cluster = lock(&cloud.world).people.clusters.get(&audience).cloned();
    let cluster = cluster
        .ok_or_else(|| Refusal::invalid("Identity Pool does not exist. Please check that the identity pool exists."))?;
    let invalid = |what: &str| Refusal::invalid(format!("The subject token is not accepted: {what}."));
    let claims = verified(&cluster.keys, &subject_token).await.map_err(invalid)?;
    let pool = format!("{}.svc.id.goog", cluster.project);
    if claims.text("iss") != cluster.issuer {
        return Err(invalid("its issuer is another cluster"));
    }
    if !claims.is_for(&pool) {
        return Err(invalid("its audience is not the identity pool"));
    }
    let account = claims.text("sub").strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    let (namespace, name) = account.ok_or_else(|| invalid("it is of no ServiceAccount"))?;
    let scopes = scope.split_whitespace().map(str::to_owned).collect();
    Ok(issue(cloud, &format!("serviceAccount:{pool}[{namespace}/{name}]"), scopes))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CALLER_IDENTITY, SignedRequest};

    const PROVIDER: &str = "//iam.googleapis.com/pool";

    /// The signature was computed with another implementation (Python's hmac).
    fn token(change: impl FnOnce(&mut Value)) -> String {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, \
                             SignedHeaders=host;x-amz-date;x-goog-cloud-target-resource, \
                             Signature=5d6aa447e997b5d1b616bc488739d584e100288c3308b090004a8c96005b7905";
        let mut request = json!({
            "url": format!("https://sts.us-east-1.amazonaws.com?{CALLER_IDENTITY}"),
            "method": "POST",
            "headers": [
                {"key": "Authorization", "value": authorization},
                {"key": "host", "value": "sts.us-east-1.amazonaws.com"},
                {"key": "x-amz-date", "value": "20150830T123600Z"},
                {"key": "x-goog-cloud-target-resource", "value": PROVIDER},
            ],
        });
        change(&mut request);
        request.to_string()
    }

    #[test]
    fn a_subject_token_of_aws_is_a_signed_question_for_its_signer() {
        let signed = SignedRequest::parse(&token(|_| ())).expect("a request");
        let question = signed.question().expect("a question");
        let keys = [("AKIDEXAMPLE".to_owned(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned())].into();
        let now = "2015-08-30T12:40:00Z".parse().expect("a time");
        assert_eq!(question.signer(&keys, now), Ok("AKIDEXAMPLE".to_owned()));
        assert_eq!(question.header("x-goog-cloud-target-resource"), Ok(PROVIDER));
        for (member, value) in [
            ("url", json!("https://sts.us-east-1.amazonaws.com?Action=AssumeRole")),
            ("url", json!(format!("http://sts.us-east-1.amazonaws.com?{CALLER_IDENTITY}"))),
            ("method", json!("GET")),
            ("body", json!("x")),
        ] {
            let signed = SignedRequest::parse(&token(|request| request[member] = value)).expect("a request");
            assert!(signed.question().is_err(), "{member}");
        }
        assert!(SignedRequest::parse(&token(|request| request["other"] = json!(1))).is_none());
        assert!(SignedRequest::parse("x").is_none());
    }
}
