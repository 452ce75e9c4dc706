//! Who may log in, how, and what he may then read.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{body::Body, cloud, refusal::Refusal};
use crate::{keys::Keys, token_review::Review};

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
    /// A signed `GetCallerIdentity` request.
    AwsIam {
        /// Secret access keys by access key id.
        keys: BTreeMap<String, String>,
    },
    /// An access token of Entra for `https://management.azure.com/`.
    AzureAd {
        /// Entra's keys.
        keys: Keys,
        /// The claim `oid` that it must carry, if any.
        #[serde(default)]
        object_id: Option<String>,
        /// The tenant that must have issued it.
        tenant: String,
    },
    /// An identity token of Google.
    Gcp {
        /// The audience that it must carry.
        #[serde(default = "default_audience")]
        audience: String,
        /// Google's keys.
        keys: Keys,
    },
    /// A token of a Kubernetes ServiceAccount.
    K8s {
        /// Name of the gateway's Kubernetes auth config.
        config_name: String,
        /// Where the token is checked.
        review: Review,
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
            (Method::AwsIam { keys }, "aws_iam") => {
                cloud::check_question(body.required("cloud-id")?, keys, Timestamp::now()).map_err(refused)
            }
            (Method::AzureAd { keys, object_id, tenant }, "azure_ad") => {
                let claims = cloud::token(body.required("cloud-id")?, keys).await.map_err(refused)?;
                if claims.text("iss") != format!("https://sts.windows.net/{tenant}/") {
                    Err(refused("another issuer"))
                } else if !["", "/"].iter().any(|end| claims.is_for(&format!("https://management.azure.com{end}"))) {
                    Err(refused("another audience"))
                } else if object_id.as_ref().is_some_and(|wanted| claims.text("oid") != wanted) {
                    Err(refused("another object id"))
                } else {
                    Ok(())
                }
            }
            (Method::Gcp { audience, keys }, "gcp") => {
                let claims = cloud::token(body.required("cloud-id")?, keys).await.map_err(refused)?;
                if claims.text("iss") != "https://accounts.google.com" {
                    Err(refused("another issuer"))
                } else if claims.is_for(audience) {
                    Ok(())
                } else {
                    Err(refused("another audience"))
                }
            }
            (Method::K8s { config_name, review, subjects }, "k8s") => {
                if body.required("k8s-auth-config-name")? != config_name {
                    return Err(Refusal::not_found("k8s auth config does not exist"));
                }
                let token = STANDARD.decode(body.required("k8s-service-account-token")?).ok();
                let token = token.and_then(|token| String::from_utf8(token).ok());
                let token = token.ok_or_else(|| Refusal::bad_request("k8s-service-account-token must be base64"))?;
                let subject = review.user_of(&token).await.map_err(refused)?;
                let allowed = subjects.is_empty() || subjects.contains(&subject);
                if allowed { Ok(()) } else { Err(refused("sub-claims do not match")) }
            }
            _ => Err(refused("the access id is of another access type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Method};

    #[test]
    fn roles_name_items_or_their_beginning() {
        let access = Access::api_key("p-1", "k").limited_to(&["/a/*", "/b"]);
        let access = Access { deny: vec!["/a/z".to_owned()], ..access };
        let may = ["/a/x", "/a/x/y", "/b", "/b/x", "/ab", "/a/z"].map(|name| access.may_read(name));
        assert_eq!(may, [true, true, true, false, false, false]);
    }

    #[test]
    fn access_is_written_as_flat_json() {
        let access: Access = serde_json::from_str(r#"{"id": "p-1", "type": "api_key", "key": "k"}"#).unwrap();
        assert!(matches!(access.method, Method::ApiKey { key } if key == "k"));
        assert_eq!(access.allow, ["/*"]);
        let text =
            r#"{"id": "p-2", "type": "k8s", "configName": "c", "review": {"keys": {"pem": ""}}, "allow": ["/a"]}"#;
        let access: Access = serde_json::from_str(text).unwrap();
        assert!(matches!(access.method, Method::K8s { config_name, .. } if config_name == "c"));
        assert!(serde_json::from_str::<Access>(r#"{"id": "p-3", "type": "api_key", "kye": "k"}"#).is_err());
    }
}
