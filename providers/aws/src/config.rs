//! What a store says about AWS, in plain values.

use std::{collections::BTreeMap, fmt, sync::Arc};

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

/// Has the shape of a region's name. New regions come too often to list them.
fn is_region(text: &str) -> bool {
    let words: Vec<_> = text.split('-').collect();
    let letters = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    match words.as_slice() {
        [area, place @ .., number] => {
            (2..=4).contains(&area.len())
                && letters(area)
                && !place.is_empty()
                && place.iter().all(letters)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn is_role(arn: &str) -> bool {
    let words: Vec<_> = arn.splitn(6, ':').collect();
    matches!(words.as_slice(), ["arn", partition, "iam", "", account, resource]
        if !partition.is_empty() && !account.is_empty() && resource.len() > "role/".len() && resource.starts_with("role/"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{AccessKeys, AwsConfig, Identity, Role, Service, SessionTags, StoreIdentity, flaw, is_region};
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
    fn regions_of_all_partitions_are_regions() {
        for region in ["eu-west-1", "us-gov-east-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"]
        {
            assert!(is_region(region), "{region}");
        }
        for wrong in
            ["", "eu-west", "eu-1", "EU-WEST-1", "eu west 1", "eu-west-1a", "eu-west-", "https://x-y-1", "-a-1"]
        {
            assert!(!is_region(wrong), "{wrong}");
        }
    }

    #[test]
    fn settings_that_can_work_have_no_flaw() {
        let arn = "arn:aws-us-gov:iam::123456789012:role/team/reader";
        let identity = keys(" AKIDEXAMPLE\n", "se/cr+et=", Some("token"));
        let config = AwsConfig { identity, additional_roles: vec![arn.into()], role: Some(role(arn)), ..config() };
        assert_eq!(flaw(&config), None);
    }

    #[test]
    fn what_cannot_work_is_named_as_in_the_manifest() {
        let user = "arn:aws:iam::123456789012:user/me";
        for (field, config) in [
            ("region: ", AwsConfig { region: "eu".into(), ..config() }),
            ("additionalRoles[0]: ", AwsConfig { additional_roles: vec!["reader".into()], ..config() }),
            ("role: ", AwsConfig { role: Some(role(user)), ..config() }),
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
