//! AWS Secrets Manager.
//!
//! The present values of up to twenty secrets come with one `BatchGetSecretValue`; other versions, and whatever the
//! batch leaves open, with `GetSecretValue`; tags with `DescribeSecret`.

mod batch;
mod listing;
mod one;
mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_secretsmanager::primitives::Blob;
use futures::{StreamExt, stream};
use keyferry_clouds::aws::failure::{Action, is_denied_by_aws, is_of_aws};
use keyferry_core::{Error, ErrorKind, Fetched, Locator, Page, Query, Result, SecretBytes, Version};

use self::wanted::Wanted;
use crate::{client::Client, denials::Denials, names::Names};

/// Secrets that one batch call answers.
pub(crate) const BATCH: usize = 20;
/// Calls for single secrets that are under way together.
const TOGETHER: usize = 5;

const BATCH_GET: Action = Action { service: "secretsmanager", name: "BatchGetSecretValue" };
const GET: Action = Action { service: "secretsmanager", name: "GetSecretValue" };
const DESCRIBE: Action = Action { service: "secretsmanager", name: "DescribeSecret" };
const LIST: Action = Action { service: "secretsmanager", name: "ListSecrets" };

/// Reads from Secrets Manager.
#[derive(Debug)]
pub(crate) struct SecretsManager {
    client: Arc<Client>,
    names: Names,
    denials: Denials,
}

type Answers = BTreeMap<Wanted, Result<Arc<Fetched>>>;

impl SecretsManager {
    pub(crate) fn new(client: Arc<Client>, names: Names) -> Self {
        Self { client, names, denials: Denials::default() }
    }

    pub(crate) async fn fetch(&self, at: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
        let wanted: Vec<_> = at.iter().map(|locator| self.wanted(locator)).collect();
        let distinct: BTreeSet<_> = wanted.iter().flatten().cloned().collect();
        let mut answers = self.in_batches(&distinct).await;
        let open: Vec<_> = distinct.into_iter().filter(|wanted| !answers.contains_key(wanted)).collect();
        let singly = stream::iter(open).map(|wanted| async move {
            let answer = self.one(&wanted).await.map(Arc::new);
            (wanted, answer)
        });
        answers.extend(singly.buffer_unordered(TOGETHER).collect::<Vec<_>>().await);
        wanted.into_iter().map(|wanted| wanted.and_then(|wanted| self.answer(&answers, &wanted))).collect()
    }

    pub(crate) async fn list(&self, query: &Query) -> Result<Page> {
        listing::list(&self.client, &self.names, query).await
    }

    /// Whether the service itself knows the login. That it may not list is no reason to doubt it.
    pub(crate) async fn probe(&self) -> Result<()> {
        let list = |clients: &crate::client::Clients| clients.secrets_manager.list_secrets().max_results(1).send();
        match self.client.call(LIST, "the list of secrets", list).await {
            Err(error) if !is_denied_by_aws(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn wanted(&self, locator: &Locator) -> Result<Wanted> {
        Wanted::new(self.names.resolve(&locator.name), locator)
            .map_err(|text| self.client.purpose(GET, "").error(ErrorKind::InvalidConfig, text))
    }

    fn answer(&self, answers: &Answers, wanted: &Wanted) -> Result<Arc<Fetched>> {
        let lacking = || self.client.purpose(GET, &wanted.about()).lacking("value");
        answers.get(wanted).cloned().unwrap_or_else(|| Err(lacking()))
    }
}

/// Whether the failure of a batch call says nothing about its items, so that each is worth a call of its own.
fn leaves_items_open(error: &Error) -> bool {
    match error.kind {
        ErrorKind::AccessDenied | ErrorKind::InvalidConfig => is_of_aws(error),
        // That one is not there must not be said of all.
        ErrorKind::NotFound | ErrorKind::Unsupported => true,
        ErrorKind::Malformed
        | ErrorKind::Throttled
        | ErrorKind::TimedOut
        | ErrorKind::Unauthenticated
        | ErrorKind::Unavailable => false,
    }
}

/// The value of a secret, in whichever of the two forms it has; `None` where it has neither.
fn value(string: Option<String>, binary: Option<Blob>, version: Option<String>) -> Option<Fetched> {
    let value = string.map(SecretBytes::from).or_else(|| binary.map(|blob| SecretBytes::new(blob.into_inner())))?;
    Some(Fetched::new(value, version.and_then(|version| Version::new(version).ok())))
}
