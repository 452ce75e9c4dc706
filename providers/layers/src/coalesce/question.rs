//! What callers ask for: values by locators, and pages of names by queries.

use std::{fmt::Debug, hash::Hash, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{Capabilities, Fetched, Listed, Locator, Page, Provider, Query, Result};
use tokio::time::Instant;

use crate::Operation;

/// Two equal questions to one provider have the same answer, unless what they ask for has changed meanwhile.
#[async_trait]
pub(super) trait Question: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    type Answer: Clone + Debug + Send + Sync + 'static;

    const OPERATION: Operation;

    /// How many of them one call answers.
    fn batch(capabilities: Capabilities) -> usize;

    /// How many bytes of memory an answer takes, roughly.
    fn size(answer: &Self::Answer) -> usize;

    /// Asks the provider.
    async fn put(questions: &[Self], to: &dyn Provider, since: Instant) -> Vec<Result<Self::Answer>>;
}

#[async_trait]
impl Question for Locator {
    type Answer = Arc<Fetched>;

    const OPERATION: Operation = Operation::Fetch;

    fn batch(capabilities: Capabilities) -> usize {
        capabilities.batch.get()
    }

    fn size(answer: &Arc<Fetched>) -> usize {
        answer.value.len()
    }

    async fn put(questions: &[Self], to: &dyn Provider, since: Instant) -> Vec<Result<Arc<Fetched>>> {
        to.fetch(questions, since).await
    }
}

#[async_trait]
impl Question for Query {
    type Answer = Arc<Page>;

    const OPERATION: Operation = Operation::List;

    fn batch(_: Capabilities) -> usize {
        1
    }

    fn size(answer: &Arc<Page>) -> usize {
        let of = |item: &Listed| {
            let tags = item.tags.iter().map(|(key, value)| key.len() + value.len());
            size_of::<Listed>() + item.name.as_str().len() + item.known_as().len() + tags.sum::<usize>()
        };
        answer.items.iter().map(of).sum()
    }

    async fn put(questions: &[Self], to: &dyn Provider, since: Instant) -> Vec<Result<Arc<Page>>> {
        let mut answers = Vec::with_capacity(questions.len());
        for query in questions {
            answers.push(to.list(query, since).await);
        }
        answers
    }
}
