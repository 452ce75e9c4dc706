//! Where a secret lies: its folder and its name.

/// A secret inside the store's environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// Absolute, without a slash at the end.
    pub(crate) folder: String,
    pub(crate) name: String,
}

impl Address {
    /// What `key` means in a store whose folder is `scope`: a name there; with a leading slash a folder and a name;
    /// with another slash a folder below the store's and a name. `None` where no name is left.
    pub(crate) fn of(scope: &str, key: &str) -> Option<Self> {
        let (folder, name) = match key.rsplit_once('/') {
            None => (normal(scope), key),
            Some((folder, name)) if key.starts_with('/') => (normal(folder), name),
            Some((folder, name)) => (normal(&format!("{scope}/{folder}")), name),
        };
        // These mean something else in a URL's path.
        let named = !matches!(name, "" | "." | "..");
        named.then(|| Self { folder, name: name.to_owned() })
    }

    /// Whether this secret lies in the folder `scope` or below it.
    pub(crate) fn is_within(&self, scope: &str) -> bool {
        self.folder == scope || self.below(scope).is_some()
    }

    /// The key that means this secret in a store whose folder is `scope`.
    pub(crate) fn key(&self, scope: &str) -> String {
        let Self { folder, name } = self;
        if folder == scope {
            return name.clone();
        }
        match self.below(scope) {
            Some(below) => format!("{below}/{name}"),
            None => format!("{}/{name}", folder.trim_end_matches('/')),
        }
    }

    fn below(&self, scope: &str) -> Option<&str> {
        self.folder.strip_prefix(scope.trim_end_matches('/'))?.strip_prefix('/')
    }
}

/// A folder in the server's own spelling: absolute, one slash between names, none at the end, `.` and `..` resolved.
pub(crate) fn normal(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{Address, normal};

    #[test]
    fn keys_are_relative_to_the_scope_unless_they_begin_with_a_slash() {
        for (scope, key, folder, name) in [
            ("/", "A", "/", "A"),
            ("/app", "A", "/app", "A"),
            ("/app", "db/A", "/app/db", "A"),
            ("/app", "db//x/A", "/app/db/x", "A"),
            ("/app", "../shared/A", "/shared", "A"),
            ("/app", "/shared/db/A", "/shared/db", "A"),
            ("/app", "/A", "/", "A"),
            ("/app", "//A", "/", "A"),
            ("/", "db/A", "/db", "A"),
        ] {
            let expected = Address { folder: folder.into(), name: name.into() };
            assert_eq!(Address::of(scope, key), Some(expected), "{scope} {key}");
        }
    }

    #[test]
    fn a_key_must_end_in_a_name() {
        for key in ["db/", "/", "db/..", "."] {
            assert_eq!(Address::of("/app", key), None, "{key}");
        }
    }

    #[test]
    fn a_listed_name_leads_back_to_the_same_secret() {
        for (scope, folder, key) in [
            ("/", "/", "A"),
            ("/", "/db", "db/A"),
            ("/app", "/app", "A"),
            ("/app", "/app/db/x", "db/x/A"),
            ("/app", "/application", "/application/A"),
            ("/app", "/", "/A"),
        ] {
            let address = Address { folder: folder.into(), name: "A".into() };
            assert_eq!(address.key(scope), key);
            assert_eq!(address.is_within(scope), !key.starts_with('/'));
            assert_eq!(Address::of(scope, key), Some(address));
        }
    }

    #[test]
    fn folders_have_one_spelling() {
        for (path, expected) in [("", "/"), ("/", "/"), ("a/b/", "/a/b"), ("/a//./b", "/a/b"), ("/a/../../b", "/b")] {
            assert_eq!(normal(path), expected);
        }
    }
}
