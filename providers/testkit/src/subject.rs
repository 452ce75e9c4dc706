//! What the conformance suite needs to know of a backend, and be able to do to it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Provider, Query, RemoteName, SecretBytes, Version};

/// Whether something can be done to a backend.
pub type Able<T = ()> = Result<T, Cannot>;

/// It cannot, and why: a fact about the backend (`values are text`), or about its test (`no way to deny a key`). The
/// cases that need it are skipped, and the report says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cannot(pub &'static str);

/// A secret that was stored for a test.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What [`Provider::fetch`] must answer: the value itself, or what it looks like in a backend that holds maps.
    pub reads_as: SecretBytes,
    /// How to ask for this version, where the backend has versions.
    pub version: Option<Version>,
}

/// What goes wrong with every request to the backend, logins perhaps excepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer, and the connection stays open.
    BlackHole,
    /// Success, with nothing in it.
    EmptyAnswer,
    /// Success, but the answer breaks off in the middle.
    HalfAnswer,
    /// HTTP 500, or what the protocol has in its place.
    ServerError,
    /// HTTP 429, or what the protocol has in its place, with the wish to be left alone for a while.
    Throttled {
        /// How long; whole seconds.
        after: Duration,
    },
}

/// A backend under test: a real server, a faithful fake or a scripted one, and a provider that uses it.
///
/// Everything that has a default body is something that not every backend has or not every test can do; a test
/// overrides what it can.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The provider under test. It is asked for before every call, and is mostly the same.
    fn provider(&self) -> Arc<dyn Provider>;

    /// How the backend spells the name of the secret that the suite calls `label`: lower-case ASCII letters, digits
    /// and hyphens, beginning with a letter.
    fn name(&self, label: &str) -> RemoteName;

    /// Stores a value, as a new version where the name is there already.
    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored>;

    /// Stores a JSON object, as the secret that users select properties from.
    async fn put_object(&self, name: &RemoteName, json: &str) -> Able<Stored> {
        self.put(name, json.as_bytes()).await
    }

    /// Removes the secret altogether.
    async fn delete(&self, _name: &RemoteName) -> Able {
        Err(Cannot("the test cannot delete"))
    }

    /// From now on the login may not read this secret.
    async fn deny(&self, _name: &RemoteName) -> Able {
        Err(Cannot("the test cannot deny access"))
    }

    /// Gives the secret these tags, labels or custom metadata, and no others.
    async fn tag(&self, _name: &RemoteName, _tags: &BTreeMap<String, String>) -> Able {
        Err(Cannot("the test cannot set tags"))
    }

    /// A path and the name of a secret below it, where nothing else is.
    fn nested(&self, _label: &str) -> Able<(String, RemoteName)> {
        Err(Cannot("the test names no path"))
    }

    /// A version that no secret has, well-formed.
    fn absent_version(&self) -> Option<Version> {
        None
    }

    /// What narrows a listing to the secrets of this run, where the backend holds others.
    fn query(&self) -> Query {
        Query::default()
    }

    /// From now on requests meet this fault.
    async fn break_with(&self, _fault: Fault) -> Able {
        Err(Cannot("the test cannot cause faults"))
    }

    /// From now on requests are answered.
    async fn mend(&self) {}

    /// The present login ends now; the next one is accepted.
    async fn expire_login(&self) -> Able {
        Err(Cannot("the test cannot end a login"))
    }

    /// The present login ends now, and no other is accepted. The suite does this last.
    async fn refuse_login(&self) -> Able {
        Err(Cannot("the test cannot refuse a login"))
    }

    /// Logins so far.
    fn logins(&self) -> Option<usize> {
        None
    }

    /// Requests for secrets so far, logins and listings not counted.
    fn reads(&self) -> Option<usize> {
        None
    }

    /// What the provider logs in with: it must not show anywhere either.
    fn credentials(&self) -> Vec<SecretBytes> {
        Vec::new()
    }

    /// How many secrets a long listing has.
    fn many(&self) -> usize {
        1001
    }

    /// How long to look at a black hole. A backend has no time limit of its own, so this is how long the case takes.
    fn patience(&self) -> Duration {
        Duration::from_millis(300)
    }
}
