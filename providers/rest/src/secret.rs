//! Secret strings inside JSON answers.

use keyferry_core::SecretBytes;
use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with = "keyferry_rest::secret")]`: a JSON string that must never be printed.
pub fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretBytes, D::Error> {
    String::deserialize(deserializer).map(SecretBytes::from)
}

/// As [`secret`], where the member may be `null`. With `#[serde(default)]` it may also be absent.
pub fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretBytes>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretBytes::from))
}
