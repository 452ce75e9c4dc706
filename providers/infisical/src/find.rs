//! Finding secrets: which there are, and what they carry.

use std::collections::{BTreeMap, HashSet};

use keyferry_core::{Listed, Query, RemoteName, Result};

use crate::{
    address,
    client::{Client, Extent, Values},
    metadata::labels,
};

/// The secrets of the scope that match `query`, in the listing's order. Each is known as its plain name, wherever it
/// lies.
///
/// An imported secret gets a whole name (see [`RemoteName::whole`]): a listing does not say into which of its folders
/// an import goes, so that there is no address to read the secret at. For the same reason a path finds none of them.
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
    let extent = Extent { imports: query.path.is_none(), subfolders: scope.recursive, values: Values::Hidden };
    let listing = client.listing(&root, extent).await?;
    if listing.is_empty() {
        client.must_exist(&root).await?;
    }
    let own = listing.own(&root).filter(|(address, _)| chosen || below(&address.folder));
    let own = own.map(|(address, entry)| (RemoteName::new(address.key(&scope.secrets_path)), entry));
    let owned: HashSet<_> = listing.secrets.iter().map(|entry| entry.secret_key.as_str()).collect();
    let imported = listing.imported().filter(|entry| !owned.contains(entry.secret_key.as_str()));
    let imported = imported.map(|entry| (RemoteName::whole(entry.secret_key.as_str()), entry));
    let listed = own.chain(imported).filter_map(|(name, entry)| {
        let (name, tags) = (name.ok()?, labels(entry));
        let alias = (name.as_str() != entry.secret_key).then(|| entry.secret_key.as_str().into());
        carries(&tags).then_some(Listed { name, alias, tags })
    });
    Ok(listed.collect())
}
