//! Parameter Store of AWS Systems Manager.
//!
//! Values of up to ten parameters come with one `GetParameters`, which AWS denies as a whole when it denies one of
//! them; then each is asked for with `GetParameter`. Tags come with `ListTagsForResource`.

mod batch;
mod listing;
mod one;
mod selector;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_ssm::types::Parameter;
use futures::{StreamExt, stream};
use keyferry_clouds::aws::failure::{Action, is_denied_by_aws};
use keyferry_core::{Fetched, Locator, Page, Query, Result, SecretBytes, Version, Want};

use self::selector::Selector;
use crate::{
    client::{Client, Clients},
    denials::Denials,
    names::Names,
};

/// Parameters that one batch call answers.
pub(crate) const BATCH: usize = 10;
/// Calls for single parameters that are under way together.
const TOGETHER: usize = 5;

const GET_MANY: Action = Action { service: "ssm", name: "GetParameters" };
const GET: Action = Action { service: "ssm", name: "GetParameter" };
const TAGS: Action = Action { service: "ssm", name: "ListTagsForResource" };
const DESCRIBE: Action = Action { service: "ssm", name: "DescribeParameters" };
const BY_PATH: Action = Action { service: "ssm", name: "GetParametersByPath" };

/// Reads from Parameter Store.
#[derive(Debug)]
pub(crate) struct ParameterStore {
    client: Arc<Client>,
    names: Names,
    denials: Denials,
}

/// One answer that AWS is to give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Tags(String),
    Value(Selector),
}

type Answers = BTreeMap<Wanted, Result<Arc<Fetched>>>;

impl ParameterStore {
    pub(crate) fn new(client: Arc<Client>, names: Names) -> Self {
        Self { client, names, denials: Denials::default() }
    }

    pub(crate) async fn fetch(&self, at: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
        let wanted: Vec<_> = at.iter().map(|locator| self.wanted(locator)).collect();
        let distinct: BTreeSet<_> = wanted.iter().cloned().collect();
        let mut answers = self.in_batches(&distinct).await;
        answers
            .extend(self.singly(distinct.into_iter().filter(|wanted| !answers.contains_key(wanted)).collect()).await);
        wanted.iter().map(|wanted| self.answer(&answers, wanted)).collect()
    }

    pub(crate) async fn list(&self, query: &Query) -> Result<Page> {
        listing::list(&self.client, &self.names, &self.denials, query).await
    }

    /// Whether the service itself knows the login. That it may not list is no reason to doubt it.
    pub(crate) async fn probe(&self) -> Result<()> {
        let list = |clients: &Clients| clients.ssm.describe_parameters().max_results(1).send();
        match self.client.call(DESCRIBE, "the list of parameters", list).await {
            Err(error) if !is_denied_by_aws(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn wanted(&self, locator: &Locator) -> Wanted {
        let name = self.names.resolve(&locator.name);
        match locator.want {
            Want::Metadata => Wanted::Tags(name),
            Want::Value => Wanted::Value(Selector::new(&name, locator.version.as_ref().map(Version::as_str))),
        }
    }

    async fn singly(&self, wanted: Vec<Wanted>) -> Answers {
        let answers = stream::iter(wanted).map(|wanted| async move {
            let answer = match &wanted {
                Wanted::Tags(name) => self.tags(name).await,
                Wanted::Value(selector) => self.one(selector).await,
            };
            (wanted, answer.map(Arc::new))
        });
        answers.buffer_unordered(TOGETHER).collect().await
    }

    fn answer(&self, answers: &Answers, wanted: &Wanted) -> Result<Arc<Fetched>> {
        let lacking = || self.client.purpose(GET, "parameter").lacking("value");
        answers.get(wanted).cloned().unwrap_or_else(|| Err(lacking()))
    }
}

/// The value of a parameter; `None` where the answer holds none.
fn value(parameter: Parameter) -> Option<Fetched> {
    let version = Version::new(parameter.version.to_string()).ok().filter(|_| parameter.version > 0);
    Some(Fetched::new(SecretBytes::from(parameter.value?), version))
}
