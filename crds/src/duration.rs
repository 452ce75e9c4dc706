//! Durations as people write them in manifests.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration in Go's notation, such as `1h0m0s`, `1.5h`, `300ms` or `0`. It may hold any text until
/// [`GoDuration::duration`] is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoDuration(String);

impl GoDuration {
    /// What is meant, if the text is a duration that is not negative.
    pub fn duration(&self) -> Result<Duration, DurationError> {
        parse(&self.0).map(Duration::from_nanos).ok_or_else(|| DurationError(self.0.clone()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for GoDuration {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no duration. Its message continues a sentence that begins with the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError(String);

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is \"{}\", which {PROBLEM}", self.0)
    }
}

impl std::error::Error for DurationError {}

/// What is wrong with a text that is no duration, and the remedy.
pub(crate) const PROBLEM: &str = "is not a duration: write numbers with the units h, m, s, ms, us or ns, such as 90s or \
                                  1h30m; days are 24h, negative ones are not allowed";

/// Texts that [`GoDuration::duration`] accepts, as far as a regular expression can tell.
pub(crate) const PATTERN: &str = r"^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|μs|ns))+)$";

/// More than any duration that somebody writes.
pub(crate) const LONGEST: usize = 64;

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": LONGEST,
            "x-kubernetes-validations": [{ "rule": format!("self.matches(r'{PATTERN}')"), "message": PROBLEM }],
        })
    }
}

/// Units in nanoseconds. Of two that begin alike the longer stands first.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Nanoseconds; `None` where the text is none of Go's durations, negative, or longer than Go can hold.
fn parse(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut total: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (part, tail) = take(rest)?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    let nanos = u64::try_from(total).ok().filter(|nanos| i64::try_from(*nanos).is_ok());
    nanos.filter(|_| !text.is_empty())
}

/// Takes one number with its unit off the front, as nanoseconds.
fn take(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, tail) = UNITS.iter().find_map(|(name, nanos)| Some((*nanos, rest.strip_prefix(name)?)))?;
    let mut nanos = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()?.checked_mul(unit)? };
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(u128::from(digit - b'0') * place)?;
    }
    Some((nanos, tail))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{GoDuration, PATTERN};

    fn parsed(text: &str) -> Option<Duration> {
        GoDuration::from(text).duration().ok()
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("1h", 3_600_000),
            ("1h0m0s", 3_600_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            (".5s", 500),
            ("1.s", 1_000),
            ("1m1m", 120_000),
            ("2h45m10.25s", 9_910_250),
            ("2000us", 2),
            ("2000µs", 2),
            ("2000μs", 2),
            ("2000000ns", 2),
        ] {
            assert_eq!(parsed(text), Some(Duration::from_millis(millis)), "{text}");
        }
        // Go drops what is finer than a nanosecond.
        assert_eq!(parsed("1.0000000009s"), Some(Duration::from_secs(1)));
        assert_eq!(parsed("0.333333h"), Some(Duration::from_micros(1_199_998_800)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in
            ["", "1", "300", "1d", "1w", "-1h", "+1h", "1 h", "1h 30m", "h", ".s", "1hh", "1,5h", "1H", "9999999999h"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
        let long = format!("{}h", "9".repeat(60));
        assert_eq!(parsed(&long), None);
    }

    #[test]
    fn the_pattern_agrees_with_the_parser() {
        let pattern = regex::Regex::new(PATTERN).unwrap();
        for text in
            ["0", "0s", "1.5h", ".5s", "1.s", "1m1m", "2µs", "", "1", "1d", "-1h", "+1h", "1 h", ".s", "h", "00"]
        {
            assert_eq!(pattern.is_match(text), parsed(text).is_some(), "{text}");
        }
    }

    #[test]
    fn the_error_says_what_was_read_and_what_to_write() {
        let told = GoDuration::from("1d").duration().unwrap_err().to_string();
        assert!(told.starts_with("is \"1d\", which is not a duration") && told.contains("24h"), "{told}");
    }
}
