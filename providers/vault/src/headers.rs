//! What a manifest puts into the headers of every request.

use http::{HeaderName, HeaderValue};

use crate::config::VaultConfig;

/// Headers that are about the connection. With another length than its own, a request never ends.
const OF_THE_CONNECTION: [&str; 6] = ["connection", "content-length", "te", "trailer", "transfer-encoding", "upgrade"];

/// Whether all of it can be sent; the text of an error says which field cannot, and nothing of its value.
pub(crate) fn check(config: &VaultConfig) -> Result<(), String> {
    for (name, value) in &config.headers {
        if HeaderName::try_from(name.as_str()).is_err() {
            return Err(format!("headers: {name:?} is not a name of an HTTP header; correct it"));
        }
        if OF_THE_CONNECTION.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(format!("headers: {name} is about the connection and would break it; remove it"));
        }
        carried(&format!("headers: the value of {name}"), value.expose())?;
    }
    for (field, namespace) in [("namespace", &config.namespace), ("auth.namespace", &config.auth_namespace)] {
        carried(&format!("{field}: the name"), namespace.as_deref().unwrap_or_default().as_bytes())?;
    }
    Ok(())
}

/// Whether `value` fits into a header; `what` begins the sentence that says that it does not.
pub(crate) fn carried(what: &str, value: &[u8]) -> Result<(), String> {
    match HeaderValue::from_bytes(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{what} has a line break or another character that a header cannot carry; correct it")),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::VaultConfig;

    fn with(name: &str, value: &str) -> Result<(), String> {
        check(&VaultConfig { headers: [(name.to_owned(), value.into())].into(), ..VaultConfig::default() })
    }

    #[test]
    fn headers_of_ones_own_are_fine() {
        for (name, value) in
            [("X-Tenant", "a"), ("Authorization", "Basic aHVudGVyMg=="), ("x-note", "ännchen"), ("X-E", "")]
        {
            assert_eq!(with(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_name() {
        for (name, value, told) in [
            ("X Y", "hunter2", "headers: \"X Y\" is not a name of an HTTP header; correct it"),
            ("", "hunter2", "headers: \"\" is not a name of an HTTP header; correct it"),
            ("X-Key", "hunter2\n", "headers: the value of X-Key has a line break"),
            ("Content-Length", "2", "headers: Content-Length is about the connection and would break it; remove it"),
            ("transfer-encoding", "chunked", "headers: transfer-encoding is about the connection"),
        ] {
            let error = with(name, value).expect_err(told);
            assert!(error.starts_with(told) && !error.contains("hunter2"), "{error}");
        }
        let broken = || Some("a\nb".to_owned());
        for (config, told) in [
            (VaultConfig { namespace: broken(), ..VaultConfig::default() }, "namespace: the name has a line break"),
            (
                VaultConfig { auth_namespace: broken(), ..VaultConfig::default() },
                "auth.namespace: the name has a line break",
            ),
        ] {
            assert!(check(&config).is_err_and(|error| error.starts_with(told)), "{told}");
        }
    }
}
