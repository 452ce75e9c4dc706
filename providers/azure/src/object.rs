//! What a key names: `NAME`, `secret/NAME`, `cert/NAME` or `key/NAME`.

use keyferry_core::{Error, ErrorKind, Locator, Parts, Result, Want};

use crate::{PROVIDER, config::invalid};

/// One object of a vault, perhaps in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
}

/// What kinds of objects there are. They have their own names each: a secret and a key may be called the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Key,
    Secret,
}

/// The longest name that Key Vault has.
const LONGEST_NAME: usize = 127;

impl Object {
    /// What `at` names. Whatever follows a second slash does not count.
    pub(crate) fn parse(at: &Locator) -> Result<Self> {
        let key = at.name.as_str();
        let mut segments = key.split('/');
        let first = segments.next().unwrap_or_default();
        let (kind, name) = match segments.next() {
            None => (Kind::Secret, first),
            Some(name) => (Kind::of(first).ok_or_else(|| unknown_type(key))?, name),
        };
        let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if name.is_empty() || name.len() > LONGEST_NAME || !is_name(name) {
            let text = format!(
                "key {key:?}: {name:?} is not a name that Key Vault can have; names have up to {LONGEST_NAME} ASCII \
                 letters, digits and hyphens"
            );
            return Err(invalid(kind.operation(), text));
        }
        let version = at.version.as_ref().map(|version| version.as_str().to_owned());
        if let Some(version) =
            version.as_ref().filter(|version| !version.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        {
            let text =
                format!("version {version:?} of {key:?}: is not a version of Key Vault, which are 32 hex digits");
            return Err(invalid(kind.operation(), text));
        }
        Ok(Self { kind, name: name.to_owned(), version })
    }

    /// What can be taken out of it. Only secrets become maps.
    pub(crate) fn parts(&self, want: Want) -> Parts {
        match (self.kind, want) {
            (Kind::Certificate, Want::Value) => Parts::Whole,
            (Kind::Certificate | Kind::Key, _) => Parts::Properties,
            (Kind::Secret, Want::Metadata) => Parts::Tags(self.name.as_str().into()),
            (Kind::Secret, Want::Value) => Parts::Members,
        }
    }

    /// For people, behind a "the": `secret a`, `version 1 of the certificate b`.
    pub(crate) fn about(&self) -> String {
        let Self { kind, name, version } = self;
        let word = kind.word();
        match version {
            None => format!("{word} {name}"),
            Some(version) => format!("version {version} of the {word} {name}"),
        }
    }
}

fn unknown_type(key: &str) -> Error {
    let text =
        format!("key {key:?}: unknown Azure Keyvault object Type; write secret/NAME, cert/NAME, key/NAME or NAME");
    Error::new(ErrorKind::InvalidConfig, PROVIDER, "GetSecret", text)
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        match text {
            "cert" => Some(Self::Certificate),
            "key" => Some(Self::Key),
            "secret" => Some(Self::Secret),
            _ => None,
        }
    }

    /// The call that reads it.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Certificate => "GetCertificate",
            Self::Key => "GetKey",
            Self::Secret => "GetSecret",
        }
    }

    /// Where it holds what is asked for.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Certificate => "cer",
            Self::Key => "key",
            Self::Secret => "value",
        }
    }

    /// The role that may read it.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Certificate => "Key Vault Certificate User",
            Self::Key => "Key Vault Crypto User",
            Self::Secret => "Key Vault Secrets User",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Secret => "secret",
        }
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::{ErrorKind, Locator, Parts, RemoteName, Version, Want};

    use super::{Kind, Object};

    fn parse(key: &str, version: Option<&str>) -> keyferry_core::Result<Object> {
        let version = version.map(|text| Version::new(text).unwrap());
        Object::parse(&Locator { version, ..Locator::latest(RemoteName::new(key).unwrap()) })
    }

    #[test]
    fn a_type_may_stand_before_the_name() {
        for (key, kind) in [
            ("a-1", Kind::Secret),
            ("secret/a-1", Kind::Secret),
            ("cert/a-1", Kind::Certificate),
            ("key/a-1", Kind::Key),
            ("key/a-1/b/../c", Kind::Key),
        ] {
            assert_eq!(parse(key, None).unwrap(), Object { kind, name: "a-1".into(), version: None }, "{key}");
        }
        assert_eq!(parse("cert/a", Some("0f")).unwrap().about(), "version 0f of the certificate a");
        assert_eq!(parse("a", None).unwrap().about(), "secret a");
    }

    #[test]
    fn only_secrets_become_maps_and_certificates_have_no_properties() {
        for (key, value, metadata) in [
            ("a", Parts::Members, Parts::Tags("a".into())),
            ("secret/a/b", Parts::Members, Parts::Tags("a".into())),
            ("cert/a", Parts::Whole, Parts::Properties),
            ("key/a", Parts::Properties, Parts::Properties),
        ] {
            let object = parse(key, None).unwrap();
            assert_eq!((object.parts(Want::Value), object.parts(Want::Metadata)), (value, metadata), "{key}");
        }
    }

    #[test]
    fn what_key_vault_cannot_hold_is_never_asked_for() {
        for (key, version, expected) in [
            ("secrets/a", None, "key \"secrets/a\": unknown Azure Keyvault object Type"),
            ("/a", None, "key \"/a\": unknown Azure Keyvault object Type"),
            ("secret/", None, "key \"secret/\": \"\" is not a name"),
            ("a_b", None, "key \"a_b\": \"a_b\" is not a name"),
            ("..", None, "key \"..\": \"..\" is not a name"),
            ("key/a?b", None, "key \"key/a?b\": \"a?b\" is not a name"),
            ("ü", None, "key \"ü\": \"ü\" is not a name"),
            ("a", Some("../b"), "version \"../b\" of \"a\": is not a version"),
        ] {
            let error = parse(key, version).expect_err(key);
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert!(error.message.starts_with(expected), "{error}");
        }
        assert!(parse(&"a".repeat(127), None).is_ok() && parse(&"a".repeat(128), None).is_err());
    }
}
