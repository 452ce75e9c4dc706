//! Reading: values, versions, metadata, several at once.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Locator, Want, canonical_object};

use super::bench::{Bench, Stop, Verdict, expect_kind, expect_value, fail, needs, value};

pub(super) async fn get(bench: &Bench<'_>) -> Verdict {
    let (name, stored) = bench.put_any("get").await?;
    bench.reads(&name, &stored).await
}

pub(super) async fn unicode(bench: &Bench<'_>) -> Verdict {
    let (name, stored) = bench.put("unicode", "prüfung — 秘密 — 🔑 — \u{1F469}\u{200D}\u{1F52C}\n".as_bytes()).await?;
    bench.reads(&name, &stored).await
}

pub(super) async fn binary(bench: &Bench<'_>) -> Verdict {
    let bytes: Vec<u8> = (0..=255).rev().collect();
    let (name, stored) = bench.put("binary", &bytes).await?;
    bench.reads(&name, &stored).await
}

pub(super) async fn large(bench: &Bench<'_>) -> Verdict {
    let text = value("large").repeat(2048);
    let (name, stored) = bench.put("large", &text.as_bytes()[..64 * 1024]).await?;
    bench.reads(&name, &stored).await
}

/// The operator selects properties. What it needs for that is the document as it was stored, with all digits of numbers
/// that no floating point holds.
pub(super) async fn property(bench: &Bench<'_>) -> Verdict {
    const PORT: &str = "9007199254740993";
    if bench.can.properties {
        return Err(Stop::Skip("the backend selects them by the store's own rules".into()));
    }
    let member = value("property");
    let json = format!(r#"{{"port": {PORT}, "user": {{"name": "{member}"}}}}"#);
    let (name, stored) = bench.put_object("property", &member, &json).await?;
    let answer = bench.fetch_one(Locator::latest(name)).await?;
    expect_value(&answer, &stored)?;
    let fetched = answer.ok().and_then(|fetched| fetched.value.expose_str().map(|text| text.contains(PORT)));
    if fetched == Some(true) { Ok(()) } else { fail("a number has lost digits") }
}

pub(super) async fn missing(bench: &Bench<'_>) -> Verdict {
    let at = Locator::latest(bench.subject.name("missing"));
    expect_kind(&bench.fetch_one(at).await?, &[ErrorKind::NotFound])
}

pub(super) async fn deleted(bench: &Bench<'_>) -> Verdict {
    let (name, stored) = bench.put_any("deleted").await?;
    bench.reads(&name, &stored).await?;
    bench.subject.delete(&name).await?;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    expect_kind(&bench.fetch_one(Locator::latest(name)).await?, &[ErrorKind::NotFound])
}

pub(super) async fn denied(bench: &Bench<'_>) -> Verdict {
    let (name, _) = bench.put_any("denied").await?;
    bench.subject.deny(&name).await?;
    expect_kind(&bench.fetch_one(Locator::latest(name)).await?, &[ErrorKind::AccessDenied])
}

pub(super) async fn rotation(bench: &Bench<'_>) -> Verdict {
    let (name, old) = bench.put_any("rotation").await?;
    bench.reads(&name, &old).await?;
    let new = bench.put_at(&name, value("rotated").as_bytes()).await?;
    bench.reads(&name, &new).await
}

pub(super) async fn version(bench: &Bench<'_>) -> Verdict {
    needs(bench.can.versions, "versions")?;
    let (name, old) = bench.put_any("version").await?;
    let new = bench.put_at(&name, value("version-two").as_bytes()).await?;
    for stored in [&old, &new] {
        let version = stored.version.clone();
        if version.is_none() {
            return Err(Stop::Skip("the test does not say how to ask for a version".into()));
        }
        expect_value(&bench.fetch_one(Locator { version, ..Locator::latest(name.clone()) }).await?, stored)?;
    }
    bench.reads(&name, &new).await
}

pub(super) async fn absent_version(bench: &Bench<'_>) -> Verdict {
    needs(bench.can.versions, "versions")?;
    let version = bench.subject.absent_version();
    if version.is_none() {
        return Err(Stop::Skip("the test names no version that is not there".into()));
    }
    let (name, _) = bench.put_any("absent-version").await?;
    let at = Locator { version, ..Locator::latest(name) };
    expect_kind(&bench.fetch_one(at).await?, &[ErrorKind::NotFound])
}

pub(super) async fn metadata(bench: &Bench<'_>) -> Verdict {
    needs(bench.can.metadata, "metadata")?;
    let (name, _) = bench.put_any("metadata").await?;
    let tags = BTreeMap::from([("team".to_owned(), "platform-nine".to_owned())]);
    bench.subject.tag(&name, &tags).await?;
    let at = Locator { want: Want::Metadata, ..Locator::latest(name) };
    let fetched = match bench.fetch_one(at).await? {
        Ok(fetched) => fetched,
        Err(error) => return fail(format!("no metadata: {error:?}")),
    };
    if canonical_object(fetched.value.expose()).is_err() {
        return fail("the metadata are not a JSON object");
    }
    // Where in the object they stand is the vendor's way.
    let text = fetched.value.expose_str().unwrap_or_default();
    if text.contains("platform-nine") { Ok(()) } else { fail("the metadata lack a tag") }
}

/// One more than two native calls answer, with one in the middle that is not there, in an order that no backend keeps
/// by itself.
pub(super) async fn batch(bench: &Bench<'_>) -> Verdict {
    let size = bench.can.batch.get();
    let count = 2 * size.min(20) + 1;
    let mut stored = Vec::new();
    for number in 0..count {
        stored.push(bench.put_any(&format!("batch-{number}")).await?);
    }
    stored.reverse();
    let mut at: Vec<_> = stored.iter().map(|(name, _)| Locator::latest(name.clone())).collect();
    let middle = count / 2;
    at.insert(middle, Locator::latest(bench.subject.name("batch-missing")));
    let before = bench.subject.reads();
    let mut answers = bench.fetch(&at).await?;
    expect_kind(&answers.remove(middle), &[ErrorKind::NotFound])?;
    for (answer, (name, stored)) in answers.iter().zip(&stored) {
        expect_value(answer, stored).map_err(|stop| match stop {
            Stop::Fail(how) => Stop::Fail(format!("{name}: {how}")),
            skip @ Stop::Skip(_) => skip,
        })?;
    }
    match (before, bench.subject.reads()) {
        // One more may have to ask about the missing one.
        (Some(before), Some(after)) if size > 1 && after - before > at.len().div_ceil(size) + 1 => {
            fail(format!("{} calls for {} keys, though one call can answer {size}", after - before, at.len()))
        }
        _ => Ok(()),
    }
}
