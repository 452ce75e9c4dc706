//! The proxies that the process is told to use: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// Whether requests to `url` leave through a proxy. What can be reached from here then says nothing about them.
pub fn is_proxied(url: &Url) -> bool {
    is_proxied_by(&Matcher::from_system(), url)
}

fn is_proxied_by(proxies: &Matcher, url: &Url) -> bool {
    url.as_str().parse::<Uri>().is_ok_and(|uri| proxies.intercept(&uri).is_some())
}

#[cfg(test)]
mod tests {
    use hyper_util::client::proxy::matcher::Matcher;
    use url::Url;

    use super::is_proxied_by;

    #[test]
    fn a_proxy_is_for_its_scheme_and_for_hosts_that_are_not_exempt() {
        let proxies = Matcher::builder().https("http://proxy.example:3128").no("exempt.example").build();
        let is_proxied = |url: &str| is_proxied_by(&proxies, &Url::parse(url).unwrap());
        assert!(is_proxied("https://hooks.example"));
        assert!(!is_proxied("https://exempt.example"));
        assert!(!is_proxied("http://hooks.example"));
    }
}
