//! How Secret Manager names things.

use keyferry_core::{Locator, Query, Result, Version};

use crate::services::invalid;

/// Where the secrets are: a project, or a location in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    location: Option<String>,
    project: String,
}

/// The version that was added last.
const LATEST: &str = "latest";

impl Parent {
    /// `project` and `location` have been checked.
    pub(crate) fn new(project: &str, location: Option<&str>) -> Self {
        Self { location: location.map(str::to_owned), project: project.to_owned() }
    }

    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// `projects/P` or `projects/P/locations/L`.
    pub(crate) fn path(&self) -> String {
        match &self.location {
            None => format!("projects/{}", self.project),
            Some(location) => format!("projects/{}/locations/{location}", self.project),
        }
    }

    /// The path of the secret that `at` names.
    pub(crate) fn secret(&self, operation: &'static str, at: &Locator) -> Result<String> {
        let id = at.name.as_str();
        if is_secret_id(id) {
            return Ok(format!("{}/secrets/{id}", self.path()));
        }
        let text = format!(
            "the key {id:?} is no name of a secret: give the bare name (letters, digits, - and _), without project \
             and version"
        );
        Err(invalid(operation, text))
    }

    /// The path of the version of `secret` that is asked for.
    pub(crate) fn version(operation: &'static str, secret: &str, version: Option<&Version>) -> Result<String> {
        let version = version.map_or(LATEST, Version::as_str);
        if is_secret_id(version) {
            return Ok(format!("{secret}/versions/{version}"));
        }
        Err(invalid(operation, format!("the version {version:?} is neither a number nor an alias")))
    }
}

/// The last part of a path: the name of a secret, the number of a version.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Checks a project's id or number before it becomes a part of a path.
pub(crate) fn check_project(project: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    if !project.is_empty() && project.bytes().all(plain) {
        return Ok(());
    }
    Err(invalid("Configure", format!("projectID: {project:?} is no id of a project, like my-project-1")))
}

/// Checks a location before it becomes a part of a host name that is shown the store's token.
pub(crate) fn check_location(location: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !location.is_empty() && location.bytes().all(plain) {
        return Ok(());
    }
    Err(invalid("Configure", format!("location: {location:?} is no region, like europe-west1")))
}

/// The filter expression that narrows a listing as far as the API can; a path is a prefix, of which the API finds only
/// that the name contains it.
pub(crate) fn filter(query: &Query) -> Result<String> {
    let mut terms = Vec::new();
    if let Some(path) = query.path.as_deref().filter(|path| !path.is_empty()) {
        if !is_secret_id(path) {
            return Err(invalid(
                "ListSecrets",
                format!("path: no secret's name begins with {path:?}; names have letters, digits, - and _ only"),
            ));
        }
        terms.push(format!("name:{path}"));
    }
    for (key, value) in &query.tags {
        if key.is_empty() || !is_label(key) || !is_label(value) {
            return Err(invalid(
                "ListSecrets",
                format!("tags: {key:?} or its value is no label; labels have lower case letters, digits, - and _ only"),
            ));
        }
        terms.push(if value.is_empty() { format!("labels.{key}=\"\"") } else { format!("labels.{key}={value}") });
    }
    Ok(terms.join(" AND "))
}

fn is_secret_id(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_label(text: &str) -> bool {
    let plain = |letter: char| matches!(letter, '-' | '_') || (letter.is_alphanumeric() && !letter.is_uppercase());
    text.chars().count() <= 63 && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use keyferry_core::{ErrorKind, Locator, Query, RemoteName, Version};

    use super::{Parent, check_location, check_project, filter, last};

    fn at(name: &str) -> Locator {
        Locator::latest(RemoteName::new(name).unwrap())
    }

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn global_and_regional_secrets_have_their_paths() {
        let global = Parent::new("p-1", None);
        assert_eq!(global.secret("Get", &at("a_B-1")).unwrap(), "projects/p-1/secrets/a_B-1");
        let regional = Parent::new("p-1", Some("europe-west1"));
        let secret = regional.secret("Get", &at("a")).unwrap();
        assert_eq!(secret, "projects/p-1/locations/europe-west1/secrets/a");
        assert_eq!(Parent::version("Get", &secret, None).unwrap(), format!("{secret}/versions/latest"));
        assert_eq!(Parent::version("Get", &secret, Some(&version("prod"))).unwrap(), format!("{secret}/versions/prod"));
    }

    #[test]
    fn a_key_cannot_reach_out_of_its_project() {
        for key in ["a/../../b", "..", "projects/p/secrets/a", "a?b", "a b", "a:access", "ä"] {
            let error = Parent::new("p-1", None).secret("Get", &at(key)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidConfig, "{key}");
            assert!(error.message.contains("no name of a secret"), "{error}");
        }
        let error = Parent::version("Get", "projects/p/secrets/a", Some(&version("1/x"))).unwrap_err();
        assert!(error.message.starts_with("the version \"1/x\" is neither a number nor an alias"), "{error}");
    }

    #[test]
    fn project_and_location_are_checked() {
        for project in ["my-project-1", "example.com:p", "123456789"] {
            check_project(project).unwrap();
        }
        for project in ["", "p/q", "p?", "p q"] {
            assert!(check_project(project).unwrap_err().message.starts_with("projectID: "), "{project}");
        }
        check_location("europe-west1").unwrap();
        for location in ["", "evil.example/", "Europe", "a.b"] {
            assert!(check_location(location).unwrap_err().message.starts_with("location: "), "{location}");
        }
    }

    #[test]
    fn a_query_becomes_a_filter() {
        assert_eq!(filter(&Query::default()).unwrap(), "");
        let query = Query {
            path: Some("team-a".to_owned()),
            tags: [("env", "prod"), ("x", ""), ("équipe", "ü1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            after: None,
        };
        let expected = "name:team-a AND labels.env=prod AND labels.x=\"\" AND labels.équipe=ü1";
        assert_eq!(filter(&query).unwrap(), expected);
    }

    #[test]
    fn what_no_secret_can_have_is_refused_instead_of_finding_nothing() {
        let path = Query { path: Some("team/a".to_owned()), ..Query::default() };
        assert!(filter(&path).unwrap_err().message.starts_with("path: "));
        for (key, value) in [("Env", "a"), ("env", "a OR name:b"), ("", "a"), ("e.v", "a")] {
            let tags = Query { tags: [(key.to_owned(), value.to_owned())].into(), ..Query::default() };
            let error = filter(&tags).unwrap_err();
            assert!(error.kind == ErrorKind::InvalidConfig && error.message.starts_with("tags: "), "{error}");
        }
    }

    #[test]
    fn the_last_part_is_the_name() {
        assert_eq!(last("projects/1/locations/l/secrets/a/versions/7"), "7");
        assert_eq!(last("a"), "a");
    }
}
