//! What the conformance suite saw.

use std::{env, fmt, fs, path::Path};

use serde_json::{Value, json};

/// How one case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The contract was broken, and how.
    Failed(String),
    /// It was seen to work.
    Passed,
    /// It could not be tried, and why.
    Skipped(String),
}

/// What was seen of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// [`keyferry_core::Provider::name`]
    pub provider: &'static str,
    /// How many locators one native call answers.
    pub batch: usize,
    /// Each case of the suite, in its order.
    pub cases: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// How the case ended, if there is one of this name.
    pub fn outcome(&self, case: &str) -> Option<&Outcome> {
        self.cases.iter().find_map(|(name, outcome)| (*name == case).then_some(outcome))
    }

    /// Whether the case was seen to work.
    pub fn passed(&self, case: &str) -> bool {
        self.outcome(case) == Some(&Outcome::Passed)
    }

    /// Shows the report on standard error.
    ///
    /// # Panics
    /// When a case failed.
    pub fn assert_conforms(&self) {
        #[expect(clippy::print_stderr, reason = "what was skipped must be seen where the tests are run")]
        {
            eprintln!("{self}");
        }
        let failed = self.cases.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        assert!(!failed, "{self}");
    }

    /// As [`Report::assert_conforms`], and what was seen must be what `docs/backends/seen/NAME.json` says: the README's
    /// table is made of these files. With `UPDATE=1` in the environment they are written anew.
    ///
    /// # Panics
    /// When a case failed, or the file says something else.
    pub fn assert_recorded(&self, name: &str) {
        self.assert_conforms();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/backends/seen").join(format!("{name}.json"));
        let seen = format!("{:#}\n", self.to_json());
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, seen).expect("the record can be written");
            return;
        }
        let recorded = fs::read_to_string(&path).unwrap_or_default();
        let path = path.display();
        assert_eq!(seen, recorded, "{path} is out of date; run the test once with UPDATE=1, then `make support`");
    }

    /// One line of JSON, for a table of what each backend can do.
    pub fn to_json(&self) -> Value {
        let cases: serde_json::Map<_, _> = self
            .cases
            .iter()
            .map(|(name, outcome)| {
                let outcome = match outcome {
                    Outcome::Failed(_) => json!("failed"),
                    Outcome::Passed => json!("passed"),
                    Outcome::Skipped(why) => json!({ "skipped": why }),
                };
                ((*name).to_owned(), outcome)
            })
            .collect();
        json!({ "provider": self.provider, "batch": self.batch, "cases": cases })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conformance of {}", self.provider)?;
        for (name, outcome) in &self.cases {
            match outcome {
                Outcome::Failed(how) => write!(f, "\n  FAILED  {name}: {how}"),
                Outcome::Passed => write!(f, "\n  passed  {name}"),
                Outcome::Skipped(why) => write!(f, "\n  SKIPPED {name}: {why}"),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Outcome, Report};

    fn report(outcome: Outcome) -> Report {
        Report { provider: "Memory", batch: 1, cases: vec![("get", Outcome::Passed), ("denied", outcome)] }
    }

    #[test]
    fn a_line_tells_each_case() {
        assert_eq!(
            report(Outcome::Skipped("no way".into())).to_json(),
            json!({ "provider": "Memory", "batch": 1, "cases": { "get": "passed", "denied": { "skipped": "no way" } } })
        );
    }

    #[test]
    fn what_was_skipped_does_not_count_as_seen() {
        let report = report(Outcome::Skipped("no way".into()));
        report.assert_conforms();
        assert!(report.passed("get") && !report.passed("denied"));
        assert!(report.to_string().contains("SKIPPED denied: no way"));
    }

    #[test]
    #[should_panic(expected = "FAILED  denied: was let in")]
    fn a_failed_case_fails_the_test() {
        report(Outcome::Failed("was let in".into())).assert_conforms();
    }
}
