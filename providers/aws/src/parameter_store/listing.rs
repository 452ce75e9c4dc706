//! Which parameters there are.
//!
//! `DescribeParameters` tells names without values, and knows tags. It can only be allowed for all parameters, so that
//! logins that may see no more than a path use `GetParametersByPath`, whose values are dropped.

use aws_sdk_ssm::types::ParameterStringFilter;
use keyferry_clouds::aws::failure::{Purpose, is_denied_by_aws};
use keyferry_core::{ErrorKind, Listed, Page, Query, Result};

use super::{BY_PATH, DESCRIBE};
use crate::{
    client::{Client, Clients},
    denials::Denials,
    names::Names,
};

const ABOUT: &str = "the list of parameters";
/// Parameters on a page at most.
const PAGE: i32 = 50;
const PAGE_BY_PATH: i32 = 10;

/// One page of the parameters that match `query`.
pub(super) async fn list(client: &Client, names: &Names, denials: &Denials, query: &Query) -> Result<Page> {
    let listing = Listing { client, names, query };
    let after = query.after.as_deref();
    match after.and_then(|after| after.split_once(':')) {
        None if after.is_some() => {
            let text = "the place where the list goes on is not known; list it from the beginning";
            Err(client.purpose(DESCRIBE, ABOUT).error(ErrorKind::InvalidConfig, text))
        }
        Some((BY_PATH_MARK, token)) => listing.by_path(Some(token)).await,
        Some((_, token)) => listing.described(Some(token)).await,
        // Only `DescribeParameters` knows tags.
        None if query.tags.is_empty() && denials.has(DESCRIBE.name) => listing.by_path(None).await,
        None => match listing.described(None).await {
            Err(denied) if is_denied_by_aws(&denied) && query.tags.is_empty() => {
                denials.note(DESCRIBE.name);
                listing.by_path(None).await
            }
            answer => answer,
        },
    }
}

/// What a page's place begins with tells which operation goes on there.
const BY_PATH_MARK: &str = "path";
const DESCRIBE_MARK: &str = "described";

struct Listing<'a> {
    client: &'a Client,
    names: &'a Names,
    query: &'a Query,
}

impl Listing<'_> {
    async fn described(&self, after: Option<&str>) -> Result<Page> {
        let purpose = self.client.purpose(DESCRIBE, ABOUT);
        let filters = filters(self.query, purpose)?;
        let send = |clients: &Clients| {
            let request = clients.ssm.describe_parameters().max_results(PAGE);
            let request = request.set_parameter_filters((!filters.is_empty()).then(|| filters.clone()));
            request.set_next_token(after.map(Into::into)).send()
        };
        let page = self.client.call(DESCRIBE, ABOUT, send).await?;
        let parameters = page.parameters.ok_or_else(|| purpose.lacking("list"))?;
        self.page(purpose, parameters.into_iter().map(|parameter| parameter.name), DESCRIBE_MARK, page.next_token)
    }

    async fn by_path(&self, after: Option<&str>) -> Result<Page> {
        let purpose = self.client.purpose(BY_PATH, ABOUT);
        let path = hierarchy(self.query).unwrap_or("/");
        let send = |clients: &Clients| {
            let request = clients.ssm.get_parameters_by_path().path(path).recursive(true).with_decryption(false);
            request.max_results(PAGE_BY_PATH).set_next_token(after.map(Into::into)).send()
        };
        let page = self.client.call(BY_PATH, ABOUT, send).await?;
        let parameters = page.parameters.ok_or_else(|| purpose.lacking("list"))?;
        self.page(purpose, parameters.into_iter().map(|parameter| parameter.name), BY_PATH_MARK, page.next_token)
    }

    fn page(
        &self,
        purpose: Purpose<'_>,
        listed: impl Iterator<Item = Option<String>>,
        mark: &str,
        next: Option<String>,
    ) -> Result<Page> {
        let mut items = Vec::new();
        for name in listed {
            let name = name.ok_or_else(|| purpose.lacking("name"))?;
            if is_below(self.query.path.as_deref(), &name) {
                let name = self.names.listed(name).ok_or_else(|| purpose.lacking("name"))?;
                items.push(Listed { name, alias: None, tags: self.query.tags.clone() });
            }
        }
        let next = next.filter(|token| !token.is_empty()).map(|token| format!("{mark}:{token}"));
        Ok(Page { items, next })
    }
}

