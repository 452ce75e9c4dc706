//! The functions of templates: Go's own where they make text, and those of sprig that requests need. Each is pure, and
//! all of them together make only so much text in one run.

use std::{
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use gotmpl::{FuncMap, Result, Template, TemplateError, Value, html_escape, js_escape, url_encode};
use keyferry_core::canonical_json;

/// Those that Go itself has not.
pub(super) const NAMES: [&str; 11] =
    ["b64dec", "b64enc", "default", "lower", "quote", "replace", "toJson", "trim", "trimPrefix", "trimSuffix", "upper"];

/// Text that functions make in one run, all together: a few lines of doubling would fill the memory otherwise.
const MOST_TEXT: usize = 4 << 20;
const TOO_MUCH: &str = "makes more than 4 MiB of text on the way";
const NOT_BASE64: &str = "decodes with b64dec what is not base64 of text";
/// What one directive of `printf` can make of nothing: the widest padding.
const WIDEST: usize = 1 << 16;
/// What quoting makes of one byte at most.
const LONGEST_ESCAPE: usize = 10;

/// Whether `text` is an error of ours, which quotes no data.
pub(super) fn is_own(text: &str) -> bool {
    [TOO_MUCH, NOT_BASE64].contains(&text)
}

type Pure = fn(&[Value]) -> Result<Value>;

/// All functions, for one run.
pub(super) fn all() -> FuncMap {
    let pure: [(&str, Pure); 18] = [
        ("b64dec", |args| match STANDARD.decode(one(args, "b64dec")?).map(String::from_utf8) {
            Ok(Ok(text)) => Ok(Value::from(text)),
            _ => Err(own(NOT_BASE64)),
        }),
        ("b64enc", |args| Ok(Value::from(STANDARD.encode(one(args, "b64enc")?)))),
        ("default", |args| {
            let [fallback, value] = exactly(args, "default")?;
            Ok(if value.is_truthy() { value.clone() } else { fallback.clone() })
        }),
        ("html", |args| Ok(Value::from(html_escape(&printed(args))))),
        ("js", |args| Ok(Value::from(js_escape(&printed(args))))),
        ("lower", |args| Ok(Value::from(one(args, "lower")?.to_lowercase()))),
        ("print", |args| Ok(Value::from(printed(args)))),
        ("printf", formatted),
        ("println", |args| {
            let words: Vec<_> = args.iter().map(Value::to_string).collect();
            Ok(Value::from(words.join(" ") + "\n"))
        }),
        ("quote", |args| {
            let [value] = exactly(args, "quote")?;
            formatted(&[Value::from("%q"), Value::from(value.to_string())])
        }),
        ("replace", |args| {
            let [old, new, text] = exactly(args, "replace")?.each_ref().map(ToString::to_string);
            // As many as there can be places, so that the result is not longer than it may be.
            if (text.len() + 1).saturating_mul(new.len()) > MOST_TEXT
                && text.matches(&old).count() * new.len() > MOST_TEXT
            {
                return Err(own(TOO_MUCH));
            }
            Ok(Value::from(text.replace(&old, &new)))
        }),
        ("slice", |args| match args {
            [value] => value.slice(None, None),
            [value, from] => value.slice(Some(index(from)?), None),
            [value, from, to] => value.slice(Some(index(from)?), Some(index(to)?)),
            _ => Err(count("slice", 1, args)),
        }),
        ("toJson", |args| {
            let [value] = exactly(args, "toJson")?;
            let json = canonical_json(json(value).to_string().as_bytes()).unwrap_or_default();
            Ok(Value::from(json.expose_str().unwrap_or_default()))
        }),
        ("trim", |args| Ok(Value::from(one(args, "trim")?.trim()))),
        ("trimPrefix", |args| {
            let [prefix, text] = exactly(args, "trimPrefix")?.each_ref().map(ToString::to_string);
            Ok(Value::from(text.strip_prefix(&prefix).unwrap_or(&text)))
        }),
        ("trimSuffix", |args| {
            let [suffix, text] = exactly(args, "trimSuffix")?.each_ref().map(ToString::to_string);
            Ok(Value::from(text.strip_suffix(&suffix).unwrap_or(&text)))
        }),
        ("upper", |args| Ok(Value::from(one(args, "upper")?.to_uppercase()))),
        ("urlquery", |args| Ok(Value::from(url_encode(&printed(args))))),
    ];
    let made = Arc::new(AtomicUsize::new(0));
    let counted = pure.into_iter().map(|(name, function)| {
        let made = Arc::clone(&made);
        let function = move |args: &[Value]| {
            spend(&made, args.iter().map(length).sum())?;
            let value = function(args)?;
            spend(&made, length(&value))?;
            Ok(value)
        };
        (name.to_owned(), Arc::new(function) as _)
    });
    counted.collect()
}

/// What goes in counts as well, because it is copied.
fn spend(made: &AtomicUsize, bytes: usize) -> Result<()> {
    if made.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST_TEXT { Err(own(TOO_MUCH)) } else { Ok(()) }
}

fn length(value: &Value) -> usize {
    struct Counted(usize);
    impl Write for Counted {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // Counting cannot fail.
    let _ = write!(counted, "{value}");
    counted.0
}

/// As Go's `print`: a space between two operands of which neither is text.
fn printed(args: &[Value]) -> String {
    let mut text = String::new();
    for (place, value) in args.iter().enumerate() {
        if place > 0 && value.as_str().is_none() && args[place - 1].as_str().is_none() {
            text.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{value}");
    }
    text
}

/// The library's own `printf`, once it is certain that the result is not too long.
fn formatted(args: &[Value]) -> Result<Value> {
    let Some(format) = args.first().and_then(Value::as_str) else { return Err(count("printf", 1, args)) };
    let longest = args[1..].iter().map(length).max().unwrap_or_default();
    let widest = longest.saturating_mul(LONGEST_ESCAPE).saturating_add(WIDEST);
    if format.matches('%').count().saturating_mul(widest) > 16 * MOST_TEXT {
        return Err(own(TOO_MUCH));
    }
    let mut source = "{{printf".to_owned();
    for place in 0..args.len() {
        // Writing to a String cannot fail.
        let _ = write!(source, " (index . {place})");
    }
    source.push_str("}}");
    Template::new("").parse(&source)?.execute_to_string(&Value::from(args.to_vec())).map(Value::from)
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => (**text).into(),
        Value::List(values) => values.iter().map(json).collect(),
        Value::Map(members) => members.iter().map(|(key, value)| (key.to_string(), json(value))).collect(),
        Value::Function(_) | Value::Nil => serde_json::Value::Null,
    }
}

fn one(args: &[Value], name: &str) -> Result<String> {
    let [value] = exactly(args, name)?;
    Ok(value.to_string())
}

fn exactly<'a, const N: usize>(args: &'a [Value], name: &str) -> Result<&'a [Value; N]> {
    args.try_into().map_err(|_| count(name, N, args))
}

fn count(name: &str, expected: usize, args: &[Value]) -> TemplateError {
    TemplateError::ArgCount { name: name.to_owned(), expected, got: args.len() }
}

fn index(value: &Value) -> Result<i64> {
    value.as_int().ok_or(TemplateError::TypeMismatch { expected: "int", got: value.type_name() })
}

fn own(text: &str) -> TemplateError {
    TemplateError::Exec(text.to_owned())
}
