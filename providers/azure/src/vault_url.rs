//! The address of a vault.

use std::net::IpAddr;

use keyferry_core::Result;
use keyferry_rest::{BaseUrl, Url};

use crate::{
    cloud::{Places, host},
    config::invalid,
};

/// Checks `vaultUrl`: it is a vault of the cloud at `places`, so that nobody else is shown a token for it.
pub(crate) fn parse(text: &str, places: &Places) -> Result<BaseUrl> {
    let wrong = |text: String| invalid("Configure", format!("vaultUrl: {text}"));
    if text.trim().is_empty() {
        return Err(wrong("is missing; write it like https://my-vault.vault.azure.net".into()));
    }
    let base = BaseUrl::parse(text).map_err(|error| wrong(error.to_string()))?;
    let url = base.as_url();
    if url.path() != "/" {
        return Err(wrong("must have no path; the name of the secret belongs into remoteRef.key".into()));
    }
    if is_loopback(url) {
        return Ok(base);
    }
    if url.scheme() != "https" {
        return Err(wrong("must begin with https://".into()));
    }
    match places.suffixes.iter().find(|suffix| !is_below(host(&base), suffix)) {
        None => Ok(base),
        Some(suffix) => Err(wrong(format!(
            "is not the address of a vault in this cloud, whose vaults are called NAME.{suffix}; check it, \
             environmentType and customCloudConfig"
        ))),
    }
}

/// Whom tokens for the vault at `url` are for, without a slash at the end.
pub(crate) fn audience(url: &BaseUrl, places: &Places) -> String {
    let vault = host(url);
    // Some stores name the vault itself as the endpoint of all vaults; no token is for a single vault.
    let is_vault = |audience: &BaseUrl| host(audience) == vault && !is_loopback(url.as_url());
    match places.audience.as_ref().filter(|audience| !is_vault(audience)) {
        Some(audience) => audience.to_string(),
        None => format!("https://{}", vault.split_once('.').map_or(vault, |(_, domain)| domain)),
    }
}

