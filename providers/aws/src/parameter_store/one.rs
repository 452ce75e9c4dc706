//! One parameter at a time.

use aws_sdk_ssm::types::ResourceTypeForTagging;
use keyferry_clouds::aws::failure::is_denied_by_aws;
use keyferry_core::{Fetched, Result};

use super::{GET, GET_MANY, ParameterStore, TAGS, batch::parts, selector::Selector, value};
use crate::{client::Clients, names::tags_as_json};

impl ParameterStore {
    /// `GetParameter` and `GetParameters` are two permissions. Either is enough to read one parameter.
    pub(super) async fn one(&self, selector: &Selector) -> Result<Fetched> {
        match self.get(selector).await {
            Err(denied) if is_denied_by_aws(&denied) && !self.denials.has(GET_MANY.name) => {
                let got = self.get_many(&[selector]).await.ok();
                let answer = got.and_then(|got| self.part(&mut parts(got, &[selector]), selector));
                answer.unwrap_or(Err(denied))
            }
            answer => answer,
        }
    }

    async fn get(&self, selector: &Selector) -> Result<Fetched> {
        let text = selector.text();
        let about = format!("parameter {text}");
        let send = |clients: &Clients| clients.ssm.get_parameter().name(&text).with_decryption(true).send();
        let got = self.client.call(GET, &about, send).await?;
        got.parameter.and_then(value).ok_or_else(|| self.client.purpose(GET, &about).lacking("value"))
    }

    pub(super) async fn tags(&self, name: &str) -> Result<Fetched> {
        let about = format!("parameter {name}");
        let send = |clients: &Clients| {
            let request = clients.ssm.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter);
            request.resource_id(name).send()
        };
        let got = self.client.call(TAGS, &about, send).await?;
        let lacking = || self.client.purpose(TAGS, &about).lacking("list");
        let tags = got.tag_list.ok_or_else(lacking)?;
        let value = tags_as_json(tags.iter().map(|tag| (tag.key(), tag.value()))).ok_or_else(lacking)?;
        Ok(Fetched::new(value, None))
    }
}
