//! What of which secret is wanted.

use keyferry_core::{Locator, Want};

/// One answer that AWS is to give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// The present value of a secret.
    Current(String),
    /// The tags of a secret.
    Tags(String),
    /// The value of a certain version.
    Version(String, Which),
}

/// How a version is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Id(String),
    Stage(String),
}

/// What users write before the id of a version; without it the word is a stage.
const ID: &str = "uuid/";
const CURRENT: &str = "AWSCURRENT";

impl Wanted {
    /// What `locator` asks of the secret that AWS knows as `id`; an error where it asks for what cannot be.
    pub(super) fn new(id: String, locator: &Locator) -> Result<Self, String> {
        let version = match (locator.want, &locator.version) {
            (Want::Metadata, _) => return Ok(Self::Tags(id)),
            (Want::Value, None) => return Ok(Self::Current(id)),
            (Want::Value, Some(version)) => version.as_str(),
        };
        match version.strip_prefix(ID) {
            None if version == CURRENT => Ok(Self::Current(id)),
            None => Ok(Self::Version(id, Which::Stage(version.to_owned()))),
            Some("") => Err(format!("version {version:?} of secret {id} names no id; write {ID}ID, or a stage")),
            Some(version) => Ok(Self::Version(id, Which::Id(version.to_owned()))),
        }
    }

    /// As the sentence of an error names it.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Current(id) | Self::Tags(id) => format!("secret {id}"),
            Self::Version(id, Which::Id(version)) => format!("version {ID}{version} of secret {id}"),
            Self::Version(id, Which::Stage(stage)) => format!("version {stage} of secret {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::{Locator, RemoteName, Version, Want};

    use super::{Wanted, Which};

    fn wanted(version: Option<&str>, want: Want) -> Result<Wanted, String> {
        let name = RemoteName::new("a").expect("a name");
        let version = version.map(|version| Version::new(version).expect("a version"));
        Wanted::new("p/a".into(), &Locator { version, want, ..Locator::latest(name) })
    }

    #[test]
    fn a_version_is_a_stage_unless_it_says_that_it_is_an_id() {
        let version = |which| Ok(Wanted::Version("p/a".into(), which));
        assert_eq!(wanted(Some("AWSPREVIOUS"), Want::Value), version(Which::Stage("AWSPREVIOUS".into())));
        assert_eq!(wanted(Some("uuid/5f-1"), Want::Value), version(Which::Id("5f-1".into())));
        assert!(wanted(Some("uuid/"), Want::Value).is_err_and(|text| text.contains("names no id")));
    }

    #[test]
    fn the_current_stage_is_the_present_value() {
        assert_eq!(wanted(Some("AWSCURRENT"), Want::Value), wanted(None, Want::Value));
        assert_eq!(wanted(None, Want::Metadata), Ok(Wanted::Tags("p/a".into())));
    }
}
