//! Settings that are text.

use keyferry_core::{Result, SecretBytes};

use crate::config::invalid;

/// A value that a store refers to: text, not empty, without white space around it.
#[derive(Clone, Debug)]
pub(super) struct Text(SecretBytes);

impl Text {
    /// Checks `value`, which stands at `field` below `auth`.
    pub(super) fn parse(value: &SecretBytes, field: &str) -> Result<Self> {
        let value = value.trimmed();
        if value.is_empty() {
            return Err(invalid(format!("the value that auth.{field} refers to is empty")));
        }
        // What cannot be part of JSON or of a header is not what somebody meant.
        match value.expose_str() {
            Some(text) if !text.contains(char::is_control) => Ok(Self(value)),
            _ => Err(invalid(format!("the value that auth.{field} refers to is not one line of text"))),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.expose_str().unwrap_or_default()
    }

    pub(super) fn to_secret(&self) -> SecretBytes {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::Text;

    #[test]
    fn surrounding_white_space_goes() {
        let text = Text::parse(&SecretBytes::from(" id\n"), "x").expect("text");
        assert_eq!(text.as_str(), "id");
    }

    #[test]
    fn what_is_no_text_names_its_field_and_not_its_value() {
        for (value, expected) in [
            (&b" \n"[..], "the value that auth.jwtAuthCredentials.jwt refers to is empty"),
            (b"hunter2\xff", "the value that auth.jwtAuthCredentials.jwt refers to is not one line of text"),
            (b"hunter2\nhunter3", "the value that auth.jwtAuthCredentials.jwt refers to is not one line of text"),
        ] {
            let error = Text::parse(&SecretBytes::new(value), "jwtAuthCredentials.jwt").expect_err("no text");
            assert_eq!(error.message, expected);
        }
    }
}
