//! Where a cloud's services are.

use keyferry_core::Result;
use keyferry_rest::{BaseUrl, InvalidUrl};

use crate::{
    Cloud, CustomCloud,
    config::{invalid, present},
    vault_url::{is_below, is_loopback},
};

/// The addresses that a store needs besides its vault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Whom tokens are for; without it, the vault's own domain is.
    pub(crate) audience: Option<BaseUrl>,
    /// Where Entra ID is.
    pub(crate) authority: BaseUrl,
    /// What the vault's host name must end with, without a dot in front; several if each of them must.
    pub(crate) suffixes: Vec<String>,
}

const CLOUDS: [Cloud; 4] = [Cloud::China, Cloud::Germany, Cloud::Public, Cloud::UsGovernment];

impl Cloud {
    fn authority(self) -> Option<&'static str> {
        match self {
            Self::China => Some("https://login.chinacloudapi.cn"),
            Self::Germany => Some("https://login.microsoftonline.de"),
            Self::Public => Some("https://login.microsoftonline.com"),
            Self::Stack => None,
            Self::UsGovernment => Some("https://login.microsoftonline.us"),
        }
    }

    /// What vaults' host names end with. With `https://` before it, it is whom tokens for them are for.
    fn vault_domain(self) -> Option<&'static str> {
        match self {
            Self::China => Some("vault.azure.cn"),
            Self::Germany => Some("vault.microsoftazure.de"),
            Self::Public => Some("vault.azure.net"),
            Self::Stack => None,
            Self::UsGovernment => Some("vault.usgovcloudapi.net"),
        }
    }
}

impl Places {
    /// `other_authority` goes before everything.
    pub(crate) fn new(cloud: Cloud, custom: Option<&CustomCloud>, other_authority: Option<&BaseUrl>) -> Result<Self> {
        let of_domain = |field: &str, domain: &str| endpoint(field, &format!("https://{domain}"));
        let mut audience = cloud.vault_domain().map(|domain| of_domain("environmentType", domain)).transpose()?;
        let (mut authority, mut suffixes) = (None, Vec::new());
        if let Some(custom) = custom {
            let field = "customCloudConfig.activeDirectoryEndpoint";
            authority = Some(endpoint(field, &custom.active_directory_endpoint)?);
            if let Some(suffix) = present(custom.key_vault_dns_suffix.as_ref()) {
                let field = "customCloudConfig.keyVaultDNSSuffix";
                let suffix = domain(&suffix).ok_or_else(|| {
                    invalid("Configure", format!("{field}: is not a domain; write it like vault.example.com"))
                })?;
                audience = Some(of_domain(field, &suffix)?);
                suffixes.push(suffix);
            }
            if let Some(text) = present(custom.key_vault_endpoint.as_ref()) {
                audience = Some(endpoint("customCloudConfig.keyVaultEndpoint", &text)?);
            }
        }
        // A token for the vaults of one of Azure's clouds must not reach anybody but these vaults.
        let of_azure = audience.as_ref().and_then(|audience| azures_own(host(audience)));
        if let Some(domain) = of_azure {
            audience = Some(of_domain("environmentType", domain)?);
            suffixes.push(domain.to_owned());
            suffixes.dedup();
        }
        let authority = match (other_authority.cloned().or(authority), cloud.authority()) {
            (Some(named), _) => named,
            (None, Some(own)) => endpoint("environmentType", own)?,
            (None, None) => {
                let text = "customCloudConfig: is missing; environmentType AzureStackCloud needs to know where it is";
                return Err(invalid("Configure", text));
            }
        };
        Ok(Self { audience, authority, suffixes })
    }
}

/// The domain of vaults of one of Azure's clouds that `host` is, or is in.
fn azures_own(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.');
    let mut domains = CLOUDS.into_iter().filter_map(Cloud::vault_domain);
    domains.find(|domain| host == *domain || is_below(host, domain))
}

/// The host name in `url`.
pub(crate) fn host(url: &BaseUrl) -> &str {
    url.as_url().host_str().unwrap_or_default()
}

fn endpoint(field: &str, text: &str) -> Result<BaseUrl> {
    let wrong = |text: &dyn std::fmt::Display| invalid("Configure", format!("{field}: {text}"));
    let url = BaseUrl::parse(text).map_err(|error: InvalidUrl| wrong(&error))?;
    match url.as_url().scheme() {
        "https" => Ok(url),
        _ if is_loopback(url.as_url()) => Ok(url),
        _ => Err(wrong(&"must begin with https://, because credentials are sent there")),
    }
}

/// `text` in lower case without the dot in front, if it can be the end of a host name.
fn domain(text: &str) -> Option<String> {
    let text = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.split('.').all(is_label).then_some(text)
}

#[cfg(test)]
mod tests {
    use keyferry_rest::BaseUrl;

    use super::Places;
    use crate::{Cloud, CustomCloud};

