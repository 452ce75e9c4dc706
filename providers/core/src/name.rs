//! How a value in a backend is named.

use std::{fmt, sync::Arc};

/// The name of a secret as its backend spells it: a path, an ARN, an item name. Never empty.
///
/// A store may put a prefix before the names that users write. A listing answers names that already have all they
/// need; such a name is *whole*, and another name than the one that a user wrote with the same letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteName {
    text: Arc<str>,
    whole: bool,
}

/// A version as its backend spells it: a number, a stage, a label, an object id. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(Arc<str>);

/// A name or version that is empty, which no backend has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct InvalidName;

impl RemoteName {
    /// Checks and takes over a name as a user writes it.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        Ok(Self { text: checked(text.into())?, whole: false })
    }

    /// Checks and takes over a name that no prefix is to be put before, as a listing answers it.
    pub fn whole(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        Ok(Self { text: checked(text.into())?, whole: true })
    }

    /// Whether no prefix is to be put before it.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The text as it goes over the wire, without the store's prefix.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Version {
    /// Checks and takes over `text`.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        checked(text.into()).map(Self)
    }

    /// The text as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(text: Arc<str>) -> Result<Arc<str>, InvalidName> {
    if text.is_empty() { Err(InvalidName) } else { Ok(text) }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of a secret is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Want {
    /// Its tags, labels or custom metadata, as one JSON object.
    Metadata,
    /// Its value.
    #[default]
    Value,
}

/// Addresses one answer of a backend. Two equal locators of one store always mean the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locator {
    /// Which secret.
    pub name: RemoteName,
    /// Which version of it; `None` is the newest.
    pub version: Option<Version>,
    /// Which part of it.
    pub want: Want,
    /// Which property of the value, for backends that choose it themselves
    /// ([`crate::Capabilities::properties`]); `None` for all others.
    pub property: Option<Arc<str>>,
}

impl Locator {
    /// The newest value of `name`.
    pub fn latest(name: RemoteName) -> Self {
        Self { name, version: None, want: Want::Value, property: None }
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidName, RemoteName, Version};

    #[test]
    fn a_name_is_never_empty() {
        assert_eq!(RemoteName::new(""), Err(InvalidName));
        assert_eq!(Version::new(""), Err(InvalidName));
        assert_eq!(RemoteName::whole(""), Err(InvalidName));
        assert_eq!(RemoteName::new("a/b").map(|name| name.to_string()), Ok("a/b".to_owned()));
    }

    #[test]
    fn a_whole_name_is_another_name_than_one_that_a_prefix_may_stand_before() {
        assert_ne!(RemoteName::whole("a"), RemoteName::new("a"));
        assert!(RemoteName::whole("a").is_ok_and(|name| name.is_whole() && name.as_str() == "a"));
    }
}
