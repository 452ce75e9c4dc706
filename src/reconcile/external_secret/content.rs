//! From what the backends answered to the content of the target. Pure.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{Error, ErrorKind, Fetched, Parts, SecretBytes};

use super::{
    plan::Remote,
    sync::{Deletion, Read, Reference, Source, ValidSync},
};
use crate::{
    render::{self, Conversion},
    trouble::Trouble,
};

/// One source's answer.
pub(crate) type Answer = Result<Answered, Error>;

/// What a backend answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Every secret that was found, by what it is known as.
    Many(BTreeMap<Arc<str>, Arc<Fetched>>),
    One(Arc<Fetched>),
    /// One value of which the backend has selected the property itself.
    Selected(Arc<Fetched>),
}

/// What the answers come to.
#[derive(Debug, PartialEq)]
pub(crate) struct Assembled {
    pub(crate) remote: Remote,
    /// Fields whose secret the backend positively does not have, where the deletion policy lets them go.
    pub(crate) missing: Vec<String>,
}

/// Puts the answers, one for each source and in their order, together. The first source that failed is the trouble;
/// nothing of the others is used then, because half a Secret is worse than yesterday's.
pub(crate) fn assemble(want: &ValidSync, answers: Vec<Answer>) -> Result<Assembled, Trouble> {
    let mut content = BTreeMap::new();
    let mut missing = Vec::new();
    for (source, answer) in want.sources.iter().zip(answers) {
        match answer {
            Ok(answered) => content.extend(keys_of(source, &answered)?),
            Err(error) if error.kind == ErrorKind::NotFound && want.target.deletion == Deletion::Delete => {
                missing.push(place(source));
            }
            Err(error) => return Err(Trouble::of_backend(&place(source), &error)),
        }
    }
    let size: usize = content.iter().map(|(key, value): (&String, &SecretBytes)| key.len() + value.len()).sum();
    if size > LARGEST {
        let text =
            format!("the target would hold {size} bytes and a Secret holds at most {LARGEST}; select properties");
        return Err(Trouble::lasting("TooLarge", text));
    }
    let remote = if !content.is_empty() {
        Remote::Content(content)
    } else if missing.len() == want.sources.len() {
        Remote::Nothing
    } else {
        Remote::Empty
    };
    Ok(Assembled { remote, missing })
}

/// What the API server accepts as the data of one Secret, in bytes.
pub(super) const LARGEST: usize = 1024 * 1024;

fn keys_of(source: &Source, answered: &Answered) -> Result<BTreeMap<String, SecretBytes>, Trouble> {
    let trouble = |error: render::RenderError| Trouble::lasting(error.cause(), format!("{}: {error}", place(source)));
    let raw = raw_keys(source, answered).map_err(trouble)?;
    raw.into_iter()
        .map(|(key, value)| {
            let value = render::decode(&value, source.decoding).map_err(trouble)?;
            render::check_null_bytes(&value, source.null_bytes).map_err(trouble)?;
            Ok((key, value))
        })
        .collect()
}

fn raw_keys(source: &Source, answered: &Answered) -> Result<BTreeMap<String, SecretBytes>, render::RenderError> {
    match (&source.read, answered) {
        (Read::Found(_, conversion), Answered::Many(found)) => named(found, *conversion),
        (Read::Key(_, key), Answered::Selected(fetched)) => Ok(BTreeMap::from([(key.clone(), fetched.value.clone())])),
        (Read::Key(reference, key), Answered::One(fetched)) => {
            Ok(BTreeMap::from([(key.clone(), selected(reference, fetched)?)]))
        }
        (Read::Keys(_, conversion), Answered::Selected(fetched)) => {
            render::target_keys(render::object(&fetched.value)?, *conversion)
        }
        (Read::Keys(reference, conversion), Answered::One(fetched)) => {
            render::target_keys(map(reference, fetched)?, *conversion)
        }
        // `fetch` answers each source in its own form.
        (Read::Found(..), Answered::One(_) | Answered::Selected(_))
        | (Read::Key(..) | Read::Keys(..), Answered::Many(_)) => Ok(BTreeMap::new()),
    }
}

fn selected(reference: &Reference, fetched: &Fetched) -> Result<SecretBytes, render::RenderError> {
    match &reference.property {
        Some(property) if fetched.parts != Parts::Whole => {
            plain(fetched, property, &render::property(&fetched.value, property)?)
        }
        _ => Ok(fetched.value.clone()),
    }
}

