//! From names to values, with as few calls as the API allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use keyferry_core::{Error, ErrorKind, Fetched, Locator, RemoteName, Result, SecretBytes, Version, Want};

use crate::{
    PROVIDER,
    client::Client,
    items::{ItemType, Known, Memory},
};

/// How many static secrets are read with one request. The API names no limit; this keeps answers small.
pub(crate) const BATCH: usize = 50;
/// How many requests of one fetch are under way at a time.
const PARALLEL: usize = 8;

/// Reads items, and remembers their types.
#[derive(Debug)]
pub(crate) struct Reader {
    client: Client,
    memory: Memory,
}

/// An item that is to be read.
#[derive(Clone, Debug)]
struct Item {
    /// Which of the locators asks for it.
    index: usize,
    name: RemoteName,
    /// 0 is the newest.
    version: i32,
    known: Known,
    /// Whether its type is what an earlier call has shown, and may have changed.
    remembered: bool,
}

type Values = Vec<(usize, Result<SecretBytes>)>;

impl Reader {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, memory: Memory::default() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn fetch(&self, at: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
        let known = self.look_up(at).await;
        let mut values = Values::with_capacity(at.len());
        let mut groups = Vec::new();
        let mut together = BTreeMap::<i32, Vec<Item>>::new();
        for (index, Locator { name, version, want, .. }) in at.iter().enumerate() {
            let version = number(version.as_ref());
            match known.get(name) {
                Some(Ok((known, remembered))) if *want == Want::Value => {
                    let item = Item { index, name: name.clone(), version, known: *known, remembered: *remembered };
                    if known.kind == ItemType::Static && !known.alone {
                        together.entry(version).or_default().push(item);
                    } else {
                        groups.push(vec![item]);
                    }
                }
                Some(Err(error)) => values.push((index, Err(error.clone()))),
                _ => values.push((index, Err(no_metadata(name)))),
            }
        }
        for items in together.values() {
            groups.extend(items.chunks(BATCH).map(<[_]>::to_vec));
        }
        let reads: Vec<_> = groups.into_iter().map(|items| self.read(items)).collect();
        values.extend(stream::iter(reads).buffer_unordered(PARALLEL).collect::<Vec<_>>().await.into_iter().flatten());
        values.sort_by_key(|(index, _)| *index);
        values.into_iter().zip(at).map(|((_, value), locator)| Ok(fetched(locator, value?))).collect()
    }

    /// What is known of the items whose values are wanted, and whether that is a memory.
    async fn look_up(&self, at: &[Locator]) -> BTreeMap<RemoteName, Result<(Known, bool)>> {
        let wanted = at.iter().filter(|locator| locator.want == Want::Value);
        let names: BTreeSet<RemoteName> = wanted.map(|locator| locator.name.clone()).collect();
        let lookups: Vec<_> = names.into_iter().map(|name| self.look_up_one(name)).collect();
        stream::iter(lookups).buffer_unordered(PARALLEL).collect().await
    }

    async fn look_up_one(&self, name: RemoteName) -> (RemoteName, Result<(Known, bool)>) {
        let known = match self.memory.get(&name) {
            Some(known) => Ok((known, true)),
            None => self.describe(&name).await.map(|known| (known, false)),
        };
        (name, known)
    }

    async fn describe(&self, name: &RemoteName) -> Result<Known> {
        let kind = self.client.describe(name).await?;
        Ok(self.memory.learn(name, kind))
    }

    /// Reads one item of any type, or several static ones of one version.
    async fn read(&self, items: Vec<Item>) -> Values {
        if let [item] = items.as_slice() {
            return vec![(item.index, self.read_alone(item).await)];
        }
        let names: Vec<_> = items.iter().map(|item| &item.name).collect();
        let version = items.first().map_or(0, |item| item.version);
        let values = match self.client.secrets(&names, version).await {
            Ok(values) => values,
            // One bad item spoils the request for all: which it is shows when each is read by itself.
            Err(error) if may_be_about_items(&error) => vec![Err(error); items.len()],
            Err(error) => return items.iter().map(|item| (item.index, Err(error.clone()))).collect(),
        };
        let mut failed = None;
        let mut done = Values::with_capacity(items.len());
        for (item, value) in items.into_iter().zip(values) {
            let value = match (value, &failed) {
                (Ok(value), _) => Ok(value),
                (Err(_), None) => self.read_alone(&item).await,
                // A gateway that has failed is not asked for each of the others as well. What it has said of all of them
                // together may be true of a single one.
                (Err(_), Some(failure)) => Err(Error::clone(failure)),
            };
            failed = failed.or_else(|| value.as_ref().err().filter(|error| is_outage(error)).cloned());
            done.push((item.index, value));
        }
        done
    }

    async fn read_alone(&self, item: &Item) -> Result<SecretBytes> {
        let value = match self.read_as(item, item.known.kind).await {
            // That an item has no value does not mean that there is no such item.
            Err(error) if error.kind == ErrorKind::NotFound || item.remembered && may_have_changed(&error) => {
                self.read_again(item, error).await
            }
            value => value,
        };
        match &value {
            Ok(_) => self.memory.may_join(&item.name, true),
            Err(error) if may_be_about_items(error) => self.memory.may_join(&item.name, false),
            Err(_) => {}
        }
        value
    }

