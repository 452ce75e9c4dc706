//! URLs: what goes into them, and what comes out of their templates.

use std::fmt::Write;

use keyferry_rest::Url;

/// As Go's `url.QueryEscape`.
pub(crate) fn query_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// A URL as it came out of its template. Its text is not shown: passwords stand in URLs.
pub(crate) fn checked(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "that comes out is not a URL with a host; correct the template")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("that comes out must begin with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("that comes out must not hold a user name or password; put them into the header Authorization");
    }
    // A key of dots would lead out of the place that the store's author meant.
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_dots = |segment: &str| matches!(segment.replace("%2e", ".").replace("%2E", ".").as_str(), "." | "..");
    if path.split(['/', '\\']).any(is_dots) {
        return Err("that comes out must not have a path segment `.` or `..`; correct the key");
    }
    Ok(url)
}

/// The server of a URL's template, as a URL without a path, where it stands there literally.
pub(crate) fn server(template: &str) -> Result<Option<Url>, &'static str> {
    let literal = template.split("{{").next().unwrap_or_default().trim_start();
    if literal.is_empty() && template.contains("{{") {
        return Ok(None);
    }
    let wrong = "is not a URL with a host; write it like https://host:port/path";
    let (scheme, rest) = literal.split_once("://").ok_or(wrong)?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err("must begin with https:// or http://");
    }
    let end = rest.find(['/', '?', '#']);
    if end.is_none() && template.contains("{{") {
        return Ok(None);
    }
    let authority = &rest[..end.unwrap_or(rest.len())];
    let url = Url::parse(&format!("{scheme}://{authority}")).map_err(|_| wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password; put them into the header Authorization");
    }
    if url.has_host() { Ok(Some(url)) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::{checked, query_escaped, server};

    #[test]
    fn text_is_escaped_as_go_does() {
        assert_eq!(query_escaped("a/b c&d=ü%~"), "a%2Fb+c%26d%3D%C3%BC%25~");
    }

    #[test]
    fn the_server_is_known_where_it_is_literal() {
        let of = |template: &str| server(template).map(|url| url.map(|url| url.to_string()));
        assert_eq!(of("https://h/{{ .remoteRef.key }}"), Ok(Some("https://h/".to_owned())));
        assert_eq!(of("http://h:8080?x={{ .remoteRef.key }}"), Ok(Some("http://h:8080/".to_owned())));
        assert_eq!(of("http://[::1]"), Ok(Some("http://[::1]/".to_owned())));
        for open in ["https://{{ .a.host }}/x", "https://h{{ .a.tail }}", "{{ .a.url }}", "https://h:{{ .a.port }}/"] {
            assert_eq!(server(open), Ok(None), "{open}");
        }
        for wrong in ["", "h/x", "ftp://h", "https:///", "https://a:hunter2@h/"] {
            assert!(server(wrong).is_err_and(|text| !text.contains("hunter2")), "{wrong}");
        }
    }

    #[test]
    fn a_url_stays_where_it_was_meant_to_be() {
        assert_eq!(checked(" https://h/a%2Fb?c=.. ").map(|url| url.to_string()).as_deref(), Ok("https://h/a%2Fb?c=.."));
        for text in ["https://h/a/../b", "https://h/%2E%2e", "https://h/.", "https://h\\..\\x"] {
            assert!(checked(text).is_err_and(|text| text.contains("path segment")), "{text}");
        }
        for text in ["", "h", "file:///etc/passwd", "https://me:hunter2@h/"] {
            assert!(checked(text).is_err_and(|text| !text.contains("hunter2")), "{text}");
        }
    }
}