/// Whether `url` is on this machine, where plain HTTP tells nobody anything.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether `host` is in `domain`, and not `domain` itself.
pub(crate) fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).and_then(|name| name.strip_suffix('.')).is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{audience, parse};
    use crate::{Cloud, CustomCloud, cloud::Places};

    fn public() -> Places {
        Places::new(Cloud::Public, None, None).unwrap()
    }

    #[test]
    fn vaults_of_the_cloud_are_accepted() {
        for text in ["https://a.vault.azure.net", " https://A.vault.azure.net/ ", "https://a.vault.azure.net:443"] {
            let url = parse(text, &public()).unwrap();
            assert_eq!(url.to_string(), "https://a.vault.azure.net");
            assert_eq!(audience(&url, &public()), "https://vault.azure.net");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for text in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://127.0.0.1:1"] {
            parse(text, &public()).unwrap();
        }
        for text in ["http://a.vault.azure.net", "http://localhost.example"] {
            assert_eq!(parse(text, &public()).unwrap_err().message, "vaultUrl: must begin with https://");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, expected) in [
            ("", "is missing"),
            ("hunter2", "is not a URL with a host"),
            ("ftp://a", "must begin with https:// or http://"),
            ("https://me:hunter2@a.vault.azure.net", "must not hold a user name or password"),
            ("https://a.vault.azure.net?b=hunter2", "must not have a query"),
            ("https://a.vault.azure.net/secrets/b", "must have no path"),
            ("https://a.vault.azure.cn", "is not the address of a vault in this cloud"),
            ("https://vault.azure.net", "is not the address of a vault in this cloud"),
            ("https://.vault.azure.net", "is not"),
            ("https://evilvault.azure.net", "is not the address of a vault in this cloud"),
            ("https://a.vault.azure.net.evil.example", "is not the address of a vault in this cloud"),
            ("https://a.vault.azure.net.", "is not the address of a vault in this cloud"),
            ("https://evil.example", "is not the address of a vault in this cloud"),
            ("https://169.254.169.254", "is not the address of a vault in this cloud"),
            ("https://evil.example/#.vault.azure.net", "must not have a query"),
            ("https://evil.example?.vault.azure.net", "must not have a query"),
            ("https://evil.example/.vault.azure.net", "must have no path"),
            ("https://evil.example\\.vault.azure.net", "must have no path"),
            ("https://a.vault.azure.net@evil.example", "must not hold a user name or password"),
            ("https://a.vault.azure.net:x@evil.example", "must not hold a user name or password"),
            ("https://evil.example%2f.vault.azure.net", "is not a URL with a host"),
            ("https://evil.example%23.vault.azure.net", "is not a URL with a host"),
            ("https://evil.example:x.vault.azure.net", "is not a URL with a host"),
            ("https://a.vault.azure.net:443.evil.example", "is not a URL with a host"),
        ] {
            let message = parse(text, &public()).expect_err(text).message;
            assert!(message.starts_with(&format!("vaultUrl: {expected}")) && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn each_cloud_has_vaults_of_its_own_only() {
        let clouds = [
            (Cloud::China, "vault.azure.cn"),
            (Cloud::Germany, "vault.microsoftazure.de"),
            (Cloud::Public, "vault.azure.net"),
            (Cloud::UsGovernment, "vault.usgovcloudapi.net"),
        ];
        for (cloud, _) in clouds {
            let places = Places::new(cloud, None, None).unwrap();
            for (other, domain) in clouds {
                assert_eq!(
                    parse(&format!("https://a.{domain}"), &places).is_ok(),
                    cloud == other,
                    "{cloud:?} {domain}"
                );
            }
        }
    }

    #[test]
    fn a_custom_cloud_has_the_vaults_that_it_describes_and_never_one_elsewhere_for_tokens_of_azure() {
        let vault = |endpoint: Option<&str>, suffix: Option<&str>, url: &str| {
            let custom = CustomCloud {
                active_directory_endpoint: "https://login.example.com".into(),
                key_vault_dns_suffix: suffix.map(Into::into),
                key_vault_endpoint: endpoint.map(Into::into),
            };
            let places = Places::new(Cloud::Stack, Some(&custom), None).unwrap();
            parse(url, &places).map(|url| audience(&url, &places)).map_err(|error| error.message)
        };
        let own = Ok("https://vault.example.com".to_owned());
        assert_eq!(vault(None, Some(".vault.example.com"), "https://a.VAULT.example.com/"), own);
        assert_eq!(vault(Some("https://vault.example.com/"), None, "https://a.vault.example.com"), own);
        assert_eq!(vault(Some("https://a.vault.example.com/"), None, "https://a.vault.example.com"), own);
        let here = "http://127.0.0.1:1";
        assert_eq!(vault(Some(here), None, here), Ok(here.to_owned()));
        for (endpoint, suffix, url) in [
            (None, Some("vault.example.com"), "https://a.evil.example"),
            (None, Some("vault.example.com"), "https://vault.example.com"),
            (Some("https://vault.azure.net"), None, "https://evil.example"),
            (Some("https://a.vault.azure.net."), None, "https://evil.example"),
            (Some("https://vault.azure.net"), Some("evil.example"), "https://a.evil.example"),
            (Some("https://vault.azure.net"), Some("evil.example"), "https://a.vault.azure.net"),
        ] {
            let told = vault(endpoint, suffix, url).unwrap_err();
            assert!(
                told.starts_with("vaultUrl: is not the address of a vault in this cloud, whose vaults are"),
                "{told}"
            );
        }
        assert_eq!(vault(None, None, "http://a.example"), Err("vaultUrl: must begin with https://".to_owned()));
    }

    #[test]
    fn a_cloud_without_a_name_for_its_vaults_is_asked_for_tokens_for_their_domain() {
        let custom =
            CustomCloud { active_directory_endpoint: "https://login.example.com".into(), ..CustomCloud::default() };
        let places = Places::new(Cloud::Stack, Some(&custom), None).unwrap();
        let url = parse("https://a.vault.local.example.com", &places).unwrap();
        assert_eq!(audience(&url, &places), "https://vault.local.example.com");
    }
}
