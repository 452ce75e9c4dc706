//! Finding secrets: which there are, and what they carry.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use keyferry_core::{Error, ErrorKind, Listed, Query, RemoteName, Result};

use crate::{
    PROVIDER,
    address::{self, Address},
    client::{Client, Extent, LIST, PARALLEL, Values},
    metadata::labels,
    wire::{Entry, Listing},
};

/// Secrets by folder and name.
type All = BTreeMap<(String, String), BTreeMap<String, String>>;
/// Where an imported secret comes from: environment, folder, name.
type Source = (String, String, String);

/// The secrets of the scope that match `query`.
pub(crate) async fn matching(client: &Client, query: &Query) -> Result<Vec<Listed>> {
    let scope = client.scope();
    let carries = |labels: &BTreeMap<String, String>| {
        query.tags.iter().all(|(key, value)| labels.get(key).is_some_and(|label| label == value))
    };
    let below = |folder: &str| query.path.as_ref().is_none_or(|path| folder.starts_with(path.as_str()));
    // Without subfolders nothing but the scope's own folder would ever be found, so that the path chooses another one.
    let root = match &query.path {
        Some(path) if !scope.recursive && !below(&scope.secrets_path) => address::normal(path),
        _ => scope.secrets_path.clone(),
    };
    let chosen = root != scope.secrets_path;
    let all = all(client, &root).await?;
    let wanted = all.into_iter().filter(|((folder, _), labels)| (chosen || below(folder)) && carries(labels));
    let listed = wanted.filter_map(|((folder, name), tags)| {
        let key = Address { folder, name }.key(&scope.secrets_path);
        Some(Listed { name: RemoteName::new(key).ok()?, tags })
    });
    Ok(listed.collect())
}

async fn all(client: &Client, root: &str) -> Result<All> {
    let extent = Extent { imports: true, subfolders: client.scope().recursive, values: Values::Hidden };
    let listing = client.listing(root, extent).await?;
    if listing.is_empty() {
        client.must_exist(root).await?;
    }
    let mut all: All = BTreeMap::new();
    for entry in &listing.secrets {
        let folder = entry.secret_path.as_deref().map_or_else(|| root.to_owned(), address::normal);
        all.insert((folder, entry.secret_key.clone()), labels(entry));
    }
    for (folder, entry) in imported(client, root, &listing, &all).await? {
        let labels = labels(&entry);
        all.entry((folder, entry.secret_key)).or_insert(labels);
    }
    Ok(all)
}

/// The imported secrets of a listing, each with the folder that imports it.
///
/// A listing with subfolders does not say into which of them an import goes, but a secret is read through that folder.
/// So each folder that is known to exist is listed by itself. If that does not explain all imports, the search fails:
/// keys that are silently missing could be taken for deleted.
async fn imported(client: &Client, root: &str, listing: &Listing, own: &All) -> Result<Vec<(String, Entry)>> {
    if !client.scope().recursive {
        return Ok(entries(root, listing));
    }
    let mut unexplained = sources(listing);
    if unexplained.is_empty() {
        return Ok(Vec::new());
    }
    let folders: BTreeSet<String> = own.keys().map(|(folder, _)| folder.clone()).chain([root.to_owned()]).collect();
    let extent = Extent { imports: true, subfolders: false, values: Values::Hidden };
    let listings = stream::iter(folders).map(|folder| async move {
        let listing = client.listing(&folder, extent).await?;
        Ok::<_, Error>((folder, listing))
    });
    let listings: Vec<(String, Listing)> = listings.buffered(PARALLEL).try_collect().await?;
    let mut imported = Vec::new();
    for (folder, listing) in &listings {
        let explained = sources(listing);
        unexplained.retain(|source| !explained.contains(source));
        imported.extend(entries(folder, listing));
    }
    match unexplained.first() {
        None => Ok(imported),
        Some((environment, path, name)) => {
            let text = format!(
                "the secret {name} of folder {path} in environment {environment} is imported into a folder that has no \
                 secrets of its own, and cannot be found through it; put a secret there, or name that folder in \
                 secretsScope.secretsPath"
            );
            Err(Error::new(ErrorKind::Unsupported, PROVIDER, LIST, text))
        }
    }
}

fn entries(folder: &str, listing: &Listing) -> Vec<(String, Entry)> {
    let entries = listing.imports.iter().flat_map(|import| &import.secrets);
    entries.map(|entry| (folder.to_owned(), entry.clone())).collect()
}

fn sources(listing: &Listing) -> BTreeSet<Source> {
    let mut sources = BTreeSet::new();
    for import in &listing.imports {
        for entry in &import.secrets {
            sources.insert((import.environment.clone(), import.secret_path.clone(), entry.secret_key.clone()));
        }
    }
    sources
}