    fn custom(endpoint: Option<&str>, suffix: Option<&str>) -> CustomCloud {
        CustomCloud {
            active_directory_endpoint: "https://login.example.com/".into(),
            key_vault_dns_suffix: suffix.map(str::to_owned),
            key_vault_endpoint: endpoint.map(str::to_owned),
        }
    }

    fn told(cloud: Cloud, custom: Option<&CustomCloud>) -> (String, Option<String>, Vec<String>) {
        let Places { audience, authority, suffixes } = Places::new(cloud, custom, None).unwrap();
        (authority.to_string(), audience.map(|audience| audience.to_string()), suffixes)
    }

    #[test]
    fn each_cloud_has_its_own_addresses() {
        for (cloud, authority, domain) in [
            (Cloud::China, "https://login.chinacloudapi.cn", "vault.azure.cn"),
            (Cloud::Germany, "https://login.microsoftonline.de", "vault.microsoftazure.de"),
            (Cloud::Public, "https://login.microsoftonline.com", "vault.azure.net"),
            (Cloud::UsGovernment, "https://login.microsoftonline.us", "vault.usgovcloudapi.net"),
        ] {
            let expected = (authority.to_owned(), Some(format!("https://{domain}")), vec![domain.to_owned()]);
            assert_eq!(told(cloud, None), expected);
        }
    }

    #[test]
    fn a_custom_cloud_replaces_what_it_names() {
        let login = "https://login.example.com".to_owned();
        let own = Some("https://vault.example.com".to_owned());
        let suffix = vec!["vault.example.com".to_owned()];
        assert_eq!(told(Cloud::Stack, Some(&custom(None, None))), (login.clone(), None, vec![]));
        let told_by_suffix = told(Cloud::Stack, Some(&custom(None, Some(".Vault.example.com"))));
        assert_eq!(told_by_suffix, (login.clone(), own.clone(), suffix.clone()));
        let both = custom(Some("https://audience.example.com/x/"), Some("vault.example.com"));
        let audience = Some("https://audience.example.com/x".to_owned());
        assert_eq!(told(Cloud::Public, Some(&both)), (login.clone(), audience, suffix));
        assert_eq!(told(Cloud::Stack, Some(&custom(Some("https://vault.example.com/"), None))), (login, own, vec![]));
    }

    #[test]
    fn tokens_for_public_vaults_stay_with_public_vaults() {
        for endpoint in [
            "https://VAULT.azure.net/",
            "https://vault.azure.net:443",
            "https://vault.azure.net:8443/x",
            "https://vault.azure.net./",
            "https://vault.azure.net/.default",
            "https://mine.vault.azure.net",
        ] {
            let (_, audience, suffixes) = told(Cloud::Stack, Some(&custom(Some(endpoint), Some("evil.example"))));
            let audience = audience.unwrap();
            assert_eq!((audience.as_str(), &suffixes[..]), (PUBLIC, &["evil.example".into(), DOMAIN.into()][..]));
        }
        let (_, audience, suffixes) = told(Cloud::China, Some(&custom(None, Some("mine.vault.azure.net"))));
        assert_eq!((audience.as_deref(), suffixes.last().map(String::as_str)), (Some(PUBLIC), Some(DOMAIN)));
        let (_, audience, suffixes) = told(Cloud::Stack, Some(&custom(Some("https://notvault.azure.net"), None)));
        assert_eq!((audience.as_deref(), &suffixes[..]), (Some("https://notvault.azure.net"), &[][..]));
    }

    const DOMAIN: &str = "vault.azure.net";
    const PUBLIC: &str = "https://vault.azure.net";

    #[test]
    fn the_environment_goes_before_everything() {
        let other = BaseUrl::parse("http://127.0.0.1:1").unwrap();
        let places = Places::new(Cloud::Stack, None, Some(&other)).unwrap();
        assert_eq!(places.authority, other);
    }

    #[test]
    fn wrong_addresses_are_told_by_field() {
        let told = |custom: Option<&CustomCloud>| Places::new(Cloud::Stack, custom, None).unwrap_err().message;
        assert!(told(None).starts_with("customCloudConfig: is missing; environmentType AzureStackCloud"));
        let nowhere = CustomCloud { active_directory_endpoint: "hunter2".into(), ..CustomCloud::default() };
        assert!(told(Some(&nowhere)).starts_with("customCloudConfig.activeDirectoryEndpoint: is not a URL"));
        let plain = CustomCloud { active_directory_endpoint: "http://a.example".into(), ..CustomCloud::default() };
        assert!(told(Some(&plain)).starts_with("customCloudConfig.activeDirectoryEndpoint: must begin with https://"));
        assert!(
            told(Some(&custom(Some("https://a?b"), None)))
                .starts_with("customCloudConfig.keyVaultEndpoint: must not have a query")
        );
        let suffix = told(Some(&custom(None, Some("a b"))));
        assert!(suffix.starts_with("customCloudConfig.keyVaultDNSSuffix: is not a domain"));
    }
}
