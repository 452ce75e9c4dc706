//! Listings.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};
use keyferry_core::{Locator, Page, Query, RemoteName};

use super::bench::{Bench, Stop, Verdict, fail, needs, value};

/// How many are stored at the same time.
const AT_ONCE: usize = 16;

/// A long listing holds each name once, spelt as it is read.
pub(super) async fn pages(bench: &Bench<'_>) -> Verdict {
    needs(bench.can.list, "listing")?;
    let many = bench.subject.many();
    let stored: BTreeSet<RemoteName> = stream::iter(0..many)
        .map(|number| async move { bench.put(&format!("list-{number:05}"), value("list").as_bytes()).await })
        .buffer_unordered(AT_ONCE)
        .map_ok(|(name, _)| name)
        .try_collect()
        .await?;
    let listed = names(&bench.list(bench.subject.query()).await?);
    let distinct: BTreeSet<_> = listed.iter().cloned().collect();
    if distinct.len() < listed.len() {
        return fail(format!("{} names stand in the listing twice", listed.len() - distinct.len()));
    }
    let absent = stored.difference(&distinct).count();
    if absent > 0 {
        return fail(format!("{absent} of {many} names are not in the listing"));
    }
    if let Some(name) = stored.last() {
        let answer = bench.fetch_one(Locator::latest(name.clone())).await?;
        answer.map_err(|error| Stop::Fail(format!("a name from the listing cannot be read: {error:?}")))?;
    }
    Ok(())
}

pub(super) async fn by_path(bench: &Bench<'_>) -> Verdict {
    needs(bench.can.find_by_path, "find by path")?;
    let (path, inside) = bench.subject.nested("below-a-path")?;
    bench.put_at(&inside, value("below-a-path").as_bytes()).await?;
    bench.put_any("beside-a-path").await?;
    let listed = bench.list(Query { path: Some(path), ..Query::default() }).await?;
    expect_only(&listed, &inside)
}

pub(super) async fn by_tags(bench: &Bench<'_>) -> Verdict {
    needs(bench.can.find_by_tags, "find by tags")?;
    let team = |team: &str| BTreeMap::from([("conformance".to_owned(), team.to_owned())]);
    let (wanted, _) = bench.put_any("tagged").await?;
    let (other, _) = bench.put_any("tagged-otherwise").await?;
    bench.put_any("untagged").await?;
    bench.subject.tag(&wanted, &team("red")).await?;
    bench.subject.tag(&other, &team("blue")).await?;
    let listed = bench.list(bench.tagged(&team("red"))).await?;
    expect_only(&listed, &wanted)
}

fn names(pages: &[Arc<Page>]) -> Vec<RemoteName> {
    pages.iter().flat_map(|page| &page.items).map(|item| item.name.clone()).collect()
}

fn expect_only(pages: &[Arc<Page>], wanted: &RemoteName) -> Verdict {
    match names(pages).as_slice() {
        [only] if only == wanted => Ok(()),
        [] => fail("the listing is empty"),
        listed => fail(format!("the listing holds {} names, not just {wanted}", listed.len())),
    }
}
