//! From the names that users write to those that AWS knows.

use keyferry_core::{RemoteName, SecretBytes, canonical_object};

/// Puts the store's prefix before names, once: names that were found by listing have it already, and an ARN has its
/// own form.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The name that AWS knows.
    pub(crate) fn resolve(&self, name: &RemoteName) -> String {
        let text = name.as_str();
        if name.is_whole() || is_arn(text) { text.to_owned() } else { format!("{}{text}", self.prefix) }
    }

    /// The name that leads back to `name`, which AWS has listed; `None` where that is empty.
    pub(crate) fn listed(&self, name: String) -> Option<RemoteName> {
        if self.prefix.is_empty() { RemoteName::new(name).ok() } else { RemoteName::whole(name).ok() }
    }
}

pub(crate) fn is_arn(name: &str) -> bool {
    name.starts_with("arn:")
}

/// Tags as the JSON object that a user sees.
pub(crate) fn tags_as_json<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<SecretBytes> {
    let object: serde_json::Map<_, _> = tags.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    canonical_object(serde_json::Value::Object(object).to_string().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use keyferry_core::RemoteName;

    use super::{Names, tags_as_json};

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";

    #[test]
    fn the_prefix_is_put_before_what_a_user_writes_and_nothing_else() {
        let names = Names::new("team/".into());
        let resolved = |name: Result<RemoteName, _>| names.resolve(&name.expect("a name"));
        assert_eq!(resolved(RemoteName::new("db")), "team/db");
        assert_eq!(resolved(RemoteName::new("team/db")), "team/team/db");
        assert_eq!(resolved(RemoteName::new(ARN)), ARN);
        assert_eq!(resolved(RemoteName::whole("other/db")), "other/db");
    }

    #[test]
    fn a_listed_name_leads_back_to_itself() {
        for prefix in ["", "team/"] {
            let names = Names::new(prefix.into());
            let listed = names.listed("team/db".into()).expect("a name");
            assert_eq!((names.resolve(&listed).as_str(), listed.as_str()), ("team/db", "team/db"));
        }
        assert_eq!(Names::new(String::new()).listed("a".into()), RemoteName::new("a").ok());
        assert_eq!(Names::new("p".into()).listed(String::new()), None);
    }

    #[test]
    fn tags_are_one_canonical_object() {
        let json = tags_as_json([("b", "<2>"), ("a", "1")]).expect("an object");
        assert_eq!(json.expose_str(), Some(r#"{"a":"1","b":"\u003c2\u003e"}"#));
    }
}