/// An answer as a map; of one property, where one is asked for.
fn map(reference: &Reference, fetched: &Fetched) -> Result<BTreeMap<String, SecretBytes>, render::RenderError> {
    match (&fetched.parts, &reference.property) {
        (Parts::Members, None) => {
            let members = render::object(&fetched.value)?.into_iter();
            members.map(|(name, value)| plain(fetched, &name, &value).map(|value| (name, value))).collect()
        }
        (Parts::Members, Some(_)) => render::object(&selected(reference, fetched)?),
        (Parts::Tags(name), None) => render::tags(name, &render::object(&fetched.value)?),
        (Parts::Tags(name), Some(tag)) => {
            render::tags(name, &BTreeMap::from([(tag.clone(), selected(reference, fetched)?)]))
        }
        (Parts::Properties | Parts::Whole, _) => Err(render::RenderError::NoMap),
    }
}

/// A member of an answer as the bytes that the backend holds.
fn plain(fetched: &Fetched, member: &str, value: &SecretBytes) -> Result<SecretBytes, render::RenderError> {
    let encoded = fetched.base64.contains(member);
    render::decode(value, if encoded { render::Decoding::Base64 } else { render::Decoding::None })
}

fn named(
    found: &BTreeMap<Arc<str>, Arc<Fetched>>,
    conversion: Conversion,
) -> Result<BTreeMap<String, SecretBytes>, render::RenderError> {
    let named = found.iter().map(|(key, fetched)| (key.to_string(), fetched.value.clone()));
    render::target_keys(named.collect(), conversion)
}

