//! Reading by one listing of the whole scope.

use std::collections::{BTreeSet, HashMap, HashSet};

use keyferry_core::{Error, ErrorKind};

use super::{Answered, Ask, concerns_neighbours, each, fetched, values};
use crate::{
    PROVIDER,
    address::Address,
    client::{Client, Extent, LIST, PARALLEL, Values},
    config::Scope,
};

/// Whether a batch is to be read so: what is imported has no other address, and to list more folders than at the same
/// time would take longer.
pub(super) fn serves(scope: &Scope, asks: &[Ask]) -> bool {
    let within = |ask: &&Ask| ask.version.is_none() && ask.address.is_within(&scope.secrets_path);
    let folders = || asks.iter().filter(within).map(|ask| &ask.address.folder).collect::<BTreeSet<_>>();
    asks.iter().any(|ask| ask.imported) || (scope.recursive && folders().len() > PARALLEL)
}

/// What the listing answers, and what it does not.
pub(super) async fn answers(client: &Client, asks: Vec<Ask>) -> (Vec<Answered>, Vec<Ask>) {
    let scope = client.scope();
    let imports = asks.iter().any(|ask| ask.imported);
    let extent = Extent { imports, subfolders: scope.recursive, values: values(&asks) };
    let listing = match client.listing(&scope.secrets_path, extent).await {
        Ok(listing) => listing,
        Err(error) => {
            let lost = |ask: &Ask| lies_anywhere(scope, ask) || !concerns_neighbours(&error);
            let (lost, rest) = asks.into_iter().partition(lost);
            return (each(lost, &error), rest);
        }
    };
    let own: HashMap<_, _> = listing.own(&scope.secrets_path).collect();
    let imported: HashMap<_, _> = listing.imported().map(|entry| (entry.secret_key.as_str(), entry)).collect();
    let (mut answers, mut rest, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    for ask in asks {
        let found = if ask.imported {
            imported.get(ask.address.name.as_str())
        } else {
            own.get(&ask.address).filter(|_| ask.version.is_none())
        };
        match found {
            Some(entry) => answers.push((ask.index, fetched(entry, &ask))),
            None if lies_anywhere(scope, &ask) => absent.push(ask),
            None => rest.push(ask),
        }
    }
    answers.extend(unlisted(client, absent).await);
    (answers, rest)
}

/// Whether nobody knows which of the scope's folders imports it, so that it cannot be asked for by name.
fn lies_anywhere(scope: &Scope, ask: &Ask) -> bool {
    ask.imported && scope.recursive
}

/// What has become of imported secrets that a listing with values leaves out: it does so also with those whose values
/// the identity may not read.
async fn unlisted(client: &Client, asks: Vec<Ask>) -> Vec<Answered> {
    if asks.is_empty() {
        return Vec::new();
    }
    let scope = client.scope();
    let extent = Extent { imports: true, subfolders: scope.recursive, values: Values::Hidden };
    let listing = match client.listing(&scope.secrets_path, extent).await {
        Ok(listing) => listing,
        Err(error) => return each(asks, &error),
    };
    let seen: HashSet<_> = listing.imported().map(|entry| entry.secret_key.as_str()).collect();
    let answer = |ask: &Ask| {
        let Address { folder, name } = &ask.address;
        let (kind, text) = if seen.contains(name.as_str()) {
            let text = format!(
                "the machine identity may see that a secret {name} is imported into folder {folder} or one below it, but \
                 not its value; grant it a role that may read values where the secret comes from"
            );
            (ErrorKind::AccessDenied, text)
        } else {
            let text = format!("no secret {name} is imported into folder {folder} or one below it any more");
            (ErrorKind::NotFound, text)
        };
        (ask.index, Err(Error::new(kind, PROVIDER, LIST, text)))
    };
    asks.iter().map(answer).collect()
}