/// The path as AWS takes it, where it is one and narrows anything.
fn hierarchy(query: &Query) -> Option<&str> {
    let path = query.path.as_deref()?.trim_end_matches('/');
    path.starts_with('/').then_some(path)
}

/// Below a path is what its hierarchy holds; names that begin without a slash have no hierarchy, only a beginning.
fn is_below(path: Option<&str>, name: &str) -> bool {
    match path {
        None => true,
        Some(path) if path.starts_with('/') => {
            let path = path.trim_end_matches('/');
            path.is_empty() || name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        }
        Some(path) => name.starts_with(path),
    }
}

fn filters(query: &Query, purpose: Purpose<'_>) -> Result<Vec<ParameterStringFilter>> {
    let filter = |key: &str, option: &str, value: &str| {
        let built = ParameterStringFilter::builder().key(key).option(option).values(value).build();
        built.map_err(|_| purpose.error(ErrorKind::InvalidConfig, "the filter for the list of parameters has no key"))
    };
    let path = match (hierarchy(query), query.path.as_deref()) {
        (Some(path), _) => Some(filter("Path", "Recursive", path)),
        (None, Some(path)) if !path.is_empty() && !path.starts_with('/') => Some(filter("Name", "BeginsWith", path)),
        (None, _) => None,
    };
    let tags = query.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), "Equals", value));
    path.into_iter().chain(tags).collect()
}

#[cfg(test)]
mod tests {
    use keyferry_core::Query;

    use super::{Purpose, filters, is_below};

    fn sent(path: Option<&str>, tags: &[(&str, &str)]) -> Vec<(String, String, String)> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let query = Query { path: path.map(Into::into), tags, after: None };
        let purpose = Purpose { provider: "AWS/ParameterStore", action: super::DESCRIBE, about: super::ABOUT };
        let filters = filters(&query, purpose).expect("filters");
        let text = |filter: &aws_sdk_ssm::types::ParameterStringFilter| {
            (filter.key().to_owned(), filter.option().unwrap_or_default().to_owned(), filter.values().concat())
        };
        filters.iter().map(text).collect()
    }

    fn filter(key: &str, option: &str, value: &str) -> (String, String, String) {
        (key.into(), option.into(), value.into())
    }

    #[test]
    fn paths_and_tags_narrow_the_list() {
        assert_eq!(
            sent(Some("/team/"), &[("stage", "prod")]),
            [filter("Path", "Recursive", "/team"), filter("tag:stage", "Equals", "prod"),]
        );
        assert_eq!(sent(Some("team"), &[]), [filter("Name", "BeginsWith", "team")]);
        assert_eq!(sent(None, &[]), []);
    }

    #[test]
    fn the_root_narrows_nothing() {
        for path in ["/", "", "//"] {
            assert_eq!(sent(Some(path), &[]), [], "{path}");
            assert!(is_below(Some(path), "/team/db"), "{path}");
        }
        assert!(is_below(Some("/"), "db") && is_below(None, "db"));
    }

    #[test]
    fn below_a_path_is_not_beside_it() {
        assert!(is_below(Some("/team"), "/team/db") && is_below(Some("/team/"), "/team/a/b"));
        assert!(!is_below(Some("/team"), "/team-b/db") && !is_below(Some("/team"), "/team"));
        assert!(is_below(Some("te"), "team") && !is_below(Some("te"), "/team"));
    }
}
