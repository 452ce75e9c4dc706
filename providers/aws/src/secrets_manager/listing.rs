//! Which secrets there are.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use keyferry_core::{Listed, Page, Query, Result};

use super::LIST;
use crate::{
    client::{Client, Clients},
    names::Names,
};

const ABOUT: &str = "the list of secrets";
/// Secrets on a page at most.
const PAGE: i32 = 100;
/// Filters in a request at most.
const FILTERS: usize = 10;

/// One page of the secrets that match `query`. AWS's filters only make the list shorter: it compares beginnings, and
/// keys of tags apart from their values.
pub(super) async fn list(client: &Client, names: &Names, query: &Query) -> Result<Page> {
    let filters = filters(query);
    let send = |clients: &Clients| {
        let request = clients.secrets_manager.list_secrets().max_results(PAGE);
        let request = request.set_filters((!filters.is_empty()).then(|| filters.clone()));
        request.set_next_token(query.after.clone()).send()
    };
    let page = client.call(LIST, ABOUT, send).await?;
    let lacking = |what| client.purpose(LIST, ABOUT).lacking(what);
    let mut items = Vec::new();
    for entry in page.secret_list.ok_or_else(|| lacking("list"))? {
        let tags = tags(&entry);
        let name = entry.name.ok_or_else(|| lacking("name"))?;
        if entry.deleted_date.is_none() && matches(query, &name, &tags) {
            let name = names.listed(name).ok_or_else(|| lacking("name"))?;
            items.push(Listed { name, alias: None, tags });
        }
    }
    Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
}

fn tags(entry: &SecretListEntry) -> BTreeMap<String, String> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    entry.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect()
}

fn matches(query: &Query, name: &str, tags: &BTreeMap<String, String>) -> bool {
    query.path.as_ref().is_none_or(|path| name.starts_with(path))
        && query.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
}

fn filters(query: &Query) -> Vec<Filter> {
    let filter = |key, value: &str| is_filter(value).then(|| Filter::builder().key(key).values(value).build());
    let path = query.path.iter().filter_map(|path| filter(FilterNameStringType::Name, path));
    let tags = query.tags.iter().flat_map(|(key, value)| {
        [filter(FilterNameStringType::TagKey, key), filter(FilterNameStringType::TagValue, value)]
    });
    path.chain(tags.flatten()).take(FILTERS).collect()
}

/// Whether AWS takes this as the value of a filter, and as what it is: `!` at the beginning would negate it.
fn is_filter(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" :_@/+=.-!".contains(&byte);
    (1..=512).contains(&value.len()) && !value.starts_with('!') && value.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyferry_core::Query;

    use super::{FILTERS, filters, matches};

    fn query(path: Option<&str>, tags: &[(&str, &str)]) -> Query {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Query { path: path.map(Into::into), tags, after: None }
    }

    #[test]
    fn aws_narrows_by_what_it_can_compare() {
        let sent = |query: &Query| -> Vec<_> {
            let text = |filter: &aws_sdk_secretsmanager::types::Filter| {
                (filter.key().map(|key| key.as_str().to_owned()).unwrap_or_default(), filter.values().to_vec())
            };
            filters(query).iter().map(text).collect()
        };
        let filter = |key: &str, value: &str| (key.to_owned(), vec![value.to_owned()]);
        let both = query(Some("team/"), &[("stage", "prod")]);
        assert_eq!(sent(&both), [filter("name", "team/"), filter("tag-key", "stage"), filter("tag-value", "prod")]);
        assert_eq!(sent(&query(None, &[("stage", "!prod")])), [filter("tag-key", "stage")]);
        assert_eq!(sent(&query(Some("tea\u{e4}m"), &[("", "")])), []);
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|key| (key, "x")).into();
        assert_eq!(sent(&query(None, &many)).len(), FILTERS);
    }

    #[test]
    fn what_aws_lists_is_compared_exactly() {
        let tags = BTreeMap::from([("stage".to_owned(), "production".to_owned())]);
        assert!(matches(&query(Some("team/"), &[("stage", "production")]), "team/db", &tags));
        assert!(!matches(&query(Some("team/"), &[]), "Team/db", &tags));
        assert!(!matches(&query(None, &[("stage", "prod")]), "team/db", &tags));
        assert!(!matches(&query(None, &[("missing", "x")]), "team/db", &tags));
    }
}
