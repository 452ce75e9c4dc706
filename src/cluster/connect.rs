//! The way to the API server.

use std::env;

use anyhow::{Context, Result, ensure};
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::{Client, Config};

/// A client for the cluster that `KUBECONFIG` names, or that this process runs in.
pub(crate) async fn connect() -> Result<Client> {
    let mut config = Config::infer()
        .await
        .context("failed to find a cluster: set KUBECONFIG, or run in a Pod with a ServiceAccount")?;
    let variables = ["HTTPS_PROXY", "https_proxy"].map(|name| env::var(name).unwrap_or_default());
    let direct = Matcher::from_env().intercept(&config.cluster_url).is_none();
    config.proxy_url = proxy(config.proxy_url, &variables, direct);
    check(config.proxy_url.as_ref())?;
    Client::try_from(config).context("failed to prepare the connection to the cluster")
}

/// kube takes the proxy of the environment for any API server, also for one that `NO_PROXY` exempts (`direct`). One that the
/// kubeconfig file names stays.
fn proxy(chosen: Option<Uri>, variables: &[String], direct: bool) -> Option<Uri> {
    let of_environment =
        |proxy: &Uri| variables.iter().any(|variable| variable.parse().is_ok_and(|uri: Uri| uri == *proxy));
    chosen.filter(|proxy| !direct || !of_environment(proxy))
}

/// kube's own error shows the address, with the password that may stand in it.
fn check(proxy: Option<&Uri>) -> Result<()> {
    ensure!(
        proxy.is_none_or(|proxy| matches!(proxy.scheme_str(), Some("http" | "https"))),
        "the address of the proxy to the API server must begin with http:// or https://; correct HTTPS_PROXY, or proxy-url \
         in the kubeconfig file"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, proxy};

    #[test]
    fn a_proxy_that_cannot_be_used_is_not_shown() {
        for address in ["socks5://me:hunter2@proxy:1080", "me:hunter2@proxy:3128"] {
            let error = check(address.parse().ok().as_ref()).unwrap_err();
            let text = format!("{error:#} {error:?}");
            assert!(text.contains("HTTPS_PROXY") && !text.contains("hunter2"), "{text}");
        }
        assert!(check("http://me:word@proxy:3128".parse().ok().as_ref()).is_ok());
        assert!(check(None).is_ok());
    }

    #[test]
    fn only_the_proxy_of_the_environment_heeds_the_exemptions_of_the_environment() {
        let uri = |text: &str| text.parse().ok();
        let variables = ["http://corporate:3128".to_owned(), String::new()];
        assert_eq!(proxy(uri("http://corporate:3128"), &variables, true), None);
        assert_eq!(proxy(uri("http://corporate:3128"), &variables, false), uri("http://corporate:3128"));
        assert_eq!(proxy(uri("http://bastion:3128"), &variables, true), uri("http://bastion:3128"));
        assert_eq!(proxy(None, &variables, false), None);
    }
}
