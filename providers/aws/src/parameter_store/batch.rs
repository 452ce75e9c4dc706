//! Many parameters at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use keyferry_clouds::aws::failure::{is_denied_by_aws, is_of_aws};
use keyferry_core::{Error, ErrorKind, Fetched, Result};

use super::{Answers, BATCH, GET_MANY, ParameterStore, Wanted, selector::Selector, value};
use crate::client::Clients;

impl ParameterStore {
    /// Answers what batch calls can answer. What is left out is to be asked for singly.
    pub(super) async fn in_batches(&self, wanted: &BTreeSet<Wanted>) -> Answers {
        let values = wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Value(selector) if !self.denials.has(&selector.text()) => Some(selector),
            _ => None,
        });
        let mut answers = Answers::new();
        // One parameter alone needs no batch, and with that no permission for it.
        for batch in batches(values).iter().filter(|batch| batch.len() > 1) {
            if self.denials.has(GET_MANY.name) {
                break;
            }
            answers.extend(self.batch(batch).await);
        }
        answers
    }

    async fn batch(&self, batch: &[&Selector]) -> Answers {
        match self.get_many(batch).await {
            Ok(got) => {
                let mut parts = parts(got, batch);
                let answer = |selector: &&Selector| {
                    let answer = self.part(&mut parts, selector)?;
                    Some((Wanted::Value((*selector).clone()), answer.map(Arc::new)))
                };
                batch.iter().filter_map(answer).collect()
            }
            Err(error) if is_denied_by_aws(&error) => self.after_denial(batch).await,
            Err(error) if error.kind == ErrorKind::InvalidConfig && is_of_aws(&error) => Answers::new(),
            // That one is not there must not be said of all.
            Err(error) if error.kind == ErrorKind::NotFound => Answers::new(),
            Err(error) if error.kind == ErrorKind::Unsupported => {
                self.denials.note(GET_MANY.name);
                Answers::new()
            }
            Err(error) => {
                batch.iter().map(|selector| (Wanted::Value((*selector).clone()), Err(error.clone()))).collect()
            }
        }
    }

    /// The batch was denied for the sake of one parameter, or because batches are not allowed at all. Asking for each
    /// alone tells which, and is remembered.
    async fn after_denial(&self, batch: &[&Selector]) -> Answers {
        let answers = self.singly(batch.iter().map(|selector| Wanted::Value((*selector).clone())).collect()).await;
        let is_denied =
            |answer: &Result<_, Error>| answer.as_ref().is_err_and(|error| error.kind == ErrorKind::AccessDenied);
        let mut denied = answers.iter().filter(|(_, answer)| is_denied(answer)).peekable();
        if denied.peek().is_none() {
            self.denials.note(GET_MANY.name);
        }
        for (wanted, _) in denied {
            if let Wanted::Value(selector) = wanted {
                self.denials.note(&selector.text());
            }
        }
        answers
    }

    pub(super) async fn get_many(&self, batch: &[&Selector]) -> Result<GetParametersOutput> {
        let about = match batch {
            [one] => format!("parameter {}", one.text()),
            many => format!("{} parameters", many.len()),
        };
        let send = |clients: &Clients| {
            let names = batch.iter().map(|selector| selector.text()).collect();
            clients.ssm.get_parameters().set_names(Some(names)).with_decryption(true).send()
        };
        self.client.call(GET_MANY, &about, send).await
    }

    /// What the batch says about `selector`; `None` where it says nothing, or nothing that is certain.
    pub(super) fn part(&self, parts: &mut Parts, selector: &Selector) -> Option<Result<Fetched>> {
        let text = selector.text();
        if let Some(found) = parts.values.remove(&text) {
            return Some(Ok(found));
        }
        let missing = parts.missing.contains(&text);
        let about = format!("parameter {text}");
        let purpose = self.client.purpose(GET_MANY, &about);
        missing.then(|| Err(purpose.error(ErrorKind::NotFound, format!("there is no {about}"))))
    }
}

