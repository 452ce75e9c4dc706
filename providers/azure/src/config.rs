//! What a store says.

use keyferry_core::{Error, ErrorKind, SecretBytes};
use keyferry_rest::Tls;

use crate::{Auth, Environment, PROVIDER};

/// A store of Azure Key Vault, its references resolved.
#[derive(Clone, Debug)]
pub struct AzureConfig {
    /// `authType` and what belongs to it.
    pub auth: Auth,
    /// `environmentType`.
    pub cloud: Cloud,
    /// `customCloudConfig`: goes before the addresses of [`AzureConfig::cloud`].
    pub custom_cloud: Option<CustomCloud>,
    /// What the process's surroundings say.
    pub environment: Environment,
    /// `tenantId`.
    pub tenant_id: Option<String>,
    /// Whom to trust.
    pub tls: Tls,
    /// `useAzureSDK`: workload identities are found by the ServiceAccount's annotations first, and metadata are the
    /// tags alone.
    pub use_azure_sdk: bool,
    /// `vaultUrl`.
    pub vault_url: String,
}

/// `environmentType`: which of Azure's separate clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// `ChinaCloud`.
    China,
    /// `GermanCloud`.
    Germany,
    /// `PublicCloud`.
    #[default]
    Public,
    /// `AzureStackCloud`: a cloud of one's own, which [`AzureConfig::custom_cloud`] must describe.
    Stack,
    /// `USGovernmentCloud`.
    UsGovernment,
}

/// `customCloudConfig`: the addresses of a cloud of one's own. Its `resourceManagerEndpoint` plays no part in reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CustomCloud {
    /// `activeDirectoryEndpoint`: where to log in.
    pub active_directory_endpoint: String,
    /// `keyVaultDNSSuffix`: what the host names of vaults end with.
    pub key_vault_dns_suffix: Option<String>,
    /// `keyVaultEndpoint`: whom tokens are for.
    pub key_vault_endpoint: Option<String>,
}

/// An error of the store's settings that was found before anything was sent.
pub(crate) fn invalid(operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, operation, message)
}

/// The text of a field, without the white space around it; `None` where nothing is left.
pub(crate) fn present(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// As [`present`], for a text from a Secret. What is not text counts as wrong, and is told by `field`.
pub(crate) fn present_text(value: Option<&SecretBytes>, field: &str) -> Result<Option<String>, Error> {
    let Some(value) = value.map(SecretBytes::trimmed).filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.expose_str().filter(|text| !text.contains(char::is_control)) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(invalid("Configure", format!("{field}: the value in the Secret is not one line of text"))),
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::{present, present_text};

    #[test]
    fn white_space_around_a_value_does_not_count() {
        assert_eq!(present(Some(&" a\n".to_owned())), Some("a".to_owned()));
        assert_eq!(present(Some(&"  ".to_owned())), None);
        let text = |value: &str| present_text(Some(&SecretBytes::from(value)), "authSecretRef.clientId");
        assert_eq!(text("a\n"), Ok(Some("a".to_owned())));
        assert_eq!(text("\n"), Ok(None));
        let error = text("hunter2\nb").unwrap_err();
        assert_eq!(error.message, "authSecretRef.clientId: the value in the Secret is not one line of text");
    }
}
