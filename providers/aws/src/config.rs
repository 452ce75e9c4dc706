//! What a store says about AWS, in plain values.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use keyferry_clouds::aws::{is_region, is_role};
use keyferry_core::{SecretBytes, TokenSource};

use crate::environment::Environment;

/// Settings of one store.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    /// Which of AWS's services holds the secrets.
    pub service: Service,
    /// Where, for example `eu-west-1`.
    pub region: String,
    /// Who logs in.
    pub identity: Identity,
    /// ARNs of the roles that are assumed one after the other, before [`AwsConfig::role`].
    pub additional_roles: Vec<String>,
    /// The role that is assumed last.
    pub role: Option<Role>,
    /// Stands before every name that a user writes, except before ARNs, and never before names that were found by
    /// listing. May be empty.
    pub prefix: String,
    /// Endpoints and proxies.
    pub environment: Environment,
}

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Holds certificates; nothing can be read from it by name.
    CertificateManager,
    /// Systems Manager's Parameter Store.
    ParameterStore,
    /// Secrets Manager.
    SecretsManager,
}

impl Service {
    /// The backend's name in metrics and messages.
    pub fn provider(self) -> &'static str {
        match self {
            Self::CertificateManager => "AWS/CertificateManager",
            Self::ParameterStore => "AWS/ParameterStore",
            Self::SecretsManager => "AWS/SecretsManager",
        }
    }
}

/// Who logs in.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The operator itself, in whatever way its pod is known to AWS: environment variables, a shared profile, web
    /// identity, EKS Pod Identity or ECS, the instance's role.
    Ambient,
    /// An IAM user, or a session that somebody else began.
    Keys(AccessKeys),
    /// A ServiceAccount whose annotation `eks.amazonaws.com/role-arn` names the role that trusts it.
    ServiceAccount(Arc<dyn TokenSource>),
}

/// Static credentials. Surrounding white space does not count.
#[derive(Clone)]
pub struct AccessKeys {
    /// The access key id.
    pub id: SecretBytes,
    /// The secret access key.
    pub secret: SecretBytes,
    /// The session token, where the keys are those of a session.
    pub session_token: Option<SecretBytes>,
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeys").finish_non_exhaustive()
    }
}

/// A role to assume.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What the role's trust policy may ask for as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// What policies may look at as `aws:PrincipalTag`.
    pub session_tags: SessionTags,
    /// Keys of session tags that outlive assuming another role.
    pub transitive_tag_keys: Vec<String>,
}

/// How the tags of a role's session are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionTags {
    /// These, without those whose key or value is empty, and those that say which store asks.
    Custom {
        /// Tags of the user's choice.
        tags: BTreeMap<String, String>,
        /// Which store asks.
        store: StoreIdentity,
    },
    /// These, in this order.
    Listed(Vec<(String, String)>),
    /// Those that say which store asks.
    Simple(StoreIdentity),
}

/// Which store asks, and on behalf of which namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    /// The namespace in which the secrets are used.
    pub namespace: String,
    /// Name of the store.
    pub name: String,
    /// `SecretStore` or `ClusterSecretStore`.
    pub kind: String,
}

impl SessionTags {
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        match self {
            Self::Custom { tags, store } => {
                let filled = tags.iter().filter(|(key, value)| !key.is_empty() && !value.is_empty());
                filled.map(|(key, value)| (key.clone(), value.clone())).chain(store.tags()).collect()
            }
            Self::Listed(pairs) => pairs.clone(),
            Self::Simple(store) => store.tags().into(),
        }
    }
}

impl StoreIdentity {
    /// The keys are those that existing IAM policies test.
    fn tags(&self) -> [(String, String); 3] {
        let tag = |key: &str, value: &String| (key.to_owned(), value.clone());
        [tag("esoNamespace", &self.namespace), tag("esoStoreName", &self.name), tag("esoStoreKind", &self.kind)]
    }
}

/// What in the settings cannot work, named as in the store's manifest.
pub(crate) fn flaw(config: &AwsConfig) -> Option<String> {
    let AwsConfig { region, identity, additional_roles, role, .. } = config;
    let region =
        (!is_region(region)).then(|| format!("region: {region:?} is not a region of AWS; write it like eu-west-1"));
    let roles = additional_roles.iter().enumerate().map(|(index, arn)| (format!("additionalRoles[{index}]"), arn));
    let mut roles = roles.chain(role.iter().map(|role| ("role".to_owned(), &role.arn)));
    region
        .or_else(|| match identity {
            Identity::Ambient | Identity::ServiceAccount(_) => None,
            Identity::Keys(keys) => keys.flaw(),
        })
        .or_else(|| {
            let (field, arn) = roles.find(|(_, arn)| !is_role(arn))?;
            Some(format!(
                "{field}: {arn:?} is not the ARN of a role; write it like arn:aws:iam::123456789012:role/name"
            ))
        })
        .or_else(|| role.as_ref()?.flaw())
}

