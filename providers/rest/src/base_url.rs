//! Where a backend is.

use std::fmt;

use url::Url;

/// The address of a backend as a store names it: `http` or `https`, a host, perhaps a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// What is wrong with an address or path, without repeating it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUrl {
    /// A user name or password stands in it.
    Credentials,
    /// A path has a segment `.` or `..`.
    DotSegment,
    /// It has a query or a fragment.
    Extra,
    /// A path has a tab or a line break.
    LineBreak,
    /// It is not a URL with a host.
    NotAUrl,
    /// It is a URL of another scheme than `http` or `https`.
    Scheme,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "must not hold a user name or password",
            Self::DotSegment => "must not have a path segment `.` or `..`",
            Self::Extra => "must not have a query (`?`) or fragment (`#`)",
            Self::LineBreak => "must not have a tab or a line break",
            Self::NotAUrl => "is not a URL with a host; write it like https://host:port",
            Self::Scheme => "must begin with https:// or http://",
        })
    }
}

impl std::error::Error for InvalidUrl {}

impl BaseUrl {
    /// Checks `text`. Surrounding white space and trailing slashes make no difference.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let mut url = Url::parse(text.trim()).map_err(|_| InvalidUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl::Extra);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The address of `path` below this one. `path` is plain text: whatever a URL gives a meaning to is encoded,
    /// except the slash, so that no name can reach into the query or out of the base.
    pub fn join(&self, path: &str) -> Result<Url, InvalidUrl> {
        // URLs are written without them: what is left of `.<tab>.` would be a segment `..`.
        if path.contains(['\t', '\n', '\r']) {
            return Err(InvalidUrl::LineBreak);
        }
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(InvalidUrl::DotSegment);
        }
        let mut url = self.0.clone();
        // Only URLs without a host refuse this.
        url.path_segments_mut().map_err(|()| InvalidUrl::NotAUrl)?.pop_if_empty().extend(path.split('/'));
        Ok(url)
    }

    /// The address itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The same host with another path (plain text, as for [`BaseUrl::join`]).
    pub fn with_path(&self, path: &str) -> Result<Self, InvalidUrl> {
        let mut root = self.0.clone();
        root.set_path("");
        Self(root).join(path).map(Self)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, InvalidUrl};

    fn joined(base: &str, path: &str) -> String {
        BaseUrl::parse(base).expect("valid base").join(path).expect("valid path").to_string()
    }

    #[test]
    fn paths_are_appended_to_the_base_path() {
        assert_eq!(joined("https://vault:8200", "v1/a/b"), "https://vault:8200/v1/a/b");
        assert_eq!(joined(" https://vault/prefix// ", "v1/a"), "https://vault/prefix/v1/a");
        assert_eq!(BaseUrl::parse("http://h/a/").map(|url| url.to_string()), Ok("http://h/a".into()));
    }

    #[test]
    fn another_path_keeps_the_host() {
        let base = BaseUrl::parse("https://gw:8000/api/v2").expect("valid base");
        assert_eq!(base.with_path("v2").map(|url| url.to_string()), Ok("https://gw:8000/v2".into()));
    }

    #[test]
    fn names_cannot_break_out_of_their_path() {
        assert_eq!(joined("http://h", "a b/c?d#e/%2e/ü"), "http://h/a%20b/c%3Fd%23e/%252e/%C3%BC");
        let base = BaseUrl::parse("http://h/v1").expect("valid base");
        assert_eq!(base.join("a/../sys"), Err(InvalidUrl::DotSegment));
        assert_eq!(base.join("./a"), Err(InvalidUrl::DotSegment));
        for path in ["a/.\t./sys", "a/.\n./sys", "\r..", "a\n"] {
            assert_eq!(base.join(path), Err(InvalidUrl::LineBreak), "{path:?}");
        }
    }

    #[test]
    fn wrong_addresses_are_told_apart() {
        for (text, wrong) in [
            ("", InvalidUrl::NotAUrl),
            ("vault.example", InvalidUrl::NotAUrl),
            ("https://", InvalidUrl::NotAUrl),
            ("vault:8200", InvalidUrl::Scheme),
            ("ftp://vault", InvalidUrl::Scheme),
            ("https://me:hunter2@vault", InvalidUrl::Credentials),
            ("https://vault?token=hunter2", InvalidUrl::Extra),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(wrong), "{text}");
            assert!(!wrong.to_string().contains("hunter2"));
        }
    }
}
