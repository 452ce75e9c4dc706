//! Go templates, kept small: a store's author writes them, and all stores share one process.
//!
//! What a template can do is bounded in every direction: its length, the loops it runs, the text that its functions
//! make on the way, and what comes out. It cannot call itself, read files, the environment or the network.

mod functions;

use std::{collections::BTreeMap, fmt, sync::Arc};

use gotmpl::{MissingKey, Template as Parsed, TemplateError, Value};
use keyferry_core::SecretBytes;
use zeroize::Zeroizing;

/// A template that has been found well-formed.
pub(crate) struct Template {
    source: String,
}

/// What templates can name: a map of maps of texts.
#[derive(Clone)]
pub(crate) struct Data(BTreeMap<Arc<str>, Value>);

/// Longer than any request that somebody wrote by hand.
const LONGEST_SOURCE: usize = 16 << 10;
/// What a Secret can hold, so more than any request needs to say.
const LONGEST_OUTPUT: usize = 1 << 20;
/// Loops of templates go over words, not over data.
const MOST_ROUNDS: u64 = 1_000;

impl Template {
    /// Checks `source`, and that `sample` has all that it names.
    pub(crate) fn parse(source: &str, sample: &Data) -> Result<Self, String> {
        if source.len() > LONGEST_SOURCE {
            return Err(format!("is longer than {} KiB; make it shorter", LONGEST_SOURCE >> 10));
        }
        let template = Self { source: source.to_owned() };
        if !template.parsed()?.templates().is_empty() {
            return Err("defines a template of its own with `define` or `block`; write it out instead".into());
        }
        match template.execute(sample) {
            // What depends on the reference alone may well be right with another one.
            Err(Failure::Always(text)) => Err(text),
            Err(Failure::Perhaps(_)) | Ok(_) => Ok(template),
        }
    }

    /// Fills in `data`. An error says what does not work, without any text that was filled in.
    pub(crate) fn render(&self, data: &Data) -> Result<Zeroizing<String>, String> {
        self.execute(data).map_err(|failure| match failure {
            Failure::Always(text) | Failure::Perhaps(text) => text,
        })
    }

    fn execute(&self, data: &Data) -> Result<Zeroizing<String>, Failure> {
        // Parsed anew, since the functions count what they make in one run.
        let parsed = self.parsed().map_err(Failure::Always)?;
        let mut output = Output(Zeroizing::default());
        parsed.execute_fmt(&mut output, &Value::from(data.0.clone())).map_err(|error| Failure::of(&error))?;
        Ok(output.0)
    }

    fn parsed(&self) -> Result<Parsed, String> {
        // Without a name, a template cannot call itself.
        Parsed::new("")
            .missing_key(MissingKey::Error)
            .max_range_iters(MOST_ROUNDS)
            .funcs(functions::all())
            .parse(&self.source)
            .map_err(|error| match error {
                TemplateError::Parse { line, col, .. } | TemplateError::Lex { line, col, .. } => {
                    format!("is not a Go template: something is wrong at line {line}, column {col}")
                }
                _ => "is not a Go template".into(),
            })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(…)")
    }
}

impl Data {
    /// Data with the keys of Secrets, each Secret below a name. What is not text cannot be named.
    pub(crate) fn new(secrets: &BTreeMap<String, BTreeMap<String, SecretBytes>>) -> Self {
        let data = secrets.iter().map(|(name, secret)| {
            let texts = secret.iter().filter_map(|(key, value)| Some((key.as_str(), value.expose_str()?)));
            (Arc::from(name.as_str()), texts_to_value(texts))
        });
        Self(data.collect())
    }

    /// The same data with the texts of `entries` below `name`.
    pub(crate) fn with<'a>(&self, name: &str, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut data = self.0.clone();
        data.insert(Arc::from(name), texts_to_value(entries));
        Self(data)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn texts_to_value<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let texts: BTreeMap<Arc<str>, Value> =
        entries.into_iter().map(|(key, text)| (Arc::from(key), Value::from(text))).collect();
    Value::from(texts)
}

enum Failure {
    /// With whatever data.
    Always(String),
    /// With these data.
    Perhaps(String),
}

impl Failure {
    /// Of the library's own texts only names are shown, as they stand in the template: others can quote data.
    fn of(error: &TemplateError) -> Self {
        match error {
            TemplateError::MissingKey { key } => Self::Always(format!(
                "names {key:?}, which is not there, or is not text; there are .remoteRef.key, .version, .property and \
                 .namespace, and what `secrets` names"
            )),
            TemplateError::UndefinedFunction(name) => Self::Always(format!(
                "calls the function {name:?}, which there is not; beside those of Go there are {}",
                functions::NAMES.join(", ")
            )),
            TemplateError::UndefinedVariable(name) => {
                Self::Always(format!("uses the variable {name:?} without setting it"))
            }
            TemplateError::UndefinedTemplate(name) => {
                Self::Always(format!("calls the template {name:?}, which there is not"))
            }
            TemplateError::ArgCount { name, .. } => {
                Self::Always(format!("calls the function {name:?} with the wrong number of arguments"))
            }
            TemplateError::RangeIterLimit => Self::Perhaps(format!("loops more than {MOST_ROUNDS} times")),
            TemplateError::Write => Self::Perhaps(format!("makes more than {} MiB of text", LONGEST_OUTPUT >> 20)),
            TemplateError::Exec(text) if functions::is_own(text) => Self::Perhaps(text.clone()),
            _ => Self::Perhaps("cannot be filled in: a function does not fit what it is given".into()),
        }
    }
}

/// What comes out, as long as it is not too much.
struct Output(Zeroizing<String>);

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST_OUTPUT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
