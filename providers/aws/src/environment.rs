//! What the process's environment says about where AWS is. Nothing else in this crate reads the environment; what
//! the SDK reads by itself is its own chain of ambient credentials, and the proxies.

use std::env;

use aws_smithy_http_client::proxy::ProxyConfig;
use keyferry_clouds::aws::Network;
use keyferry_rest::BaseUrl;

/// Endpoints and the like, as variables of the process set them.
///
/// | variable | meaning |
/// |---|---|
/// | `AWS_SECRETSMANAGER_ENDPOINT`, `AWS_SSM_ENDPOINT`, `AWS_STS_ENDPOINT` | endpoint of the service |
/// | `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL_STS` | the same, in the SDKs' words |
/// | `AWS_ENDPOINT_URL` | endpoint of all services that have no variable of their own |
/// | `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` | `true`: the two rows above do not count |
/// | `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` | `true`: AWS's endpoints of that kind |
/// | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | proxies, of the process only |
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub(crate) secrets_manager: Option<Variable>,
    pub(crate) ssm: Option<Variable>,
    pub(crate) sts: Option<Variable>,
    pub(crate) fips: bool,
    pub(crate) dual_stack: bool,
    has_proxies: bool,
}

/// An endpoint, and the variable that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    name: &'static str,
    value: String,
}

impl Environment {
    /// The environment of this process, with its proxies.
    pub fn of_process() -> Self {
        Self { has_proxies: true, ..Self::of(|name| env::var(name).ok()) }
    }

    /// The variables that `lookup` knows, without proxies.
    pub fn of(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is_on = |name| set(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let ignored = is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let endpoint = |own: &'static str, sdk: &'static str| {
            let names = if ignored { &[own][..] } else { &[own, sdk, "AWS_ENDPOINT_URL"] };
            names.iter().find_map(|name| set(name).map(|value| Variable { name, value }))
        };
        Self {
            secrets_manager: endpoint("AWS_SECRETSMANAGER_ENDPOINT", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            ssm: endpoint("AWS_SSM_ENDPOINT", "AWS_ENDPOINT_URL_SSM"),
            sts: endpoint("AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS"),
            fips: is_on("AWS_USE_FIPS_ENDPOINT"),
            dual_stack: is_on("AWS_USE_DUALSTACK_ENDPOINT"),
            has_proxies: false,
        }
    }

    pub(crate) fn proxies(&self) -> ProxyConfig {
        if self.has_proxies { ProxyConfig::from_env() } else { ProxyConfig::disabled() }
    }

    /// For the SDK's own chain, which knows the SDK's variables for endpoints itself, and fails where there are both an
    /// endpoint and the wish for one of AWS's kinds.
    pub(crate) fn network(&self) -> Network {
        let own = self.sts.is_none();
        Network { proxies: self.proxies(), fips: own && self.fips, dual_stack: own && self.dual_stack }
    }
}

impl Variable {
    /// The address, or what is wrong with it.
    pub(crate) fn url(&self) -> Result<String, String> {
        let url = BaseUrl::parse(&self.value).map_err(|error| {
            format!("the variable {} of the operator's environment {error}; correct or remove it", self.name)
        })?;
        Ok(url.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, Variable};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment::of(move |name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    fn name(variable: Option<Variable>) -> Option<&'static str> {
        variable.map(|variable| variable.name)
    }

    #[test]
    fn a_service_s_own_endpoint_goes_before_the_sdk_s_and_that_before_the_one_for_all() {
        let all = environment(&[
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_SSM", "http://sdk"),
            ("AWS_ENDPOINT_URL_STS", "http://sdk"),
            ("AWS_STS_ENDPOINT", "http://own"),
        ]);
        assert_eq!(name(all.secrets_manager), Some("AWS_ENDPOINT_URL"));
        assert_eq!(name(all.ssm), Some("AWS_ENDPOINT_URL_SSM"));
        assert_eq!(name(all.sts), Some("AWS_STS_ENDPOINT"));
    }

    #[test]
    fn the_sdk_s_endpoints_can_be_switched_off() {
        let ignoring = environment(&[
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True"),
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_SSM", "http://sdk"),
            ("AWS_SSM_ENDPOINT", "http://own"),
        ]);
        assert_eq!(name(ignoring.secrets_manager), None);
        assert_eq!(name(ignoring.ssm), Some("AWS_SSM_ENDPOINT"));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let empty = environment(&[("AWS_SSM_ENDPOINT", " "), ("AWS_USE_FIPS_ENDPOINT", "")]);
        assert_eq!(empty.ssm, None);
        assert!(!empty.fips && !empty.dual_stack);
        assert!(environment(&[("AWS_USE_FIPS_ENDPOINT", "true")]).fips);
        assert!(environment(&[("AWS_USE_DUALSTACK_ENDPOINT", "true")]).dual_stack);
    }

    #[test]
    fn a_wrong_endpoint_is_named_by_its_variable_and_not_repeated() {
        let wrong = environment(&[("AWS_SSM_ENDPOINT", "https://me:hunter2@ssm")]).ssm.expect("it is set");
        let text = wrong.url().expect_err("credentials in a URL");
        assert!(text.contains("AWS_SSM_ENDPOINT") && !text.contains("hunter2"), "{text}");
        let right = environment(&[("AWS_SSM_ENDPOINT", "http://moto:5000/")]).ssm.expect("it is set");
        assert_eq!(right.url(), Ok("http://moto:5000".to_owned()));
    }
}
