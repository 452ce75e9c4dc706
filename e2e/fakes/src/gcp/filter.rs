//! The filters of listings, as far as readers use them: terms that must all hold.

use std::collections::BTreeMap;

/// One term.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// `labels.k=v`
    Label(String, String),
    /// `name:part`
    Name(String),
    /// `state:ENABLED`
    State(String),
}

/// The terms of `text`; `None` if there is anything else in it.
pub(super) fn parse(text: &str) -> Option<Vec<Term>> {
    text.split_whitespace().filter(|word| *word != "AND").map(term).collect()
}

fn term(word: &str) -> Option<Term> {
    let plain = |text: &str| {
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let known = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
        text.chars().all(known).then(|| text.to_owned())
    };
    if let Some((key, value)) = word.strip_prefix("labels.").and_then(|label| label.split_once('=')) {
        return Some(Term::Label(plain(key).filter(|key| !key.is_empty())?, plain(value)?));
    }
    let (field, value) = word.split_once(':')?;
    let value = plain(value).filter(|value| !value.is_empty())?;
    match field {
        "name" => Some(Term::Name(value)),
        "state" => Some(Term::State(value)),
        _ => None,
    }
}

/// Whether a secret is meant by all of `terms`.
pub(super) fn finds(terms: &[Term], name: &str, labels: &BTreeMap<String, String>) -> bool {
    terms.iter().all(|term| match term {
        Term::Label(key, value) => labels.get(key) == Some(value),
        Term::Name(part) => name.to_lowercase().contains(&part.to_lowercase()),
        Term::State(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::{Term, finds, parse};

    #[test]
    fn terms_are_parsed_and_all_must_hold() {
        let terms = parse("name:team AND labels.env=prod labels.x=\"\"").expect("a filter");
        let label = |key: &str, value: &str| Term::Label(key.into(), value.into());
        assert_eq!(terms, [Term::Name("team".into()), label("env", "prod"), label("x", "")]);
        let labels = |env: &str| [("env", env), ("x", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert!(finds(&terms, "my-Team-a", &labels("prod")));
        assert!(!finds(&terms, "my-team-a", &labels("dev")));
        assert!(!finds(&terms, "a", &labels("prod")));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in ["name", "name:", "name=a", "create_time>1", "labels.=a", "labels.a", "a OR b", "name:a*"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(""), Some(vec![]));
    }
}
