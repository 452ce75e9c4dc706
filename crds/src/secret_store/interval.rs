//! The time between two checks of a store: seconds in old manifests, a duration in newer ones.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    GoDuration,
    duration::{LONGEST, PATTERN},
};

/// Seconds, or a duration in Go's notation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CheckInterval {
    /// Seconds.
    Seconds(i64),
    /// A duration in Go's notation.
    Text(GoDuration),
}

impl CheckInterval {
    /// What is meant. The error continues a sentence that begins with the field.
    pub fn duration(&self) -> Result<Duration, String> {
        match self {
            Self::Seconds(seconds) => u64::try_from(*seconds).map(Duration::from_secs).map_err(|_| NEGATIVE.to_owned()),
            Self::Text(text) => text.duration().map_err(|_| PROBLEM.to_owned()),
        }
    }
}

/// What is wrong with a negative number.
pub(crate) const NEGATIVE: &str = "is negative: use 0 or leave it out for the operator's own interval";

/// What is wrong with a text that is no duration.
pub(crate) const PROBLEM: &str = "is neither a number of seconds nor a duration: write 600, or 10m (units h, m, s, ms, us, \
                                  ns; days are 24h)";

impl JsonSchema for CheckInterval {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CheckInterval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A text, and nothing else, equals itself as a text.
        let text = format!("self != string(self) || self.matches(r'{PATTERN}')");
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": LONGEST,
            "x-kubernetes-validations": [
                { "rule": "self == string(self) || self >= 0", "message": NEGATIVE },
                { "rule": text, "message": PROBLEM },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CheckInterval, NEGATIVE, PROBLEM};

    fn read(json: &str) -> Result<Duration, String> {
        serde_json::from_str::<CheckInterval>(json).unwrap().duration()
    }

    #[test]
    fn both_notations_are_read() {
        assert_eq!(read("60"), Ok(Duration::from_mins(1)));
        assert_eq!(read("\"1m\""), Ok(Duration::from_mins(1)));
        assert_eq!(read("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        assert_eq!(read("-1"), Err(NEGATIVE.to_owned()));
        assert_eq!(read("\"-1m\""), Err(PROBLEM.to_owned()));
        assert_eq!(read("\"1d\""), Err(PROBLEM.to_owned()));
        assert_eq!(read("\"60\""), Err(PROBLEM.to_owned()));
    }
}
