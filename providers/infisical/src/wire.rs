//! The shapes of the API's answers, as far as they are read.

use std::collections::{HashMap, HashSet};

use keyferry_core::SecretBytes;
use keyferry_rest::{optional_secret, secret};
use serde::Deserialize;

use crate::address::{self, Address};

/// `GET /v3/secrets/raw/{name}`.
#[derive(Deserialize)]
pub(crate) struct One {
    pub(crate) secret: Entry,
}

/// `GET /v3/secrets/raw`.
#[derive(Default, Deserialize)]
pub(crate) struct Listing {
    pub(crate) secrets: Vec<Entry>,
    #[serde(default)]
    pub(crate) imports: Vec<Import>,
}

/// The secrets that one import brings into a listed folder.
#[derive(Deserialize)]
pub(crate) struct Import {
    pub(crate) secrets: Vec<Entry>,
}

/// One secret.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) secret_key: String,
    #[serde(default, deserialize_with = "optional_secret")]
    pub(crate) secret_value: Option<SecretBytes>,
    /// The identity may not read the value; a placeholder stands in its place.
    #[serde(default)]
    pub(crate) secret_value_hidden: bool,
    pub(crate) version: Option<u64>,
    /// Its folder; absent in imports.
    pub(crate) secret_path: Option<String>,
    #[serde(default)]
    pub(crate) tags: Option<Vec<Tag>>,
    #[serde(default)]
    pub(crate) secret_metadata: Option<Vec<Metadata>>,
}

/// A label that secrets can carry.
#[derive(Clone, Deserialize)]
pub(crate) struct Tag {
    pub(crate) slug: String,
}

/// A key with a value that a secret can carry.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) key: String,
    #[serde(default, deserialize_with = "optional_secret")]
    pub(crate) value: Option<SecretBytes>,
    /// The server keeps the value encrypted, so it is not for listings.
    #[serde(default)]
    pub(crate) is_encrypted: bool,
}

/// `POST /v1/auth/{method}/login`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    #[serde(deserialize_with = "secret")]
    pub(crate) access_token: SecretBytes,
    /// Seconds; 0 for tokens that do not end.
    pub(crate) expires_in: u64,
}

impl Listing {
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.imports.iter().all(|import| import.secrets.is_empty())
    }

    /// The secrets of the listed folder `root` and of the folders below it, each with its address.
    pub(crate) fn own(&self, root: &str) -> impl Iterator<Item = (Address, &Entry)> {
        self.secrets.iter().map(move |entry| {
            let folder = entry.secret_path.as_deref().map_or_else(|| root.to_owned(), address::normal);
            (Address { folder, name: entry.secret_key.clone() }, entry)
        })
    }

    /// The imported secrets as a search finds them: of several with a name the first.
    pub(crate) fn imported(&self) -> impl Iterator<Item = &Entry> {
        let mut taken = HashSet::new();
        let imported = self.imports.iter().flat_map(|import| &import.secrets);
        imported.filter(move |entry| taken.insert(entry.secret_key.as_str()))
    }

    /// The secrets of one folder by name, as reading each by its name finds them: the folder's own go before imported
    /// ones, and a later import before an earlier one.
    pub(crate) fn by_name(self) -> HashMap<String, Found> {
        let own = self.secrets.into_iter().map(Found::Own);
        let imported = self.imports.into_iter().rev().flat_map(|import| import.secrets).map(Found::Imported);
        let mut found = HashMap::new();
        for secret in own.chain(imported) {
            found.entry(secret.entry().secret_key.clone()).or_insert(secret);
        }
        found
    }
}

/// How a secret came into a listed folder.
pub(crate) enum Found {
    /// Without its tags, which the API leaves out of imports.
    Imported(Entry),
    Own(Entry),
}

impl Found {
    pub(crate) fn entry(&self) -> &Entry {
        match self {
            Self::Imported(entry) | Self::Own(entry) => entry,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Found, Listing};

    #[test]
    fn own_secrets_go_first_and_then_the_last_import() {
        let entry = |value: &str| json!({"secretKey": "A", "secretValue": value});
        let listing = |own: &[&str]| -> Listing {
            let own: Vec<_> = own.iter().map(|value| entry(value)).collect();
            let imports = [[entry("first"), entry("second")], [entry("third"), entry("fourth")]];
            let imports: Vec<_> = imports.iter().map(|secrets| json!({"secrets": secrets})).collect();
            serde_json::from_value(json!({"secrets": own, "imports": imports})).expect("a listing")
        };
        let value = |listing: Listing| match listing.by_name().remove("A") {
            Some(Found::Own(entry)) => ("own", entry.secret_value),
            Some(Found::Imported(entry)) => ("imported", entry.secret_value),
            None => ("absent", None),
        };
        assert_eq!(value(listing(&["mine"])), ("own", Some("mine".into())));
        assert_eq!(value(listing(&[])), ("imported", Some("third".into())));
    }

    #[test]
    fn a_search_finds_own_secrets_by_folder_and_then_the_first_import() {
        let listing: Listing = serde_json::from_value(json!({
            "secrets": [
                {"secretKey": "B", "secretPath": "/app/db/"},
                {"secretKey": "A", "secretPath": "/app"},
                {"secretKey": "C"},
            ],
            "imports": [
                {"secrets": [{"secretKey": "A", "version": 1}, {"secretKey": "D", "version": 2}]},
                {"secrets": [{"secretKey": "D", "version": 3}, {"secretKey": "E", "version": 4}]},
            ],
        }))
        .expect("a listing");
        let own = listing.own("/app").map(|(address, _)| format!("{} {}", address.folder, address.name));
        assert_eq!(own.collect::<Vec<_>>(), ["/app/db B", "/app A", "/app C"]);
        let imported = listing.imported().map(|entry| (entry.secret_key.as_str(), entry.version));
        assert_eq!(imported.collect::<Vec<_>>(), [("A", Some(1)), ("D", Some(2)), ("E", Some(4))]);
    }

    #[test]
    fn a_listing_must_say_that_it_is_empty() {
        assert!(serde_json::from_str::<Listing>("{}").is_err());
        assert!(serde_json::from_str::<Listing>(r#"{"secrets": []}"#).is_ok_and(|listing| listing.is_empty()));
        let hollow = r#"{"secrets": [], "imports": [{"secrets": []}]}"#;
        assert!(serde_json::from_str::<Listing>(hollow).is_ok_and(|listing| listing.is_empty()));
    }
}