    /// Looks again whether there is such an item and of which type it is, and reads it as that if it has changed.
    async fn read_again(&self, item: &Item, error: Error) -> Result<SecretBytes> {
        self.memory.forget(&item.name);
        let kind = self.describe(&item.name).await?.kind;
        let value = if kind == item.known.kind { Err(error) } else { self.read_as(item, kind).await };
        value.map_err(|error| without_value(item, kind, error))
    }

    async fn read_as(&self, item: &Item, kind: ItemType) -> Result<SecretBytes> {
        let (name, version) = (&item.name, item.version);
        match kind {
            ItemType::Certificate => self.client.certificate(name, version).await,
            ItemType::Dynamic => self.client.dynamic(name).await,
            ItemType::Rotated => self.client.rotated(name, version).await,
            ItemType::Static => self.client.secret(name, version).await,
        }
    }
}

/// Whether `error` is the fault of what was asked for, not of the gateway's state.
fn is_about_items(error: &Error) -> bool {
    match error.kind {
        ErrorKind::AccessDenied | ErrorKind::NotFound | ErrorKind::Unsupported => true,
        // Other statuses of this kind are the answers of servers that are no gateway.
        ErrorKind::InvalidConfig => error.status == Some(400),
        // An item without value, which is refused like one that is missing.
        ErrorKind::Unavailable => error.status.is_some_and(|status| status < 500),
        ErrorKind::Malformed | ErrorKind::Throttled | ErrorKind::TimedOut | ErrorKind::Unauthenticated => false,
    }
}

/// Whether the next item will probably fail as well.
fn is_outage(error: &Error) -> bool {
    !is_about_items(error) && error.kind != ErrorKind::Malformed
}

/// As [`is_about_items`], also for a failure of the gateway that may be one on this item only.
fn may_be_about_items(error: &Error) -> bool {
    is_about_items(error) || error.status == Some(500)
}

/// Whether `error` may be an answer to a command of another item type, or about an item that is gone.
fn may_have_changed(error: &Error) -> bool {
    may_be_about_items(error) && error.kind != ErrorKind::AccessDenied
}

/// Versions are numbers from 1; anything else means the newest, as other operators have it. Of negative ones the API
/// makes a number of versions.
fn number(version: Option<&Version>) -> i32 {
    version.and_then(|version| version.as_str().parse().ok()).map_or(0, |version: i32| version.max(0))
}

fn fetched(locator: &Locator, value: SecretBytes) -> Arc<Fetched> {
    let version = locator.version.clone().filter(|version| number(Some(version)) != 0);
    Arc::new(Fetched::new(value, version))
}

/// What `error` means for an item of this kind, which is there.
fn without_value(item: &Item, kind: ItemType, error: Error) -> Error {
    let Item { name, version, .. } = item;
    match error.kind {
        // An item is not missing only because it has no value now: what is missing may be its target.
        ErrorKind::NotFound if *version == 0 || kind == ItemType::Dynamic => Error {
            kind: ErrorKind::Unavailable,
            message: format!("there is an item {name}, but no value of it; look at it and its target in Akeyless"),
            ..error
        },
        ErrorKind::NotFound => Error { message: format!("there is no version {version} of item {name}"), ..error },
        _ => error,
    }
}

fn no_metadata(name: &RemoteName) -> Error {
    let text = format!("Akeyless has no metadata of {name} to give; use metadataPolicy None");
    Error::new(ErrorKind::Unsupported, PROVIDER, "DescribeItem", text)
}

#[cfg(test)]
mod tests {
    use keyferry_core::{Error, ErrorKind, Version};

    use super::{is_about_items, is_outage, may_be_about_items, may_have_changed, number};

    #[test]
    fn errors_are_of_items_or_of_the_gateway() {
        let judged = |kind, status| {
            let error = Error::new(kind, "p", "o", "m").with_status(status);
            [is_about_items(&error), may_be_about_items(&error), may_have_changed(&error), is_outage(&error)]
        };
        assert_eq!(judged(ErrorKind::NotFound, 404), [true, true, true, false]);
        assert_eq!(judged(ErrorKind::InvalidConfig, 400), [true, true, true, false]);
        assert_eq!(judged(ErrorKind::AccessDenied, 403), [true, true, false, false]);
        assert_eq!(judged(ErrorKind::Malformed, 200), [false, false, false, false]);
        assert_eq!(judged(ErrorKind::Unavailable, 404), [true, true, true, false]);
        assert_eq!(judged(ErrorKind::Unavailable, 500), [false, true, true, true]);
        assert_eq!(judged(ErrorKind::Unavailable, 503), [false, false, false, true]);
        assert_eq!(judged(ErrorKind::InvalidConfig, 404), [false, false, false, true]);
        assert_eq!(judged(ErrorKind::Throttled, 429), [false, false, false, true]);
    }

    #[test]
    fn a_version_that_is_no_number_is_the_newest() {
        let parsed = |text: &str| number(Version::new(text).ok().as_ref());
        let others = ["latest", "", "3000000000", "-1", "1.5"];
        assert_eq!((parsed("7"), others.map(parsed)), (7, [0; 5]));
    }
}
