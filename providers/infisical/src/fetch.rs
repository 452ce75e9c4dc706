//! Reading secrets: those of many folders by one listing of the whole scope, several of one folder by one listing of it,
//! others by name.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::{StreamExt, stream};
use keyferry_core::{Error, ErrorKind, Fetched, Locator, Result, Retry, Version, Want};

use crate::{
    PROVIDER,
    address::Address,
    client::{Client, Extent, GET, PARALLEL, Values},
    metadata,
    wire::{Entry, Found},
};

mod search;

/// One locator, understood.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Where it stood in the batch.
    index: usize,
    address: Address,
    /// It is known from a search only, which has found it among what the scope imports.
    imported: bool,
    version: Option<u64>,
    want: Want,
}

/// What other backends call the newest version. Infisical has no name for it.
const LATEST: &str = "latest";

/// An answer, and the place in the batch of what was asked.
pub(crate) type Answered = (usize, Result<Arc<Fetched>>);

impl Ask {
    /// Understands the locator at `index` of a batch, in a store whose folder is `scope`.
    pub(crate) fn parse(index: usize, locator: &Locator, scope: &str) -> Result<Self> {
        let wrong = |message| Error::new(ErrorKind::InvalidConfig, PROVIDER, GET, message);
        let Locator { name, version, want, .. } = locator;
        let address = Address::of(scope, name.as_str()).ok_or_else(|| {
            wrong(format!("the key {name} names no secret; the secret's name must follow its last slash"))
        })?;
        let version = version.as_ref().filter(|version| version.as_str() != LATEST).map(|version| {
            version.as_str().parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                wrong(format!(
                    "the version of the key {name} is neither {LATEST} nor a whole number from 1 on, which is how Infisical \
                     counts them"
                ))
            })
        });
        Ok(Self { index, address, imported: name.is_whole(), version: version.transpose()?, want: *want })
    }

    fn values(&self) -> Values {
        if self.want == Want::Value { Values::Shown } else { Values::Hidden }
    }
}

/// The answers to a batch.
pub(crate) async fn all(client: &Client, mut asks: Vec<Ask>) -> Vec<Answered> {
    let mut answers = Vec::new();
    if search::serves(client.scope(), &asks) {
        (answers, asks) = search::answers(client, asks).await;
    }
    let folders = stream::iter(by_folder(asks)).map(|(path, asks)| folder(client, path, asks));
    let answered: Vec<Vec<Answered>> = folders.buffer_unordered(PARALLEL).collect().await;
    answers.extend(answered.into_iter().flatten());
    answers
}

fn by_folder(asks: Vec<Ask>) -> BTreeMap<String, Vec<Ask>> {
    let mut folders: BTreeMap<String, Vec<Ask>> = BTreeMap::new();
    for ask in asks {
        folders.entry(ask.address.folder.clone()).or_default().push(ask);
    }
    folders
}

fn each(asks: Vec<Ask>, error: &Error) -> Vec<Answered> {
    asks.into_iter().map(|ask| (ask.index, Err(error.clone()))).collect()
}

/// Whether any of these wants values.
fn values(asks: &[Ask]) -> Values {
    if asks.iter().any(|ask| ask.want == Want::Value) { Values::Shown } else { Values::Hidden }
}

/// The answers to all that is asked of one folder.
async fn folder(client: &Client, folder: String, asks: Vec<Ask>) -> Vec<Answered> {
    let (newest, mut singles): (Vec<_>, Vec<_>) = asks.into_iter().partition(|ask| ask.version.is_none());
    let mut answers = Vec::new();
    if newest.len() > 1 {
        match listed(client, &folder, newest).await {
            Ok((found, absent)) => {
                answers = found;
                singles.extend(absent);
            }
            Err((error, asks)) => answers.extend(each(asks, &error)),
        }
    } else {
        singles.extend(newest);
    }
    answers.extend(by_name(client, singles).await);
    answers
}

