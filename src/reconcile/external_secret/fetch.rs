//! Reads what an ExternalSecret asks for, from all its stores at the same time.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::{join, try_join_all};
use keyferry_core::{Error, ErrorKind, Fetched, Listed, Locator, Provider, RemoteName, Result};
use tokio::time::Instant;

use super::{
    content::{Answer, Answered, LARGEST},
    sync::{Find, Read, Source, ValidSync},
};
use crate::{cluster::StoreKey, stores::Stores, trouble::Trouble};

/// One answer for each source, in their order. `since` is the oldest call whose answer may be shared.
pub(super) async fn fetch(stores: &Stores, want: &ValidSync, since: Instant) -> Result<Vec<Answer>, Trouble> {
    let reads = want.stores().map(|store| read(stores, want, store, since));
    let mut answers: Vec<_> = try_join_all(reads).await?.into_iter().flatten().collect();
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// The answers of one store, each with the place of its source.
async fn read(
    stores: &Stores,
    want: &ValidSync,
    store: &StoreKey,
    since: Instant,
) -> Result<Vec<(usize, Answer)>, Trouble> {
    let session = stores.session(store, &want.key.namespace).await?;
    let sources: Vec<_> = want.sources.iter().enumerate().filter(|(_, source)| source.store == *store).collect();
    let provider = session.provider();
    let (single, found) = join(read_single(provider, &sources, since), find_all(provider, &sources, since)).await;
    let answers: Vec<_> = single.into_iter().chain(found).collect();
    stores.heard(store, answers.iter().filter_map(|(_, answer)| answer.as_ref().err()));
    Ok(answers)
}

/// All single secrets in one call, each locator once.
async fn read_single(provider: &dyn Provider, sources: &[(usize, &Source)], since: Instant) -> Vec<(usize, Answer)> {
    let selects = provider.capabilities().properties;
    let wanted: Vec<_> =
        sources.iter().filter_map(|(index, source)| Some((*index, locator(source, selects)?))).collect();
    let mut locators: Vec<Locator> = Vec::new();
    for (_, locator) in &wanted {
        if !locators.contains(locator) {
            locators.push(locator.clone());
        }
    }
    if locators.is_empty() {
        return Vec::new();
    }
    let answers = provider.fetch(&locators, since).await;
    let answer = |locator: &Locator| {
        let place = locators.iter().position(|have| have == locator);
        place.and_then(|place| answers.get(place)).cloned().unwrap_or_else(|| Err(unanswered(provider)))
    };
    let form = if selects { Answered::Selected } else { Answered::One };
    wanted.iter().map(|(index, locator)| (*index, answer(locator).map(form))).collect()
}

/// What to ask the backend for; with the property, where the backend selects it.
fn locator(source: &Source, selects: bool) -> Option<Locator> {
    match &source.read {
        Read::Found(..) => None,
        Read::Key(reference, _) | Read::Keys(reference, _) => {
            let property = reference.property.as_deref().filter(|_| selects).map(Arc::from);
            Some(Locator { property, ..reference.locator.clone() })
        }
    }
}

async fn find_all(provider: &dyn Provider, sources: &[(usize, &Source)], since: Instant) -> Vec<(usize, Answer)> {
    let mut answers = Vec::new();
    for (index, source) in sources {
        if let Read::Found(find, _) = &source.read {
            answers.push((*index, found(provider, find, since).await.map(Answered::Many)));
        }
    }
    answers
}

/// Names in one listing at most, and secrets that one `find` reads at most: far more than a Secret holds.
const MOST_LISTED: usize = 100_000;
const MOST_FOUND: usize = 10_000;
/// Secrets that are read together, so that what cannot fit is noticed before all of it is in memory.
const AT_A_TIME: usize = 500;

/// Every secret that matches. One that cannot be read fails all; one that was deleted since it was listed is gone.
async fn found(provider: &dyn Provider, find: &Find, since: Instant) -> Result<BTreeMap<Arc<str>, Arc<Fetched>>> {
    let chosen: Vec<_> = chosen(provider, find, since).await?.into_iter().collect();
    let mut found = BTreeMap::new();
    let mut bytes = 0;
    for chosen in chosen.chunks(AT_A_TIME) {
        let locators: Vec<_> = chosen.iter().map(|(_, name)| Locator::latest(name.clone())).collect();
        for ((key, _), answer) in chosen.iter().zip(provider.fetch(&locators, since).await) {
            match answer {
                Ok(fetched) => {
                    bytes += fetched.value.len();
                    found.insert(Arc::clone(key), fetched);
                }
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if bytes > LARGEST {
            return Err(too_much(provider, "what it finds is larger than a Secret can be"));
        }
    }
    Ok(found)
}

/// The names of all secrets that match, each by what it is known as.
type Chosen = BTreeMap<Arc<str>, RemoteName>;

async fn chosen(provider: &dyn Provider, find: &Find, since: Instant) -> Result<Chosen> {
    let capabilities = provider.capabilities();
    let unsupported = |what: &str| {
        Error::new(ErrorKind::Unsupported, provider.name(), "List", format!("this backend cannot find secrets{what}"))
    };
    if !capabilities.list {
        return Err(unsupported(""));
    }
    if !find.query.tags.is_empty() && !capabilities.find_by_tags {
        return Err(unsupported(" by tags"));
    }
    let mut query = find.query.clone();
    let (mut chosen, mut listed) = (Chosen::new(), 0);
    loop {
        let page = provider.list(&query, since).await?;
        listed += page.items.len();
        choose(find, &page.items, &mut chosen);
        if chosen.len() > MOST_FOUND || listed > MOST_LISTED {
            return Err(too_much(provider, "it matches too many secrets"));
        }
        match &page.next {
            // A page that leads to itself would be read for ever.
            Some(next) if query.after.as_ref() != Some(next) => query.after = Some(next.clone()),
            Some(_) => return Err(unanswered(provider)),
            None => break,
        }
    }
    Ok(chosen)
}

/// Adds what matches. Of several that are known as the same, the last one stays.
fn choose(find: &Find, listed: &[Listed], chosen: &mut Chosen) {
    let matching = listed.iter().filter(|item| find.name.as_ref().is_none_or(|name| name.is_match(item.known_as())));
    chosen.extend(matching.map(|item| (item.known_as().into(), item.name.clone())));
}

fn too_much(provider: &dyn Provider, what: &str) -> Error {
    let message = format!("{what}; narrow it by path, name or tags");
    Error::new(ErrorKind::InvalidConfig, provider.name(), "List", message)
}

/// A provider that answers fewer locators than it was asked has a bug; to the user it is a bad answer.
fn unanswered(provider: &dyn Provider) -> Error {
    let message = "the backend's answer held no entry for what was asked";
    Error::new(ErrorKind::Malformed, provider.name(), "Fetch", message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyferry_core::{Listed, Query, RemoteName};
    use regex::Regex;

    use super::{Chosen, Find, choose};

    fn chosen(pattern: Option<&str>, pages: &[&[(&str, Option<&str>)]]) -> Vec<(String, String)> {
        let name = pattern.map(|pattern| Regex::new(pattern).unwrap());
        let (find, mut chosen) = (Find { query: Query::default(), name }, Chosen::new());
        for page in pages {
            let listed = page.iter().map(|(name, alias)| Listed {
                name: RemoteName::new(*name).unwrap(),
                alias: alias.map(Into::into),
                tags: BTreeMap::new(),
            });
            choose(&find, &listed.collect::<Vec<_>>(), &mut chosen);
        }
        chosen.into_iter().map(|(key, name)| (key.to_string(), name.to_string())).collect()
    }

    #[test]
    fn a_pattern_is_about_what_a_secret_is_known_as() {
        let page = [("app/db/PASSWORD", Some("PASSWORD")), ("app", None), ("PASSWORD/of/app", Some("app"))];
        assert_eq!(chosen(Some("PASS"), &[&page]), [("PASSWORD".into(), "app/db/PASSWORD".into())]);
        assert_eq!(chosen(Some("db"), &[&page]), []);
        assert_eq!(chosen(Some("^app"), &[&page[..2]]), [("app".into(), "app".into())]);
    }

    #[test]
    fn the_last_of_those_that_are_known_as_the_same_is_chosen() {
        let pages: [&[_]; 2] = [&[("b/KEY", Some("KEY")), ("OTHER", None)], &[("a/KEY", Some("KEY")), ("OTHER", None)]];
        assert_eq!(chosen(None, &pages), [("KEY".into(), "a/KEY".into()), ("OTHER".into(), "OTHER".into())]);
    }
}