/// Where a source stands and what it reads, for messages.
fn place(source: &Source) -> String {
    match &source.read {
        Read::Found(..) => source.field.clone(),
        Read::Key(reference, _) | Read::Keys(reference, _) => match &reference.property {
            Some(property) => format!("{} (key {}, property {property})", source.field, reference.locator.name),
            None => format!("{} (key {})", source.field, reference.locator.name),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyferry_core::{Error, ErrorKind, Fetched, Parts, Query, SecretBytes};

    use super::{super::fixtures, Answer, Answered, Assembled, Remote, assemble};
    use crate::{
        reconcile::external_secret::sync::{Deletion, Find, Read, Reference, ValidSync},
        render::{Conversion, Decoding, NullBytes},
    };

    fn fetched(text: &str) -> Arc<Fetched> {
        Arc::new(Fetched::new(SecretBytes::from(text), None))
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands where failures stand too")]
    fn value(text: &str) -> Answer {
        Ok(Answered::One(fetched(text)))
    }

    fn of_property(property: &str) -> Read {
        let reference = Reference { property: Some(property.to_owned()), ..fixtures::reference() };
        Read::Key(reference, "a".to_owned())
    }

    fn failed(kind: ErrorKind) -> Answer {
        Err(Error::new(kind, "p", "o", "told"))
    }

    fn two(deletion: Deletion) -> ValidSync {
        let mut want = fixtures::sync();
        want.target.deletion = deletion;
        want.sources = vec![fixtures::source("spec.data[0]", "a"), fixtures::source("spec.data[1]", "b")];
        want
    }

    fn content(want: &ValidSync, answers: Vec<Answer>) -> Vec<(String, String)> {
        let Ok(Assembled { remote: Remote::Content(content), .. }) = assemble(want, answers) else {
            panic!("must have content")
        };
        content.into_iter().map(|(key, value)| (key, value.expose_str().unwrap().to_owned())).collect()
    }

    fn refused(want: &ValidSync, answers: Vec<Answer>) -> String {
        assemble(want, answers).expect_err("must fail").to_string()
    }

    #[test]
    fn each_source_gives_its_key() {
        let content = content(&two(Deletion::Retain), vec![value("1"), value("")]);
        assert_eq!(content, [("a".into(), "1".into()), ("b".into(), String::new())]);
    }

    #[test]
    fn later_sources_win() {
        let mut want = two(Deletion::Retain);
        want.sources[0].read = Read::Keys(fixtures::reference(), Conversion::Default);
        let content = content(&want, vec![value(r#"{"b":"old","c":"x"}"#), value("new")]);
        assert_eq!(content, [("b".into(), "new".into()), ("c".into(), "x".into())]);
    }

    #[test]
    fn one_failure_fails_all_and_is_named() {
        let told = refused(&two(Deletion::Delete), vec![value("1"), failed(ErrorKind::Unavailable)]);
        assert!(told.starts_with("ProviderUnreachable: spec.data[1] (key prod/db): told"), "{told}");
    }

    #[test]
    fn not_found_is_trouble_unless_the_policy_lets_go() {
        let told = refused(&two(Deletion::Retain), vec![value("1"), failed(ErrorKind::NotFound)]);
        assert!(told.starts_with("RemoteNotFound: spec.data[1]"), "{told}");
        let want = two(Deletion::Delete);
        assert_eq!(content(&want, vec![value("1"), failed(ErrorKind::NotFound)]), [("a".into(), "1".into())]);
        let gone = assemble(&want, vec![failed(ErrorKind::NotFound), failed(ErrorKind::NotFound)]).unwrap();
        assert_eq!((gone.remote, gone.missing.len()), (Remote::Nothing, 2));
    }

    #[test]
    fn an_empty_object_is_not_a_positive_not_found() {
        let mut want = two(Deletion::Delete);
        want.sources.truncate(1);
        want.sources[0].read = Read::Keys(fixtures::reference(), Conversion::Default);
        assert_eq!(assemble(&want, vec![value("{}")]).unwrap().remote, Remote::Empty);
    }

    #[test]
    fn bytes_that_json_cannot_hold_come_out_as_they_are() {
        let value = SecretBytes::from(r#"{"raw":"//4=","text":"aGk="}"#);
        let answer = || {
            Ok(Answered::One(Arc::new(Fetched {
                base64: ["raw".to_owned()].into(),
                ..Fetched::new(value.clone(), None)
            })))
        };
        let mut want = two(Deletion::Retain);
        want.sources.truncate(1);
        let bytes = |want: &ValidSync| match assemble(want, vec![answer()]).unwrap().remote {
            Remote::Content(content) => content,
            other => panic!("must have content: {other:?}"),
        };
        want.sources[0].read = of_property("raw");
        assert_eq!(bytes(&want)["a"], SecretBytes::new(vec![0xff, 0xfe]));
        want.sources[0].read = Read::Keys(fixtures::reference(), Conversion::Default);
        assert_eq!(bytes(&want)["raw"], SecretBytes::new(vec![0xff, 0xfe]));
        assert_eq!(bytes(&want)["text"], SecretBytes::from("aGk="));
    }

    fn with_parts(parts: &Parts, text: &str) -> Answered {
        let parts = parts.clone();
        Answered::One(Arc::new(Fetched { parts, ..Fetched::new(SecretBytes::from(text), None) }))
    }

    fn as_map(property: Option<&str>) -> ValidSync {
        let mut want = two(Deletion::Retain);
        want.sources.truncate(1);
        let reference = Reference { property: property.map(str::to_owned), ..fixtures::reference() };
        want.sources[0].read = Read::Keys(reference, Conversion::Default);
        want
    }

    #[test]
    fn a_map_of_tags_has_the_secrets_name_before_each() {
        let answer = || with_parts(&Parts::Tags("db".into()), r#"{"cost/center":"7","on":"{\"a\":\"x\"}"}"#);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let keys = |property| content(&as_map(property), vec![Ok(answer())]);
        assert_eq!(keys(None), [pair("db_cost_center", "7"), pair("db_on_a", "x")]);
        assert_eq!(keys(Some("cost/center")), [pair("db_cost_center", "7")]);
        assert_eq!(keys(Some("on")), [pair("db_on_a", "x")]);
        assert_eq!(keys(Some("on.a")), [pair("db_on.a", "x")]);
        assert!(refused(&as_map(Some("off")), vec![Ok(answer())]).starts_with("PropertyNotFound: spec.data[0]"));
    }

    #[test]
    fn other_metadata_are_maps_like_values() {
        let answer = || value(r#"{"annotations":{"a":"1"},"labels":{"app.kubernetes.io/name":"x"}}"#);
        let keys = |property| content(&as_map(property), vec![answer()]);
        let all = [
            ("annotations".to_owned(), r#"{"a":"1"}"#.to_owned()),
            ("labels".to_owned(), r#"{"app.kubernetes.io/name":"x"}"#.to_owned()),
        ];
        assert_eq!(keys(None), all);
        assert_eq!(keys(Some("labels")), [("app.kubernetes.io_name".into(), "x".into())]);
    }

    #[test]
    fn what_is_no_map_never_becomes_one() {
        for parts in [Parts::Properties, Parts::Whole] {
            for property in [None, Some("a")] {
                let told = refused(&as_map(property), vec![Ok(with_parts(&parts, r#"{"a":{"b":"hunter2"}}"#))]);
                assert!(told.starts_with("InvalidConfiguration: spec.data[0] (key prod/db"), "{told}");
                assert!(told.ends_with("is one value and no map; use data to take it as one key"), "{told}");
            }
        }
    }

    #[test]
    fn a_property_counts_where_there_are_properties() {
        let mut want = two(Deletion::Retain);
        want.sources.truncate(1);
        want.sources[0].read = of_property("a");
        let read = |parts: &Parts| content(&want, vec![Ok(with_parts(parts, r#"{"a":"x"}"#))]);
        assert_eq!(read(&Parts::Properties), [("a".into(), "x".into())]);
        assert_eq!(read(&Parts::Tags("db".into())), [("a".into(), "x".into())]);
        assert_eq!(read(&Parts::Whole), [("a".into(), r#"{"a":"x"}"#.into())]);
    }

    #[test]
    fn what_the_backend_selected_is_not_selected_again() {
        let mut want = two(Deletion::Retain);
        want.sources.truncate(1);
        want.sources[0].read = of_property("db.password");
        let answer = Ok(Answered::Selected(fetched("hunter2")));
        assert_eq!(content(&want, vec![answer]), [("a".into(), "hunter2".into())]);
    }

    #[test]
    fn what_is_found_goes_into_keys_by_what_it_is_known_as() {
        let mut want = two(Deletion::Delete);
        want.sources.truncate(1);
        want.sources[0].read = Read::Found(Find { query: Query::default(), name: None }, Conversion::Default);
        let found = |names: &[&str]| -> Answer {
            let found = names.iter().map(|name| (Arc::from(*name), fetched(name)));
            Ok(Answered::Many(found.collect()))
        };
        assert_eq!(
            content(&want, vec![found(&["app/a", "b"])]),
            [("app_a".into(), "app/a".into()), ("b".into(), "b".into())]
        );
        assert!(refused(&want, vec![found(&["a/b", "a b"])]).starts_with("InvalidKey: spec.data[0]: "));
        assert_eq!(assemble(&want, vec![found(&[])]).unwrap().remote, Remote::Empty);
    }

    #[test]
    fn a_target_that_no_secret_can_hold_is_refused() {
        let told = refused(&two(Deletion::Retain), vec![value(&"x".repeat(1 << 20)), value("y")]);
        assert!(told.starts_with("TooLarge: ") && told.contains("1048576"), "{told}");
    }

    #[test]
    fn properties_are_selected_and_values_decoded() {
        let mut want = two(Deletion::Retain);
        want.sources.truncate(1);
        want.sources[0].read = of_property("db.password");
        want.sources[0].decoding = Decoding::Base64;
        assert_eq!(content(&want, vec![value(r#"{"db":{"password":"aGk="}}"#)]), [("a".into(), "hi".into())]);
    }

    #[test]
    fn trouble_with_a_value_names_the_place_and_never_the_value() {
        let mut want = two(Deletion::Retain);
        want.sources.truncate(1);
        want.sources[0].read = of_property("missing");
        let told = refused(&want, vec![value(r#"{"password":"hunter2"}"#)]);
        assert!(told.contains("spec.data[0] (key prod/db, property missing)") && !told.contains("hunter2"), "{told}");
        want.sources[0].read = Read::Key(fixtures::reference(), "a".to_owned());
        want.sources[0].decoding = Decoding::Base64;
        let told = refused(&want, vec![value("hunter2!")]);
        assert!(!told.contains("hunter2"), "{told}");
        want.sources[0].decoding = Decoding::None;
        want.sources[0].null_bytes = NullBytes::Fail;
        let told = refused(&want, vec![value("hunter2\0")]);
        assert!(!told.contains("hunter2"), "{told}");
    }
}
