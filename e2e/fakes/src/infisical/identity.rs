//! Machine identities: how they prove themselves, and what they may then read.

use serde::{Deserialize, Serialize};

use super::Place;
use crate::token_review::Review;

/// A machine identity with one authentication method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// How it proves itself.
    #[serde(flatten)]
    pub method: Method,
    /// What it may read.
    pub allow: Vec<Rule>,
}

/// An authentication method. Keys are public keys in PEM; signatures are checked with them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Method {
    /// A signed `GetCallerIdentity` request of this IAM user.
    Aws {
        /// Its access key id.
        access_key_id: String,
        /// Its secret access key.
        secret_access_key: String,
    },
    /// An access token of Entra.
    Azure {
        /// The tenant that must have issued it.
        tenant_id: String,
        /// The audience that it must carry.
        resource: String,
        /// Entra's key.
        key: String,
    },
    /// A JWT of a Google service account, signed by Google.
    GcpIam {
        /// The account.
        service_account: String,
        /// Google's key.
        key: String,
    },
    /// An identity token of a Google service account.
    GcpIdToken {
        /// The account.
        service_account: String,
        /// Google's key.
        key: String,
    },
    /// A JWT.
    Jwt {
        /// Its signer's key.
        key: String,
        /// The issuer that it must carry.
        #[serde(default)]
        issuer: Option<String>,
        /// The subject that it must carry.
        #[serde(default)]
        subject: Option<String>,
        /// The audience that it must carry.
        #[serde(default)]
        audience: Option<String>,
    },
    /// A token of a Kubernetes ServiceAccount.
    Kubernetes {
        /// Where the token is checked.
        review: Review,
        /// The subjects (`system:serviceaccount:namespace:name`) that may log in; empty lets all in.
        #[serde(default)]
        subjects: Vec<String>,
    },
    /// A user of an LDAP directory.
    Ldap {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A signed request of this user of Oracle Cloud.
    Oci {
        /// OCID of the tenancy.
        tenancy: String,
        /// OCID of the user.
        user: String,
        /// Fingerprint of the user's API key.
        fingerprint: String,
        /// The user's API key.
        key: String,
    },
    /// An access token that does not end.
    Token {
        /// The token.
        access_token: String,
    },
    /// A client id and secret.
    Universal {
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: String,
    },
}

/// A permission.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Slug of the project, of which the rule makes the identity a member.
    pub project: String,
    /// Slug of the environment; `*` is every one.
    #[serde(default = "any")]
    pub environment: String,
    /// Path and name of secrets (`/app/db/PASSWORD`); `*` at the end stands for any rest.
    #[serde(default = "any")]
    pub secrets: String,
    /// Whether their values may be read, or only that they exist.
    #[serde(default = "yes")]
    pub values: bool,
}

fn any() -> String {
    "*".to_owned()
}

fn yes() -> bool {
    true
}

impl Identity {
    /// An identity that may read everything in `project`.
    pub fn new(id: &str, method: Method, project: &str) -> Self {
        Self { id: id.to_owned(), method, allow: vec![Rule::everything(project)] }
    }

    /// An identity with client id and secret that may read everything in `project`.
    pub fn universal(client_id: &str, client_secret: &str, project: &str) -> Self {
        let method = Method::Universal { client_id: client_id.to_owned(), client_secret: client_secret.to_owned() };
        Self::new(client_id, method, project)
    }

    /// The same identity with these permissions instead.
    #[must_use]
    pub fn allowed(self, allow: Vec<Rule>) -> Self {
        Self { allow, ..self }
    }

    pub(super) fn is_member(&self, project: &str) -> bool {
        self.allow.iter().any(|rule| rule.project == project)
    }

    /// Whether it may see that there is a secret.
    pub(super) fn may_describe(&self, place: &Place, name: &str) -> bool {
        self.allow.iter().any(|rule| rule.covers(place, name))
    }

    /// Whether it may see the secret's value.
    pub(super) fn may_read(&self, place: &Place, name: &str) -> bool {
        self.allow.iter().any(|rule| rule.values && rule.covers(place, name))
    }
}

impl Rule {
    /// All that is in `project`.
    pub fn everything(project: &str) -> Self {
        Self { project: project.to_owned(), environment: any(), secrets: any(), values: true }
    }

    /// The secrets of every environment of `project` that `secrets` says (see [`Rule::secrets`]).
    pub fn only(project: &str, secrets: &str) -> Self {
        Self { secrets: secrets.to_owned(), ..Self::everything(project) }
    }

    /// The same rule without the values.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self { values: false, ..self }
    }

    fn covers(&self, place: &Place, name: &str) -> bool {
        let secret = format!("{}/{name}", place.path.trim_end_matches('/'));
        let named = match self.secrets.strip_suffix('*') {
            Some(start) => secret.starts_with(start),
            None => secret == self.secrets,
        };
        let environment = self.environment == "*" || self.environment == place.environment;
        self.project == place.project && environment && named
    }
}

/// How the server words that a token has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// 403 `TokenError`: what the real server says of a JWT whose time is over.
    #[default]
    Forbidden,
    /// 401 `UnauthorizedError`: what it says of a token that was revoked.
    Unauthorized,
}

#[cfg(test)]
mod tests {
    use super::{Identity, Method, Place, Rule};

    #[test]
    fn rules_name_secrets_or_their_beginning() {
        let rules = vec![Rule::only("p", "/app/*"), Rule::only("p", "/A").without_values()];
        let identity = Identity::universal("id", "secret", "p").allowed(rules);
        let place = |path| Place::new("p", "dev", path);
        assert!(identity.may_read(&place("/app"), "B") && identity.may_read(&place("/app/db"), "B"));
        assert!(identity.may_describe(&place("/"), "A") && !identity.may_read(&place("/"), "A"));
        assert!(
            !identity.may_describe(&place("/"), "B") && !identity.may_describe(&Place::new("q", "dev", "/app"), "B")
        );
        assert!(identity.is_member("p") && !identity.is_member("q"));
    }

    #[test]
    fn identities_are_written_as_flat_json() {
        let text =
            r#"{"id": "i", "method": "universal", "clientId": "c", "clientSecret": "s", "allow": [{"project": "p"}]}"#;
        let identity: Identity = serde_json::from_str(text).unwrap();
        assert!(matches!(&identity.method, Method::Universal { client_id, .. } if client_id == "c"));
        assert!(identity.may_read(&Place::new("p", "dev", "/x"), "A"));
        assert!(serde_json::from_str::<Identity>(&text.replace("clientId", "clientID")).is_err());
    }
}
