//! What the process's surroundings say. Nothing else in this crate reads the environment.

use std::{env, path::PathBuf};

use keyferry_clouds::{Variables, google};
use keyferry_core::Result;
use keyferry_rest::BaseUrl;

use crate::services::invalid;

/// Where Google's services are, and where the operator's own credentials lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The file of the application default credentials (`GOOGLE_APPLICATION_CREDENTIALS`). It must exist.
    pub credentials_file: Option<PathBuf>,
    /// Other addresses than Google's.
    pub endpoints: Endpoints,
    /// Where the gcloud tool leaves application default credentials. It need not exist.
    pub gcloud_file: Option<PathBuf>,
}

/// Other addresses than Google's, for private access and for tests. What a manifest may name is not touched by them:
/// there, only Google's own addresses are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_METADATA`: instead of the AWS metadata server that a federation's configuration names.
    pub aws_metadata: Option<BaseUrl>,
    /// `IAMCREDENTIALS`: instead of `https://iamcredentials.googleapis.com`.
    pub iam_credentials: Option<BaseUrl>,
    /// `METADATA`: instead of `http://metadata.google.internal`.
    pub metadata: Option<BaseUrl>,
    /// `OAUTH2`: instead of `https://oauth2.googleapis.com`.
    pub oauth2: Option<BaseUrl>,
    /// `SECRETMANAGER`: instead of `https://secretmanager.googleapis.com`, and of its regional siblings.
    pub secret_manager: Option<BaseUrl>,
    /// `SECURETOKEN`: instead of `https://securetoken.googleapis.com`.
    pub secure_token: Option<BaseUrl>,
    /// `STS`: instead of `https://sts.googleapis.com`.
    pub sts: Option<BaseUrl>,
}

impl Environment {
    /// The environment of this process.
    ///
    /// Fails with [`keyferry_core::ErrorKind::InvalidConfig`], naming the variable that is wrong.
    pub fn of_process() -> Result<Self> {
        Self::of(|name| env::var(name).ok())
    }

    /// The variables that `lookup` knows; an empty one counts as absent.
    ///
    /// | variable | is |
    /// |---|---|
    /// | `GOOGLE_APPLICATION_CREDENTIALS` | [`Environment::credentials_file`] |
    /// | `CLOUDSDK_CONFIG`, `HOME` | where gcloud keeps [`Environment::gcloud_file`] |
    /// | `GCE_METADATA_HOST` | host and port of the metadata server |
    /// | `KEYFERRY_GCP_…_ENDPOINT` | one of [`Endpoints`]; for …, see there |
    pub fn of(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let value = |name: &str| Variables::new(&lookup).text(name);
        let wrong = |problem: String| invalid("Configure", format!("{problem}; correct or remove it"));
        let logins = google::Endpoints::from_variables(&lookup).map_err(wrong)?;
        let endpoint = |service: &str| google::endpoint(&lookup, service).map_err(wrong);
        let gcloud = value("CLOUDSDK_CONFIG")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(value("HOME")?).join(".config/gcloud")));
        Ok(Self {
            credentials_file: value("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            endpoints: Endpoints {
                aws_metadata: endpoint("AWS_METADATA")?,
                iam_credentials: logins.iam_credentials,
                metadata: logins.metadata,
                oauth2: logins.oauth2,
                secret_manager: endpoint("SECRETMANAGER")?,
                secure_token: logins.secure_token,
                sts: logins.sts,
            },
            gcloud_file: gcloud.map(|folder| folder.join("application_default_credentials.json")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use keyferry_core::{ErrorKind, Result};

    use super::Environment;

    fn of(variables: &[(&str, &str)]) -> Result<Environment> {
        Environment::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_set_means_googles_own() {
        assert_eq!(of(&[]), Ok(Environment::default()));
        assert_eq!(of(&[("KEYFERRY_GCP_STS_ENDPOINT", "")]), Ok(Environment::default()));
    }

    #[test]
    fn each_service_has_its_variable() {
        let names = ["AWS_METADATA", "IAMCREDENTIALS", "METADATA", "OAUTH2", "SECRETMANAGER", "SECURETOKEN", "STS"];
        let variables: Vec<_> =
            names.iter().map(|name| (format!("KEYFERRY_GCP_{name}_ENDPOINT"), format!("http://{name}.test"))).collect();
        let variables: Vec<_> = variables.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
        let endpoints = of(&variables).expect("valid").endpoints;
        let urls = [
            endpoints.aws_metadata,
            endpoints.iam_credentials,
            endpoints.metadata,
            endpoints.oauth2,
            endpoints.secret_manager,
            endpoints.secure_token,
            endpoints.sts,
        ];
        let hosts: Vec<_> = urls.into_iter().map(|url| url.expect("set").to_string().to_uppercase()).collect();
        let expected: Vec<_> = names.iter().map(|name| format!("HTTP://{name}.TEST")).collect();
        assert_eq!(hosts, expected);
    }

    #[test]
    fn googles_variables_are_heeded() {
        let environment = of(&[
            ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/google/key.json"),
            ("GCE_METADATA_HOST", "127.0.0.1:8080"),
            ("HOME", "/root"),
        ])
        .expect("valid");
        assert_eq!(environment.credentials_file, Some(PathBuf::from("/etc/google/key.json")));
        assert_eq!(environment.endpoints.metadata.expect("set").to_string(), "http://127.0.0.1:8080");
        let file = "/root/.config/gcloud/application_default_credentials.json";
        assert_eq!(environment.gcloud_file, Some(PathBuf::from(file)));
        let moved = of(&[("CLOUDSDK_CONFIG", "/gcloud"), ("HOME", "/root")]).expect("valid").gcloud_file;
        assert_eq!(moved, Some(PathBuf::from("/gcloud/application_default_credentials.json")));
    }

    #[test]
    fn a_wrong_address_is_refused_by_name() {
        let error = of(&[("KEYFERRY_GCP_OAUTH2_ENDPOINT", "ftp://oauth2")]).expect_err("wrong");
        let expected = "the variable KEYFERRY_GCP_OAUTH2_ENDPOINT of the operator's environment must begin with https:// \
                        or http://; correct or remove it";
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, expected));
    }
}
