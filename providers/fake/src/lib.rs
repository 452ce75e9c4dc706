//! The in-memory backend: values written in the store's own manifest. For trying things out and for tests; whoever
//! may read the store may read the values.

mod provider;

use keyferry_core::{Error, ErrorKind, Result, SecretBytes};

pub use provider::Fake;

/// [`keyferry_core::Provider::name`]
pub(crate) const NAME: &str = "Fake";

/// What stands in the store's manifest.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `data`
    pub entries: Vec<Entry>,
    /// `validationResult`
    pub validation: Validation,
}

/// One item of `data`.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Not empty.
    pub key: String,
    /// Not empty.
    pub value: SecretBytes,
    /// None where it is empty or absent.
    pub version: Option<String>,
}

/// How a check of the store ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// It works.
    #[default]
    Ready,
    /// Nothing is known against it: it counts as working.
    Unknown,
    /// It does not.
    Error,
}

impl Validation {
    /// The meaning of a number in `validationResult`. Any but 0, 1 and 2 is [`ErrorKind::InvalidConfig`].
    pub fn from_number(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Self::Ready),
            1 => Ok(Self::Unknown),
            2 => Ok(Self::Error),
            other => Err(invalid(format!(
                "validationResult is {other}; set it to 0 (ready), 1 (unknown) or 2 (error), or remove it"
            ))),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, NAME, "Configure", message)
}

#[cfg(test)]
mod tests {
    use keyferry_core::ErrorKind;

    use super::Validation;

    #[test]
    fn numbers_of_validation_results() {
        let meanings = [0, 1, 2].map(|number| Validation::from_number(number).unwrap());
        assert_eq!(meanings, [Validation::Ready, Validation::Unknown, Validation::Error]);
        let error = Validation::from_number(7).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("validationResult is 7; set it to 0"), "{error}");
    }
}
