//! One secret at a time.

use keyferry_core::{ErrorKind, Fetched, Result};

use super::{
    DESCRIBE, GET, SecretsManager, value,
    wanted::{Wanted, Which},
};
use crate::{client::Clients, names::tags_as_json};

impl SecretsManager {
    pub(super) async fn one(&self, wanted: &Wanted) -> Result<Fetched> {
        match wanted {
            Wanted::Current(id) => self.get(wanted, id, None).await,
            Wanted::Tags(id) => self.tags(wanted, id).await,
            Wanted::Version(id, which) => self.get(wanted, id, Some(which)).await,
        }
    }

    async fn get(&self, wanted: &Wanted, id: &str, which: Option<&Which>) -> Result<Fetched> {
        let about = wanted.about();
        let send = |clients: &Clients| {
            let request = clients.secrets_manager.get_secret_value().secret_id(id);
            match which {
                None => request,
                Some(Which::Id(version)) => request.version_id(version),
                Some(Which::Stage(stage)) => request.version_stage(stage),
            }
            .send()
        };
        let got = self.client.call(GET, &about, send).await?;
        let lacking = || self.client.purpose(GET, &about).lacking("value");
        value(got.secret_string, got.secret_binary, got.version_id).ok_or_else(lacking)
    }

    async fn tags(&self, wanted: &Wanted, id: &str) -> Result<Fetched> {
        let about = wanted.about();
        let send = |clients: &Clients| clients.secrets_manager.describe_secret().secret_id(id).send();
        let got = self.client.call(DESCRIBE, &about, send).await?;
        let purpose = self.client.purpose(DESCRIBE, &about);
        if got.arn.is_none() {
            return Err(purpose.lacking("secret"));
        }
        // Unlike its value, the description of a deleted secret can be had until it is gone.
        if got.deleted_date.is_some() {
            return Err(purpose.error(ErrorKind::NotFound, format!("secret {id} is marked for deletion")));
        }
        let tags = got.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
        let value = tags_as_json(tags).ok_or_else(|| purpose.lacking("tags"))?;
        Ok(Fetched::new(value, None))
    }
}
