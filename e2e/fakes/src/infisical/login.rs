//! `POST /api/v1/auth/{method}/login`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    aws,
    identity::{Identity, Method},
    oci::{self, ApiKey},
    refusal::Refusal,
    signature,
};
use crate::jwt;

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

    /// Checks the proof.
    pub(super) async fn verify(&self, identity: &Identity) -> Result<(), Refusal> {
        let refused = |what: &str| Refusal::unauthorized(format!("Access denied: {what}"));
        let now = Timestamp::now();
        match (&identity.method, &self.proof) {
            (Method::Aws { access_key_id, secret_access_key }, Proof::Aws(aws)) => {
                let Aws { iam_http_request_method: method, iam_request_body, iam_request_headers, .. } = aws;
                let request = (method.as_str(), iam_request_body.as_str(), iam_request_headers.as_str());
                aws::verify(request, access_key_id, secret_access_key, now).map_err(refused)
            }
            (Method::Ldap { username, password }, Proof::Ldap { username: name, password: word }) => {
                if (username, password) == (name, word) { Ok(()) } else { Err(refused("LDAP authentication failed")) }
            }
            (Method::Oci { tenancy, user, fingerprint, key }, Proof::Oci { user: asked, headers }) => {
                if asked != user {
                    return Err(refused("another user"));
                }
                oci::verify(headers, &ApiKey { tenancy, user, fingerprint, key }, now).map_err(refused)
            }
            (Method::Universal { client_secret, .. }, Proof::Secret(secret)) => {
                if secret == client_secret {
                    Ok(())
                } else {
                    Err(Refusal::unauthorized("Invalid credentials"))
                }
            }
            (method, Proof::Jwt(token)) => verify_jwt(method, &identity.id, token).await.map_err(refused),
            _ => Err(refused("another method")),
        }
    }
}

async fn verify_jwt(method: &Method, identity: &str, token: &str) -> Result<(), &'static str> {
    let must = |holds: bool, wrong: &'static str| if holds { Ok(()) } else { Err(wrong) };
    let is =
        |claims: &Map<String, Value>, name: &str, wanted: &str| claims.get(name).is_some_and(|value| value == wanted);
    match method {
        Method::Azure { tenant_id, resource, key } => {
            let claims = signature::claims(token, key)?;
            must(is(&claims, "iss", &format!("https://sts.windows.net/{tenant_id}/")), "jwt issuer invalid")?;
            let audience = [resource.as_str(), resource.trim_end_matches('/')];
            must(audience.iter().any(|audience| jwt::is_for(&claims, audience)), "jwt audience invalid")
        }
        Method::GcpIam { service_account, key } => {
            let claims = signature::claims(token, key)?;
            must(is(&claims, "sub", service_account), "GCP service account not allowed.")?;
            must(jwt::is_for(&claims, identity), "Invalid audience in GCP IAM Token")
        }
        Method::GcpIdToken { service_account, key } => {
            let claims = signature::claims(token, key)?;
            must(is(&claims, "iss", "https://accounts.google.com"), "another issuer")?;
            must(is(&claims, "email", service_account), "GCP service account not allowed.")?;
            must(jwt::is_for(&claims, identity), "another audience")
        }
        Method::Jwt { key, issuer, subject, audience } => {
            let claims = signature::claims(token, key)?;
            must(issuer.as_ref().is_none_or(|issuer| is(&claims, "iss", issuer)), "issuer mismatch")?;
            must(subject.as_ref().is_none_or(|subject| is(&claims, "sub", subject)), "subject not allowed")?;
            must(audience.as_ref().is_none_or(|audience| jwt::is_for(&claims, audience)), "token audience not allowed")
        }
        Method::Kubernetes { review, subjects } => {
            let claims = jwt::claims(token).ok_or("the token is no JWT")?;
            must(!jwt::has_expired(&claims), "the token has expired")?;
            let subject = match review {
                None => claims.get("sub").and_then(Value::as_str).map(str::to_owned),
                Some(review) => review.user_of(token).await.map_err(|_| "the API server cannot be asked")?,
            };
            let subject = subject.ok_or("the API server does not know the token")?;
            must(subjects.is_empty() || subjects.contains(&subject), "service account not allowed")
        }
        _ => Err("another method"),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::malformed(&error.to_string()))
}
