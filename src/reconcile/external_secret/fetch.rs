//! Reads what an ExternalSecret asks for, from all its stores at the same time.

use std::collections::HashMap;

use futures::future::try_join_all;
use keyferry_core::{Error, ErrorKind, Locator};
use tokio::time::Instant;

use super::{content::Answer, sync::ValidSync};
use crate::{cluster::StoreKey, stores::Stores, trouble::Trouble};

/// One answer for each source, in their order. `since` is the oldest call whose answer may be shared.
pub(super) async fn fetch(stores: &Stores, want: &ValidSync, since: Instant) -> Result<Vec<Answer>, Trouble> {
    let reads = want.stores().map(|store| read(stores, want, store, since));
    let mut answers: HashMap<_, _> = try_join_all(reads).await?.into_iter().flatten().collect();
    let answer = |source: &super::sync::Source| {
        answers.entry((source.store.clone(), source.locator.clone())).or_insert_with(unanswered).clone()
    };
    Ok(want.sources.iter().map(answer).collect())
}

type Answers = Vec<((StoreKey, Locator), Answer)>;

/// Everything that is wanted of one store, each locator once.
async fn read(stores: &Stores, want: &ValidSync, store: &StoreKey, since: Instant) -> Result<Answers, Trouble> {
    let session = stores.session(store, &want.key.namespace).await?;
    let mut locators: Vec<Locator> = Vec::new();
    for source in want.sources.iter().filter(|source| source.store == *store) {
        if !locators.contains(&source.locator) {
            locators.push(source.locator.clone());
        }
    }
    let answers = session.provider.fetch(&locators, since).await;
    stores.heard(store, answers.iter().filter_map(|answer| answer.as_ref().err()));
    Ok(locators.into_iter().map(|locator| (store.clone(), locator)).zip(answers).collect())
}


/// A provider that answers fewer locators than it was asked has a bug; to the user it is a bad answer.
fn unanswered() -> Answer {
    Err(Error::new(ErrorKind::Malformed, "keyferry", "Fetch", "the backend's answer held no entry for this key"))
}