impl Role {
    fn flaw(&self) -> Option<String> {
        let id = self.external_id.as_deref().filter(|id| !is_external_id(id));
        let id = id.map(|id| {
            format!("externalID: {id:?} cannot be one; it has 2 to 1,224 letters, digits and characters of +=,.@:/-_")
        });
        let transitive =
            || self.transitive_tag_keys.iter().find_map(|key| Some(format!("transitiveTagKeys: {}", no_key(key)?)));
        id.or_else(|| self.session_tags.flaw()).or_else(transitive)
    }
}

impl SessionTags {
    fn flaw(&self) -> Option<String> {
        let field = match self {
            Self::Custom { .. } => "customSessionTags",
            Self::Listed(_) => "sessionTags",
            // Whatever Kubernetes takes for a name AWS takes for a tag.
            Self::Simple(_) => return None,
        };
        let (mut keys, pairs) = (BTreeSet::new(), self.pairs());
        let flaw = pairs.iter().find_map(|(key, value)| {
            let twice = || format!("{key:?} is there twice, since AWS ignores case; remove one");
            no_key(key).or_else(|| no_value(key, value)).or_else(|| (!keys.insert(key.to_lowercase())).then(twice))
        });
        let many = || (pairs.len() > MOST_TAGS).then(|| format!("there are {}; AWS takes {MOST_TAGS}", pairs.len()));
        flaw.or_else(many).map(|flaw| format!("{field}: {flaw}"))
    }
}

/// Tags of a session at most.
const MOST_TAGS: usize = 50;
const TAG_CHARACTERS: &str = "letters, digits, spaces and characters of _.:/=+-@";

fn no_key(key: &str) -> Option<String> {
    (key.is_empty() || !is_tag_text(key, 128))
        .then(|| format!("{key:?} cannot be the key of a tag; write 1 to 128 {TAG_CHARACTERS}"))
}

fn no_value(key: &str, value: &str) -> Option<String> {
    (!is_tag_text(value, 256))
        .then(|| format!("the value of {key:?} cannot be that of a tag; write up to 256 {TAG_CHARACTERS}"))
}

fn is_tag_text(text: &str, longest: usize) -> bool {
    let allowed = |character: char| {
        character.is_alphanumeric()
            || (character.is_whitespace() && !character.is_control())
            || "_.:/=+-@".contains(character)
    };
    text.chars().count() <= longest && text.chars().all(allowed)
}

fn is_external_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    (2..=1224).contains(&id.len()) && id.bytes().all(allowed)
}

