//! How a value in a backend is named.

use std::{fmt, sync::Arc};

/// The name of a secret as its backend spells it: a path, an ARN, an item name. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteName(Arc<str>);

/// A version as its backend spells it: a number, a stage, a label, an object id. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(Arc<str>);

/// A name or version that is empty, which no backend has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct InvalidName;

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// Checks and takes over `text`.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
                let text = text.into();
                if text.is_empty() {
                    Err(InvalidName)
                } else {
                    Ok(Self(text))
                }
            }

            /// The text as it goes over the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(RemoteName);
name!(Version);

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
}

impl Locator {
    /// The newest value of `name`.
    pub fn latest(name: RemoteName) -> Self {
        Self {
            name,
            version: None,
            want: Want::Value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidName, RemoteName, Version};

    #[test]
    fn a_name_is_never_empty() {
        assert_eq!(RemoteName::new(""), Err(InvalidName));
        assert_eq!(Version::new(""), Err(InvalidName));
        assert_eq!(
            RemoteName::new("a/b").map(|name| name.to_string()),
            Ok("a/b".to_owned())
        );
    }
}
