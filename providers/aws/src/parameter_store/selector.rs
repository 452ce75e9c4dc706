//! Names of parameters with a version or label behind them: `name:3`, `name:prod`.

use aws_sdk_ssm::types::Parameter;

use crate::names::is_arn;

/// A parameter in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Selector {
    /// Name or ARN.
    name: String,
    /// Version or label; `None` is the newest version.
    version: Option<String>,
}

impl Selector {
    /// `name` may have a version behind it already, as AWS's own tools take it; another one follows it then, which
    /// AWS will refuse.
    pub(super) fn new(name: &str, version: Option<&str>) -> Self {
        let (name, own) = split(name);
        let version = match (own, version) {
            (None, version) => version.map(ToOwned::to_owned),
            (Some(own), None) => Some(own.to_owned()),
            (Some(own), Some(version)) => Some(format!("{own}:{version}")),
        };
        Self { name: name.to_owned(), version }
    }

    /// The name or ARN without a version.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As AWS takes it.
    pub(super) fn text(&self) -> String {
        match &self.version {
            None => self.name.clone(),
            Some(version) => format!("{}:{version}", self.name),
        }
    }

    /// Whether AWS answers this with `parameter`.
    pub(super) fn means(&self, parameter: &Parameter) -> bool {
        let Self { name, version } = self;
        let named = parameter.name() == Some(name) || parameter.arn() == Some(name);
        named
            && match (version, parameter.selector().filter(|selector| !selector.is_empty())) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(version), Some(selector)) => selector.strip_prefix(':') == Some(version),
                // Some servers do not repeat the selector; a number can be told from the answer itself.
                (Some(version), None) => version.parse().map_or(true, |number: i64| number == parameter.version()),
            }
    }
}

/// Colons in an ARN have a meaning of their own up to its last part; names have none.
fn split(name: &str) -> (&str, Option<&str>) {
    let before = if is_arn(name) { name.match_indices(':').nth(4).map_or(name.len(), |(at, _)| at + 1) } else { 0 };
    match name.get(before..).and_then(|last| last.split_once(':')) {
        Some((last, version)) => (&name[..before + last.len()], Some(version)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::types::Parameter;

    use super::Selector;

    const ARN: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/team/db";

    fn answer(name: &str, selector: Option<&str>, version: i64) -> Parameter {
        Parameter::builder().name(name).arn(ARN).set_selector(selector.map(Into::into)).version(version).build()
    }

    #[test]
    fn a_version_goes_behind_the_name() {
        for (name, version, text) in [
            ("/team/db", None, "/team/db"),
            ("/team/db", Some("3"), "/team/db:3"),
            ("/team/db:3", None, "/team/db:3"),
            ("/team/db:3", Some("4"), "/team/db:3:4"),
            (ARN, None, ARN),
            (ARN, Some("prod"), "arn:aws:ssm:eu-west-1:123456789012:parameter/team/db:prod"),
            ("arn:short", None, "arn:short"),
        ] {
            assert_eq!(Selector::new(name, version).text(), text);
        }
        assert_eq!(Selector::new("/team/db:3", None), Selector::new("/team/db", Some("3")));
        assert_eq!(Selector::new(&format!("{ARN}:3"), None).name(), ARN);
    }

    #[test]
    fn an_answer_is_known_by_name_or_arn_and_by_what_was_asked_for() {
        let newest = Selector::new("/team/db", None);
        assert!(newest.means(&answer("/team/db", None, 7)) && newest.means(&answer("/team/db", Some(""), 7)));
        assert!(!newest.means(&answer("/team/db", Some(":7"), 7)) && !newest.means(&answer("/team/other", None, 7)));
        assert!(Selector::new(ARN, None).means(&answer("/team/db", None, 7)));
        let third = Selector::new("/team/db", Some("3"));
        assert!(third.means(&answer("/team/db", Some(":3"), 3)) && third.means(&answer("/team/db", None, 3)));
        assert!(!third.means(&answer("/team/db", Some(":33"), 33)) && !third.means(&answer("/team/db", None, 7)));
        let label = Selector::new("/team/db", Some("prod"));
        assert!(label.means(&answer("/team/db", Some(":prod"), 3)) && label.means(&answer("/team/db", None, 3)));
        assert!(!label.means(&answer("/team/db", Some(":test"), 3)));
    }
}
