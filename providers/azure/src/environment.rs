//! What the process's surroundings say. Nothing else in this crate reads the environment.

use std::path::PathBuf;

use keyferry_clouds::Variables;
use keyferry_rest::BaseUrl;

/// The operator's own workload identity, and where Azure's services are if not at their usual addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Instead of the Entra ID that the store's cloud has.
    pub authority: Option<BaseUrl>,
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// Instead of the link-local address of the metadata service, `http://169.254.169.254`.
    pub metadata: Option<BaseUrl>,
    /// `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
}

impl Environment {
    /// Reads the environment variables that `variable` looks up; an empty one counts as absent. The text of an error
    /// names the variable that is wrong.
    ///
    /// `AZURE_AUTHORITY_HOST` is not read: which cloud it is stands in the store. The variables that Azure's webhook
    /// sets are read as they are, `AZURE_POD_IDENTITY_AUTHORITY_HOST` names the metadata service, and
    /// `KEYFERRY_AZURE_AUTHORITY_ENDPOINT` Entra ID.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variables = Variables::new(variable);
        Ok(Self {
            authority: variables.address("KEYFERRY_AZURE_AUTHORITY_ENDPOINT")?,
            client_id: variables.text("AZURE_CLIENT_ID"),
            federated_token_file: variables.text("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            metadata: variables.address("AZURE_POD_IDENTITY_AUTHORITY_HOST")?,
            tenant_id: variables.text("AZURE_TENANT_ID"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    fn of(variables: &[(&str, &str)]) -> Result<Environment, String> {
        Environment::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_nothing_said() {
        assert_eq!(of(&[("AZURE_CLIENT_ID", " "), ("AZURE_AUTHORITY_HOST", "https://a")]), Ok(Environment::default()));
    }

    #[test]
    fn each_variable_is_heard() {
        let environment = of(&[
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/var/token"),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1"),
            ("AZURE_TENANT_ID", "t"),
            ("KEYFERRY_AZURE_AUTHORITY_ENDPOINT", "http://127.0.0.1:2"),
        ])
        .unwrap();
        assert_eq!(environment.client_id.as_deref(), Some("c"));
        assert_eq!(environment.federated_token_file, Some("/var/token".into()));
        assert_eq!(environment.metadata.unwrap().to_string(), "http://127.0.0.1:1");
        assert_eq!(environment.tenant_id.as_deref(), Some("t"));
        assert_eq!(environment.authority.unwrap().to_string(), "http://127.0.0.1:2");
    }

    #[test]
    fn a_wrong_address_is_told_by_its_variable() {
        let error = of(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "hunter2")]).unwrap_err();
        let expected = "the variable AZURE_POD_IDENTITY_AUTHORITY_HOST of the operator's environment is not a URL";
        assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
    }
}
