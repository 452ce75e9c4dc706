//! Listing items.

use std::collections::BTreeSet;

use keyferry_core::{Error, ErrorKind, Listed, Page, Query, Result};

use crate::{
    PROVIDER,
    client::{Client, Listing},
};

/// One page of what `query` asks for.
///
/// A tag in Akeyless is one word, so of [`Query::tags`] the values count. As other operators have it, one of them
/// suffices: the API filters by one tag at a time, so the pages are those of the first tag, then those of the second
/// without what has the first, and so on.
pub(crate) async fn list(client: &Client, query: &Query) -> Result<Page> {
    let folder = query.path.as_deref().map(folder);
    let tags: BTreeSet<&str> = query.tags.values().map(String::as_str).collect();
    let tags: Vec<&str> = tags.into_iter().collect();
    let at = Place::of(query.after.as_deref())?;
    let (earlier, tag) = match tags.split_at_checked(at.tag) {
        Some((earlier, rest)) => (earlier, rest.first().copied()),
        None => return Err(wrong_place()),
    };
    let listing = Listing { filter: folder.as_deref(), tag, after: at.page, with_tags: !tags.is_empty() };
    let listed = client.list(&listing).await.map_err(never_not_found)?;
    let more_tags = at.tag + 1 < tags.len();
    let next = match listed.next {
        Some(page) => Some(format!("{}:{page}", at.tag)),
        None => more_tags.then(|| format!("{}:", at.tag + 1)),
    };
    let items = listed
        .items
        .into_iter()
        // The API looks for the path anywhere in the name.
        .filter(|(name, _)| folder.as_deref().is_none_or(|folder| name.as_str().starts_with(folder)))
        .filter(|(_, tags)| !earlier.iter().any(|tag| tags.contains(*tag)))
        .map(|(name, tags)| (name, tags.into_iter().map(|tag| (tag, String::new())).collect()))
        .map(|(name, tags)| Listed { name, alias: None, tags })
        .collect();
    Ok(Page { items, next })
}

/// Whatever it is that a listing does not find: it says nothing of the items that were found before.
fn never_not_found(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound => Error { kind: ErrorKind::InvalidConfig, ..error },
        _ => error,
    }
}

/// `path` with a slash at both ends, as items below it begin.
fn folder(path: &str) -> String {
    match path.trim_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}/"),
    }
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place<'a> {
    /// The how manieth tag.
    tag: usize,
    page: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(after: Option<&'a str>) -> Result<Self> {
        let Some(after) = after else { return Ok(Self::default()) };
        let (tag, page) = after.split_once(':').ok_or_else(wrong_place)?;
        Ok(Self { tag: tag.parse().map_err(|_| wrong_place())?, page: Some(page).filter(|page| !page.is_empty()) })
    }
}

fn wrong_place() -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, "ListItems", "a listing cannot go on where it never was")
}

#[cfg(test)]
mod tests {
    use super::{Place, folder};

    #[test]
    fn a_folder_has_slashes_at_both_ends() {
        assert_eq!(["", "/", "a", "/a/b", "a/b/"].map(folder), ["/", "/", "/a/", "/a/b/", "/a/b/"]);
    }

    #[test]
    fn a_place_is_a_tag_and_a_page() {
        assert_eq!(Place::of(None).ok(), Some(Place { tag: 0, page: None }));
        assert_eq!(Place::of(Some("1:")).ok(), Some(Place { tag: 1, page: None }));
        assert_eq!(Place::of(Some("0:a:b")).ok(), Some(Place { tag: 0, page: Some("a:b") }));
        assert!(Place::of(Some("a:b")).is_err() && Place::of(Some("1")).is_err());
    }
}