impl AccessKeys {
    fn flaw(&self) -> Option<String> {
        let parts = [
            ("accessKeyIDSecretRef", Some(&self.id)),
            ("secretAccessKeySecretRef", Some(&self.secret)),
            ("sessionTokenSecretRef", self.session_token.as_ref()),
        ];
        parts.into_iter().find_map(|(field, value)| {
            let value = value?.trimmed();
            let text = value.expose_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
            match text {
                Some("") => {
                    Some(format!("auth.secretRef.{field}: the value is empty; put the credential into the Secret"))
                }
                Some(_) => None,
                None => Some(format!(
                    "auth.secretRef.{field}: the value holds characters that no credential of AWS has; copy it again"
                )),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{AccessKeys, AwsConfig, Identity, Role, Service, SessionTags, StoreIdentity, flaw};
    use crate::Environment;

    fn config() -> AwsConfig {
        AwsConfig {
            service: Service::SecretsManager,
            region: "eu-west-1".into(),
            identity: Identity::Ambient,
            additional_roles: Vec::new(),
            role: None,
            prefix: String::new(),
            environment: Environment::default(),
        }
    }

    fn role(arn: &str) -> Role {
        Role {
            arn: arn.into(),
            external_id: None,
            session_tags: SessionTags::Listed(Vec::new()),
            transitive_tag_keys: Vec::new(),
        }
    }

    fn keys(id: &str, secret: &str, token: Option<&str>) -> Identity {
        let session_token = token.map(Into::into);
        Identity::Keys(AccessKeys { id: id.into(), secret: secret.into(), session_token })
    }

    #[test]
    fn settings_that_can_work_have_no_flaw() {
        let arn = "arn:aws-us-gov:iam::123456789012:role/team/reader";
        let identity = keys(" AKIDEXAMPLE\n", "se/cr+et=", Some("token"));
        let last = Role {
            external_id: Some("a-b_c:d/e=f+g@h.i,1".into()),
            session_tags: SessionTags::Listed(vec![
                ("Kosten stelle".into(), "größe_.:/=+-@".into()),
                ("b".into(), String::new()),
            ]),
            transitive_tag_keys: vec!["b".into()],
            ..role(arn)
        };
        let config = AwsConfig { identity, additional_roles: vec![arn.into()], role: Some(last), ..config() };
        assert_eq!(flaw(&config), None);
    }

    #[test]
    fn what_cannot_work_is_named_as_in_the_manifest() {
        let user = "arn:aws:iam::123456789012:user/me";
        let of_role = |change: fn(&mut Role)| {
            let mut role = role("arn:aws:iam::123456789012:role/reader");
            change(&mut role);
            AwsConfig { role: Some(role), ..config() }
        };
        let tagged = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let session_tags = SessionTags::Listed(pairs.collect());
            AwsConfig { role: Some(Role { session_tags, ..role("arn:aws:iam::123456789012:role/reader") }), ..config() }
        };
        for (field, config) in [
            (
                "region: \"eu\" is not a region of AWS; write it like eu-west-1",
                AwsConfig { region: "eu".into(), ..config() },
            ),
            ("additionalRoles[0]: ", AwsConfig { additional_roles: vec!["reader".into()], ..config() }),
            ("role: \"arn:aws:iam::123456789012:user/me\" is not the ARN of a role; write it like arn:", {
                AwsConfig { role: Some(role(user)), ..config() }
            }),
            ("externalID: \"a b\" cannot be one; it has", of_role(|role| role.external_id = Some("a b".into()))),
            ("externalID: \"x\"", of_role(|role| role.external_id = Some("x".into()))),
            ("transitiveTagKeys: \"\" cannot be", of_role(|role| role.transitive_tag_keys = vec![String::new()])),
            ("sessionTags: \"\" cannot be the key", tagged(&[("", "v")])),
            ("sessionTags: \"a#b\" cannot be the key", tagged(&[("a#b", "v")])),
            ("sessionTags: the value of \"a\" cannot be", tagged(&[("a", &"v".repeat(257))])),
            ("sessionTags: \"A\" is there twice", tagged(&[("a", "1"), ("A", "2")])),
            (
                "customSessionTags: \"esoNamespace\" is there twice",
                of_role(|role| {
                    let store = StoreIdentity { namespace: "n".into(), name: "s".into(), kind: "SecretStore".into() };
                    let tags = BTreeMap::from([("esonamespace".into(), "else".into())]);
                    role.session_tags = SessionTags::Custom { tags, store };
                }),
            ),
            (
                "customSessionTags: there are 51; AWS takes 50",
                of_role(|role| {
                    let store = StoreIdentity { namespace: "n".into(), name: "s".into(), kind: "SecretStore".into() };
                    let tags = (0..48).map(|number| (format!("k{number}"), "v".into())).collect();
                    role.session_tags = SessionTags::Custom { tags, store };
                }),
            ),
            ("auth.secretRef.accessKeyIDSecretRef: ", AwsConfig { identity: keys("\n", "hunter2", None), ..config() }),
            (
                "auth.secretRef.secretAccessKeySecretRef: ",
                AwsConfig { identity: keys("AKID", "hun ter2", None), ..config() },
            ),
            (
                "auth.secretRef.sessionTokenSecretRef: ",
                AwsConfig { identity: keys("AKID", "s", Some("ü")), ..config() },
            ),
        ] {
            let text = flaw(&config).expect(field);
            assert!(text.starts_with(field) && text.contains("; ") && !text.contains("ter2"), "{text}");
        }
    }

    #[test]
    fn custom_tags_leave_empty_ones_out_and_say_which_store_asks() {
        let store = StoreIdentity { namespace: "team".into(), name: "aws".into(), kind: "SecretStore".into() };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let simple = [pair("esoNamespace", "team"), pair("esoStoreName", "aws"), pair("esoStoreKind", "SecretStore")];
        assert_eq!(SessionTags::Simple(store.clone()).pairs(), simple);
        let tags = BTreeMap::from([pair("stage", "prod"), pair("empty", ""), pair("", "keyless")]);
        let custom = SessionTags::Custom { tags, store }.pairs();
        assert_eq!(custom[0], pair("stage", "prod"));
        assert_eq!(custom[1..], simple);
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", AwsConfig { identity: keys("AKIDEXAMPLE", "hunter2", Some("t0ken")), ..config() });
        assert!(!shown.contains("AKID") && !shown.contains("hunter2") && !shown.contains("t0ken"), "{shown}");
    }
}
