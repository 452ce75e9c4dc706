//! Servers that send their clients on to the one that is active.

use keyferry_rest::{Answer, BaseUrl};
use percent_encoding::percent_decode_str;

/// The server at which `answer`, a redirect, says that `path` is to be asked for. The token goes there too, so anything
/// else than the same question to another server is no address for it, and neither is one without TLS after one with it.
pub(crate) fn active_node(server: &BaseUrl, path: &str, answer: &Answer) -> Option<BaseUrl> {
    match answer.status() {
        301 | 302 | 307 | 308 => named(server, path, answer.header("Location")?),
        _ => None,
    }
}

fn named(server: &BaseUrl, path: &str, location: &str) -> Option<BaseUrl> {
    let mut url = server.as_url().join(location).ok()?;
    if server.as_url().scheme() == "https" && url.scheme() != "https" {
        return None;
    }
    // The two may differ in what they write with a percent sign.
    let asked = percent_decode_str(url.path()).decode_utf8().ok()?.into_owned();
    url.set_path(asked.strip_suffix(path)?.strip_suffix("/v1/")?);
    url.set_query(None);
    url.set_fragment(None);
    BaseUrl::parse(url.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use keyferry_rest::BaseUrl;

    use super::named;

    const KEY: &str = "kv/data/a b/ü!";

    fn of(server: &str, location: &str) -> Option<String> {
        let server = BaseUrl::parse(server).expect("an address");
        named(&server, KEY, location).map(|node| node.to_string())
    }

    #[test]
    fn another_server_is_asked_the_same() {
        for (server, location, node) in [
            ("http://b:8200", "http://a:8200/v1/kv/data/a%20b/%C3%BC%21?version=1", "http://a:8200"),
            ("https://b", "https://a:8201/v1/kv/data/a%20b/%c3%bc!", "https://a:8201"),
            ("https://b/prefix", "https://a/other/v1/kv/data/a%20b/%C3%BC!", "https://a/other"),
            ("http://b", "https://b/v1/kv/data/a%20b/%C3%BC!", "https://b"),
            ("https://b/prefix", "/v1/kv/data/a%20b/%C3%BC!", "https://b"),
        ] {
            assert_eq!(of(server, location).as_deref(), Some(node), "{location}");
        }
    }

    #[test]
    fn nothing_else_is_followed() {
        for location in [
            "http://a/v1/kv/data/a%20b/%C3%BC!",
            "https://a/login?next=/v1/kv/data/a%20b/%C3%BC!",
            "https://a/v1/kv/data/other",
            "https://a/v2/kv/data/a%20b/%C3%BC!",
            "https://me:hunter2@a/v1/kv/data/a%20b/%C3%BC!",
            "ftp://a/v1/kv/data/a%20b/%C3%BC!",
            "https://",
            "",
        ] {
            assert_eq!(of("https://b", location), None, "{location}");
        }
    }
}