/// What one listing of the folder answers, and what it does not. It leaves out what the identity may not see, so what
/// is absent may exist all the same.
async fn listed(client: &Client, folder: &str, asks: Vec<Ask>) -> Result<(Vec<Answered>, Vec<Ask>), (Error, Vec<Ask>)> {
    // Subfolders are left out whatever the scope says, because reading by name does not look into them either.
    let extent = Extent { imports: true, subfolders: false, values: values(&asks) };
    let found = match client.listing(folder, extent).await {
        Ok(listing) => listing.by_name(),
        Err(error) if concerns_neighbours(&error) => HashMap::new(),
        Err(error) => return Err((error, asks)),
    };
    let (mut answers, mut absent) = (Vec::new(), Vec::new());
    for ask in asks {
        match (found.get(&ask.address.name), ask.want) {
            (Some(Found::Own(entry)), _) | (Some(Found::Imported(entry)), Want::Value) => {
                answers.push((ask.index, fetched(entry, &ask)));
            }
            // Listings leave the tags of imported secrets out.
            (Some(Found::Imported(_)), Want::Metadata) | (None, _) => absent.push(ask),
        }
    }
    Ok((answers, absent))
}

/// Asks for each secret by its name. The first one goes ahead: when it finds out that the folder does not exist, or
/// that the server is out of order, the others need not be asked for.
async fn by_name(client: &Client, asks: Vec<Ask>) -> Vec<Answered> {
    let mut asks = asks.into_iter();
    let Some(first) = asks.next() else { return Vec::new() };
    let (answer, folder_wide) = one(client, &first).await;
    let mut answers = vec![(first.index, answer.clone())];
    if folder_wide {
        answers.extend(asks.map(|ask| (ask.index, answer.clone())));
        return answers;
    }
    let rest = stream::iter(asks).map(|ask| async move { (ask.index, one(client, &ask).await.0) });
    answers.extend(rest.buffer_unordered(PARALLEL).collect::<Vec<_>>().await);
    answers
}

/// One secret by its name, and whether its failure is that of the whole folder.
async fn one(client: &Client, ask: &Ask) -> (Result<Arc<Fetched>>, bool) {
    match client.secret(&ask.address, ask.version, ask.values()).await {
        Ok(entry) => (fetched(&entry, ask), false),
        Err(unread) => (Err(unread.error), unread.folder_wide),
    }
}

/// Whether the failure of a listing may be due to secrets of the folder that nobody asked for: one that the identity
/// may not read makes the server refuse the whole listing, and all together may be too long for one answer, which was
/// then not read to its end.
fn concerns_neighbours(error: &Error) -> bool {
    let too_long = error.kind == ErrorKind::Malformed && error.retry == Retry::Never && error.status.is_none();
    error.kind == ErrorKind::AccessDenied || too_long
}

/// The part of `entry` that was asked for.
fn fetched(entry: &Entry, ask: &Ask) -> Result<Arc<Fetched>> {
    let Address { folder, name } = &ask.address;
    let error = |kind, message| Error::new(kind, PROVIDER, GET, message);
    if ask.version.is_some_and(|asked| entry.version != Some(asked)) {
        let text = format!("the server answered with another version of the secret {name} in folder {folder}");
        return Err(error(ErrorKind::Malformed, text));
    }
    let value = match ask.want {
        Want::Metadata => metadata::object(entry),
        Want::Value if entry.secret_value_hidden => {
            let text = format!(
                "the machine identity may see that there is a secret {name} in folder {folder}, but not its value; grant \
                 it a role that may read values there"
            );
            return Err(error(ErrorKind::AccessDenied, text));
        }
        Want::Value => entry.secret_value.clone(),
    };
    let Some(value) = value else {
        let text = format!("the answer about the secret {name} in folder {folder} holds no value");
        return Err(error(ErrorKind::Malformed, text));
    };
    let version = entry.version.and_then(|number| Version::new(number.to_string()).ok());
    Ok(Arc::new(Fetched::new(value, version)))
}
