//! `POST /api/v1/auth/{method}/login`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::error::Category;

use super::{
    identity::{Identity, Method},
    oci::{self, ApiKey},
    refusal::Refusal,
};
use crate::{
    aws::{CALLER_IDENTITY, Question},
    jwt::{Jwt as Token, Members},
    keys::{Keys, Wrong},
};

/// The paths of the logins.
pub(super) const ENDPOINTS: [&str; 8] =
    ["aws-auth", "azure-auth", "gcp-auth", "jwt-auth", "kubernetes-auth", "ldap-auth", "oci-auth", "universal-auth"];

/// What a login brings.
#[derive(Debug)]
pub(super) struct Attempt {
    endpoint: &'static str,
    /// What names the identity: its id, or a client id.
    pub(super) who: String,
    pub(super) organization: Option<String>,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Aws(Aws),
    Jwt(String),
    Ldap { username: String, password: String },
    Oci { user: String, headers: BTreeMap<String, String> },
    Secret(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Aws {
    identity_id: String,
    iam_http_request_method: String,
    iam_request_body: String,
    iam_request_headers: String,
    organization_slug: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Jwt {
    identity_id: String,
    #[serde(rename = "jwt")]
    token: String,
    organization_slug: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ldap {
    identity_id: String,
    username: String,
    password: String,
    organization_slug: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Oci {
    identity_id: String,
    user_ocid: String,
    headers: BTreeMap<String, String>,
    organization_slug: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Universal {
    client_id: String,
    client_secret: String,
    organization_slug: Option<String>,
}

impl Attempt {
    /// Reads the body of a login at `endpoint`, which is one of [`ENDPOINTS`].
    pub(super) fn parse(endpoint: &'static str, body: &[u8]) -> Result<Self, Refusal> {
        let (who, organization, proof) = match endpoint {
            "aws-auth" => {
                let body: Aws = read(body)?;
                (body.identity_id.clone(), body.organization_slug.clone(), Proof::Aws(body))
            }
            "ldap-auth" => {
                let Ldap { identity_id, username, password, organization_slug } = read(body)?;
                (identity_id, organization_slug, Proof::Ldap { username, password })
            }
            "oci-auth" => {
                let Oci { identity_id, user_ocid: user, headers, organization_slug } = read(body)?;
                (identity_id, organization_slug, Proof::Oci { user, headers })
            }
            "universal-auth" => {
                let Universal { client_id, client_secret, organization_slug } = read(body)?;
                (client_id, organization_slug, Proof::Secret(client_secret))
            }
            _ => {
                let Jwt { identity_id, token, organization_slug } = read(body)?;
                (identity_id, organization_slug, Proof::Jwt(token))
            }
        };
        Ok(Self { endpoint, who, organization, proof })
    }

    /// Whether `identity` is who logs in, and has the method of this login.
    pub(super) fn means(&self, identity: &Identity) -> bool {
        let id = identity.id == self.who;
        match (self.endpoint, &identity.method) {
            ("universal-auth", Method::Universal { client_id, .. }) => *client_id == self.who,
            ("gcp-auth", Method::GcpIam { .. } | Method::GcpIdToken { .. })
            | ("aws-auth", Method::Aws { .. })
            | ("azure-auth", Method::Azure { .. })
            | ("jwt-auth", Method::Jwt { .. })
            | ("kubernetes-auth", Method::Kubernetes { .. })
            | ("ldap-auth", Method::Ldap { .. })
            | ("oci-auth", Method::Oci { .. }) => id,
            _ => false,
        }
    }

    /// The answer where no identity is meant.
    pub(super) fn nobody(&self) -> Refusal {
        match self.endpoint {
            "universal-auth" => Refusal::unauthorized("Invalid credentials"),
            endpoint => {
                let method = endpoint.trim_end_matches("-auth");
                let text = format!("{method} auth method not found for identity, did you configure {method} auth?");
                Refusal::not_found(text)
            }
        }
    }

    /// Checks the proof. What a cloud says no to is a failure of the server, as is what the server did not expect.
    pub(super) async fn verify(&self, identity: &Identity) -> Result<(), Refusal> {
        match (&identity.method, &self.proof) {
            (Method::Aws { access_key_id, secret_access_key }, Proof::Aws(aws)) => {
                aws.verify(&[(access_key_id.clone(), secret_access_key.clone())].into())
            }
            (Method::Ldap { username, password }, Proof::Ldap { username: name, password: word }) => {
                let is_known = (username, password) == (name, word);
                must(is_known, || denied("LDAP authentication failed"))
            }
            (Method::Oci { tenancy, user, fingerprint, key }, Proof::Oci { user: asked, headers }) => {
                must(asked == user, failure)?;
                oci::verify(headers, &ApiKey { tenancy, user, fingerprint, key }, Timestamp::now())
            }
            (Method::Universal { client_secret, .. }, Proof::Secret(secret)) => {
                must(secret == client_secret, || Refusal::unauthorized("Invalid credentials"))
            }
            (method, Proof::Jwt(token)) => verify_jwt(method, &identity.id, token).await,
            _ => Err(failure()),
        }
    }
}

impl Aws {
    fn verify(&self, keys: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let decoded = |text: &str| STANDARD.decode(text).ok().and_then(|text| String::from_utf8(text).ok());
        let body = decoded(&self.iam_request_body).ok_or_else(failure)?;
        let headers = decoded(&self.iam_request_headers).ok_or_else(failure)?;
        let headers: BTreeMap<String, String> = serde_json::from_str(&headers).map_err(|_| failure())?;
        let authorization = headers.get("Authorization").or_else(|| headers.get("authorization"));
        let region = authorization.and_then(|text| text.split("Credential=").nth(1)?.split('/').nth(2));
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let region = region.filter(|region| !region.is_empty() && region.len() <= 20 && region.bytes().all(is_plain));
        let region = region.ok_or_else(|| Refusal::bad_request("Invalid AWS region"))?;
        let host = format!("sts.{region}.amazonaws.com");
        must(self.iam_http_request_method == "POST" && body == CALLER_IDENTITY, failure)?;
        let question = Question::new(&host, ("", &body), headers.clone());
        question.signer(keys, Timestamp::now()).map(drop).map_err(|_| failure())
    }
}

async fn verify_jwt(method: &Method, identity: &str, token: &str) -> Result<(), Refusal> {
    match method {
        Method::Azure { tenant_id, resource, key } => {
            must(Token::parse(token).is_some(), failure)?;
            let claims = verified(key, token).await.map_err(Refusal::token)?;
            let audience = [resource.as_str(), resource.trim_end_matches('/')];
            must(audience.iter().any(|audience| claims.is_for(audience)), || Refusal::token("jwt audience invalid"))?;
            let issuer = format!("https://sts.windows.net/{tenant_id}/");
            must(claims.text("iss") == issuer, || Refusal::token("jwt issuer invalid"))
        }
        Method::GcpIam { service_account, key } => {
            let stated = Token::parse(token).ok_or_else(failure)?.claims;
            let is_account = stated.text("sub").ends_with(".iam.gserviceaccount.com");
            must(is_account, || Refusal::unauthorized("Invalid service account identifier"))?;
            let claims = verified(key, token).await.map_err(Refusal::token)?;
            must(claims.is_for(identity), || Refusal::unauthorized("Invalid audience in GCP IAM Token"))?;
            must(claims.text("sub") == service_account, || denied("GCP service account not allowed."))
        }
        Method::GcpIdToken { service_account, key } => {
            let claims = verified(key, token).await.map_err(|_| failure())?;
            let is_google = claims.text("iss") == "https://accounts.google.com";
            must(is_google && claims.is_for(identity) && claims.time("exp").is_some(), failure)?;
            must(claims.text("email") == service_account, || denied("GCP service account not allowed."))
        }
        Method::Jwt { key, issuer, subject, audience } => {
            let claims = verified(key, token).await.map_err(denied)?;
            let is =
                |name: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| claims.text(name) == wanted);
            must(is("iss", issuer), || Refusal::forbidden("Access denied: issuer mismatch"))?;
            must(is("sub", subject), || Refusal::forbidden("Access denied: subject not allowed"))?;
            let is_for = audience.as_ref().is_none_or(|audience| claims.is_for(audience));
            must(is_for, || denied("token audience not allowed"))
        }
        Method::Kubernetes { review, subjects } => {
            let subject = review.user_of(token).await.map_err(denied)?;
            must(subjects.is_empty() || subjects.contains(&subject), || denied("service account not allowed"))
        }
        _ => Err(failure()),
    }
}

/// The claims of a token that the owner of `key` (PEM) has signed and that holds now; otherwise what is wrong.
async fn verified(key: &str, token: &str) -> Result<Members, &'static str> {
    Keys::Pem(key.to_owned()).verify(token).await.map_err(|wrong| match wrong {
        Wrong::Early => "jwt not active",
        Wrong::Expired => "jwt expired",
        Wrong::Form => "jwt malformed",
        Wrong::Keys | Wrong::Signature => "invalid signature",
    })
}

fn must(holds: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}

fn denied(what: &str) -> Refusal {
    Refusal::unauthorized(format!("Access denied: {what}"))
}

fn failure() -> Refusal {
    Refusal::of(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What a body says.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Refusal::malformed(&error.to_string()),
        // The web framework's own refusals become 500 by the way.
        Category::Eof | Category::Io | Category::Syntax => failure(),
    })
}
