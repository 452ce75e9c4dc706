//! Who may log in, how, and what he may then read.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{body::Body, cloud, k8s::TokenReview, refusal::Refusal};
use crate::jwt;

/// An access id with its authentication method and its role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    /// The access id, `p-…`.
    pub id: String,
    /// How it proves itself.
    #[serde(flatten)]
    pub method: Method,
    /// The items that its role may see and read: full names, `*` at the end stands for any rest.
    #[serde(default = "everything")]
    pub allow: Vec<String>,
    /// Exceptions from that.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// An authentication method.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Method {
    /// An access key (access types `access_key` and `api_key`).
    ApiKey {
        /// The key.
        key: String,
    },
    /// A signed `GetCallerIdentity` request. The signature is not checked.
    AwsIam {},
    /// An access token of Entra. The signature is not checked.
    AzureAd {
        /// The claim `oid` that it must carry, if any.
        #[serde(default)]
        object_id: Option<String>,
    },
    /// An identity token of Google. The signature is not checked.
    Gcp {
        /// The audience that it must carry.
        #[serde(default = "default_audience")]
        audience: String,
    },
    /// A token of a Kubernetes ServiceAccount.
    K8s {
        /// Name of the gateway's Kubernetes auth config.
        config_name: String,
        /// Where the token is checked; without it only its form and its end are looked at.
        #[serde(default)]
        review: Option<TokenReview>,
        /// The subjects (`system:serviceaccount:namespace:name`) that may log in; empty lets all in.
        #[serde(default)]
        subjects: Vec<String>,
    },
}

fn everything() -> Vec<String> {
    vec!["/*".to_owned()]
}

fn default_audience() -> String {
    "akeyless.io".to_owned()
}

impl Access {
    /// An access key that may read everything.
    pub fn api_key(id: &str, key: &str) -> Self {
        Self::new(id, Method::ApiKey { key: key.to_owned() })
    }

    /// An access id that may read everything.
    pub fn new(id: &str, method: Method) -> Self {
        Self { id: id.to_owned(), method, allow: everything(), deny: Vec::new() }
    }

    /// The same access id with a role that may read only `allow` (see [`Access::allow`]).
    #[must_use]
    pub fn limited_to(self, allow: &[&str]) -> Self {
        Self { allow: allow.iter().map(|&rule| rule.to_owned()).collect(), ..self }
    }

    pub(super) fn may_read(&self, full_name: &str) -> bool {
        let covers = |rule: &String| match rule.strip_suffix('*') {
            Some(start) => full_name.starts_with(start),
            None => full_name == rule,
        };
        self.allow.iter().any(covers) && !self.deny.iter().any(covers)
    }

    /// Checks what `/auth` was sent.
    pub(super) async fn verify(&self, body: &Body) -> Result<(), Refusal> {
        let kind = match body.text("access-type") {
            "" | "api_key" => "access_key",
            kind => kind,
        };
        let refused = |what: &str| Refusal::unauthorized(format!("authentication failed: {what}"));
        match (&self.method, kind) {
            (Method::ApiKey { key }, "access_key") => {
                if body.required("access-key")? == key {
                    Ok(())
                } else {
                    Err(refused("wrong access key"))
                }
            }
            (Method::AwsIam {}, "aws_iam") => cloud::caller_identity(body.required("cloud-id")?).map_err(refused),
            (Method::AzureAd { object_id }, "azure_ad") => {
                let claims = cloud::token(body.required("cloud-id")?).map_err(refused)?;
                let oid = claims.get("oid").and_then(|oid| oid.as_str());
                match object_id {
                    Some(wanted) if oid != Some(wanted.as_str()) => Err(refused("another object id")),
                    _ => Ok(()),
                }
            }
            (Method::Gcp { audience }, "gcp") => {
                let claims = cloud::token(body.required("cloud-id")?).map_err(refused)?;
                if jwt::is_for(&claims, audience) { Ok(()) } else { Err(refused("another audience")) }
            }
            (Method::K8s { config_name, review, subjects }, "k8s") => {
                if body.required("k8s-auth-config-name")? != config_name {
                    return Err(Refusal::not_found("k8s auth config does not exist"));
                }
                let token = body.required("k8s-service-account-token")?;
                let subject = super::k8s::subject(token, review.as_ref()).await?;
                let allowed = subjects.is_empty() || subjects.contains(&subject);
                if allowed { Ok(()) } else { Err(refused("sub-claims do not match")) }
            }
            _ => Err(refused("the access id is of another access type")),
        }
    }
}

/// The tokens that `/auth` has given out.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<String, Issued>);

#[derive(Debug)]
struct Issued {
    access_id: String,
    end: Instant,
}

impl Tokens {
    pub(super) fn issue(&mut self, access_id: &str, prefix: &str, ttl: Duration) -> String {
        let token = format!("{prefix}{:032x}", rand::random::<u128>());
        self.0.insert(token.clone(), Issued { access_id: access_id.to_owned(), end: Instant::now() + ttl });
        token
    }

    /// The access id that `token` was given to, while it holds.
    pub(super) fn owner(&self, token: &str) -> Option<&str> {
        let issued = self.0.get(token).filter(|issued| Instant::now() < issued.end)?;
        Some(&issued.access_id)
    }

    pub(super) fn expire_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Access, Method, Tokens};

    #[test]
    fn roles_name_items_or_their_beginning() {
        let access = Access::api_key("p-1", "k").limited_to(&["/a/*", "/b"]);
        let access = Access { deny: vec!["/a/z".to_owned()], ..access };
        let may = ["/a/x", "/a/x/y", "/b", "/b/x", "/ab", "/a/z"].map(|name| access.may_read(name));
        assert_eq!(may, [true, true, true, false, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_after_its_life() {
        let mut tokens = Tokens::default();
        let token = tokens.issue("p-1", "t-", Duration::from_mins(1));
        assert_eq!(tokens.owner(&token), Some("p-1"));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(tokens.owner(&token), None);
        assert_eq!(tokens.owner("t-unknown"), None);
    }

    #[test]
    fn access_is_written_as_flat_json() {
        let access: Access = serde_json::from_str(r#"{"id": "p-1", "type": "api_key", "key": "k"}"#).unwrap();
        assert!(matches!(access.method, Method::ApiKey { key } if key == "k"));
        assert_eq!(access.allow, ["/*"]);
        let access: Access =
            serde_json::from_str(r#"{"id": "p-2", "type": "k8s", "configName": "c", "allow": ["/a"]}"#).unwrap();
        assert!(matches!(access.method, Method::K8s { config_name, review: None, .. } if config_name == "c"));
        assert!(serde_json::from_str::<Access>(r#"{"id": "p-3", "type": "api_key", "kye": "k"}"#).is_err());
    }
}
