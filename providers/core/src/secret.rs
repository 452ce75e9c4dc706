//! The one type that secret values live in.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that must never be printed: a secret value, a token, a private key.
///
/// There is no `Display`, and `Debug` shows no content, not even the length. The memory is wiped on drop, as far as
/// this copy goes: buffers of the HTTP stack have held the same bytes before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves. Whoever calls this must not let them reach a message, a log, a metric or a status.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, or `None` where they are not UTF-8. The same care applies as for [`SecretBytes::expose`].
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same bytes without leading and trailing white space: credentials that were stored with `echo` or an
    /// editor end in a newline that no backend wants.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        Self::new(self.0.trim_ascii())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

impl From<&str> for SecretBytes {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for SecretBytes {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::SecretBytes;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let value = SecretBytes::from("hunter2");
        let shown = format!("{value:?} {:#?}", Some(&value));
        assert!(!shown.contains("hunter2") && !shown.contains('7'), "{shown}");
    }

    #[test]
    fn trimmed_drops_only_surrounding_white_space() {
        assert_eq!(SecretBytes::from(" a b\r\n").trimmed(), SecretBytes::from("a b"));
    }
}