/// What one batch answered, by the text that was asked for.
#[derive(Debug, Default)]
pub(super) struct Parts {
    values: BTreeMap<String, Fetched>,
    missing: BTreeSet<String>,
}

/// Sorts an answer by what was asked for. Two parameters that both look like the answer are none.
pub(super) fn parts(got: GetParametersOutput, batch: &[&Selector]) -> Parts {
    let missing = got.invalid_parameters.unwrap_or_default().into_iter().collect();
    let mut parameters = got.parameters.unwrap_or_default();
    let mut values = BTreeMap::new();
    for selector in batch {
        let meant: Vec<_> = parameters.extract_if(.., |parameter| selector.means(parameter)).collect();
        if let Ok([only]) = <[_; 1]>::try_from(meant)
            && let Some(fetched) = value(only)
        {
            values.insert(selector.text(), fetched);
        }
    }
    Parts { values, missing }
}

/// Batches in which no parameter stands twice: its versions could not be told apart in the answer of a server that
/// does not repeat what was asked for.
fn batches<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Vec<Vec<&'a Selector>> {
    let mut batches: Vec<Vec<&Selector>> = Vec::new();
    for selector in selectors {
        let fits = |batch: &&mut Vec<&Selector>| {
            batch.len() < BATCH && batch.iter().all(|other| other.name() != selector.name())
        };
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(selector),
            None => batches.push(vec![selector]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::{operation::get_parameters::GetParametersOutput, types::Parameter};

    use super::{BATCH, Selector, batches, parts};

    fn selectors(names: &[&str]) -> Vec<Selector> {
        names.iter().map(|name| Selector::new(name, None)).collect()
    }

    fn parameter(name: &str, value: &str, version: i64) -> Parameter {
        Parameter::builder().name(name).value(value).version(version).build()
    }

    #[test]
    fn batches_are_full_and_hold_each_parameter_once() {
        let hundred: Vec<_> = (0..100).map(|index| Selector::new(&format!("/p/{index}"), None)).collect();
        let made = batches(hundred.iter());
        assert_eq!(made.len(), 10);
        assert!(made.iter().all(|batch| batch.len() == BATCH));
        let versions = selectors(&["a", "a:1", "b", "a:2"]);
        let made: Vec<Vec<_>> =
            batches(versions.iter()).iter().map(|batch| batch.iter().map(|one| one.text()).collect()).collect();
        assert_eq!(made, [vec!["a", "b"], vec!["a:1"], vec!["a:2"]]);
    }

    #[test]
    fn answers_are_told_apart_whatever_their_order() {
        let asked = selectors(&["a", "b:2", "c", "d"]);
        let got = GetParametersOutput::builder()
            .parameters(parameter("b", "two", 2))
            .parameters(parameter("a", "one", 1))
            .parameters(parameter("unasked", "x", 1))
            .invalid_parameters("c")
            .build();
        let sorted = parts(got, &asked.iter().collect::<Vec<_>>());
        let found: Vec<_> = sorted.values.iter().map(|(text, got)| (text.as_str(), got.value.expose_str())).collect();
        assert_eq!(found, [("a", Some("one")), ("b:2", Some("two"))]);
        assert!(sorted.missing.contains("c") && !sorted.missing.contains("d"));
    }

    #[test]
    fn an_answer_that_is_not_certain_is_none() {
        let asked = selectors(&["a"]);
        let twice =
            GetParametersOutput::builder().parameters(parameter("a", "1", 1)).parameters(parameter("a", "2", 2));
        assert!(parts(twice.build(), &[&asked[0]]).values.is_empty());
        let empty = GetParametersOutput::builder().parameters(Parameter::builder().name("a").build()).build();
        assert!(parts(empty, &[&asked[0]]).values.is_empty());
    }
}
