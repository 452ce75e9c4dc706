//! Short ways to ask a provider.

use std::sync::Arc;

use keyferry_core::{Error, Fetched, Locator, Provider, RemoteName, Result, Version, Want};
use tokio::time::Instant;

/// The newest version of `name`.
///
/// # Panics
/// Where no secret can have this name.
pub fn at(name: &str) -> Locator {
    Locator::latest(RemoteName::new(name).expect("a name"))
}

/// A version of `name`; the newest one, where no version can be called so.
pub fn version(name: &str, version: &str) -> Locator {
    Locator { version: Version::new(version).ok(), ..at(name) }
}

/// What is known of `name` beside its value.
pub fn metadata(name: &str) -> Locator {
    Locator { want: Want::Metadata, ..at(name) }
}

/// Asks for several things. There is one answer for each.
///
/// # Panics
/// Where there is not.
pub async fn fetch(provider: &dyn Provider, locators: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
    let answers = provider.fetch(locators, Instant::now()).await;
    assert_eq!(answers.len(), locators.len());
    answers
}

/// Asks for one thing.
pub async fn fetch_one(provider: &dyn Provider, locator: Locator) -> Result<Arc<Fetched>> {
    fetch(provider, &[locator]).await.remove(0)
}

/// The newest value of `name`.
///
/// # Panics
/// Where there is none, or no text.
pub async fn value(provider: &dyn Provider, name: &str) -> String {
    text(&fetch_one(provider, at(name)).await)
}

/// Why `name` has no value.
///
/// # Panics
/// Where it has one.
pub async fn refused(provider: &dyn Provider, name: &str) -> Error {
    fetch_one(provider, at(name)).await.expect_err("no value")
}

/// The value of an answer.
///
/// # Panics
/// Where there is none, or no text.
pub fn text(answer: &Result<Arc<Fetched>>) -> String {
    answer.as_ref().expect("a value").value.expose_str().expect("text").to_owned()
}
