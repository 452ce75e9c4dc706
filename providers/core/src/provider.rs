//! The trait that every backend and every layer implements.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    num::NonZeroUsize,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{Locator, RemoteName, Result, SecretBytes, Version};

/// Read access to one backend with one login.
///
/// There are no default bodies: a layer that forgot to pass a method on would otherwise bypass itself silently.
#[async_trait]
pub trait Provider: Debug + Send + Sync + 'static {
    /// The backend's name as metrics and messages show it, for example `HashiCorp/Vault`.
    fn name(&self) -> &'static str;

    /// What the backend can do, so that callers ask for nothing else.
    fn capabilities(&self) -> Capabilities;

    /// Whether the login works. Reads no secret value.
    async fn check(&self) -> Result<()>;

    /// Reads each locator, with as few calls as the backend's protocol allows. The answers stand in the order of
    /// `at`, one for each, and one bad locator leaves the others untouched.
    ///
    /// `since` bounds how old an answer may be: it must come from a call that began at that instant or later. Backends
    /// always call, so they fulfil any bound; layers that share answers must heed it.
    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>>;

    /// One page of the names that match `query`, from a call that began at `since` or later, as with
    /// [`Provider::fetch`].
    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>>;

    /// Gives the login back: what the backend has issued for it is revoked, where its protocol can. Whoever calls
    /// afterwards logs in anew. Nobody hears of a failure: what cannot be revoked ends by itself, only later.
    async fn close(&self);
}

/// What a backend can do.
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact about a vendor's API")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How many locators one native call answers; 1 where there is no batch call.
    pub batch: NonZeroUsize,
    /// [`Query::path`] narrows a listing.
    pub find_by_path: bool,
    /// [`Query::tags`] narrows a listing.
    pub find_by_tags: bool,
    /// [`Provider::list`] works at all.
    pub list: bool,
    /// [`crate::Want::Metadata`] is answered.
    pub metadata: bool,
    /// [`Locator::property`] is heeded: what is answered is the property already, and the caller selects nothing.
    pub properties: bool,
    /// [`Locator::version`] is heeded.
    pub versions: bool,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes, exactly as the backend holds them; a secret that is natively a map is its canonical JSON object
    /// (see [`crate::canonical_object`]), because a map of strings would lose the types of its values.
    pub value: SecretBytes,
    /// The version that was read, where the backend says so.
    pub version: Option<Version>,
    /// Members of the JSON object in `value` whose bytes are not text. JSON has no place for such bytes, so they stand
    /// there in Base64 (standard alphabet, padded); whoever takes one of them out of the object decodes it.
    pub base64: BTreeSet<String>,
    /// What can be taken out of `value`.
    pub parts: Parts,
}

impl Fetched {
    /// An answer whose value stands there as the backend holds it.
    pub fn new(value: SecretBytes, version: Option<Version>) -> Self {
        Self { value, version, base64: BTreeSet::new(), parts: Parts::Members }
    }
}

/// What can be taken out of an answer, besides all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Members of its JSON: one as a property, all as the keys of a map.
    Members,
    /// One member of its JSON as a property. It is no map.
    Properties,
    /// As [`Parts::Members`], but they are the tags of the secret that is called so. In a map, its name stands before
    /// theirs.
    Tags(Arc<str>),
    /// Nothing: it is no JSON, a property makes no difference, and it is no map.
    Whole,
}

/// Which names to list. Empty fields do not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// Only names below this path.
    pub path: Option<String>,
    /// Only secrets that carry all these tags.
    pub tags: BTreeMap<String, String>,
    /// Where to go on: [`Page::next`] of the page before.
    pub after: Option<String>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The secrets on this page.
    pub items: Vec<Listed>,
    /// How to ask for the next page; `None` on the last.
    pub next: Option<String>,
}

/// One secret in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, as [`Locator::name`] takes it.
    pub name: RemoteName,
    /// What a search knows it by, where that is not its name but, say, the last part of it.
    pub alias: Option<Arc<str>>,
    /// Its tags, where the listing holds them.
    pub tags: BTreeMap<String, String>,
}

impl Listed {
    /// What a pattern is matched against, and what becomes the key of the target. Of several secrets of a listing that
    /// are known by the same, the one that stands last counts.
    pub fn known_as(&self) -> &str {
        self.alias.as_deref().unwrap_or(self.name.as_str())
    }
}
