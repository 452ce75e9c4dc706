//! The JSON that describes an external account, as `gcloud iam workload-identity-pools create-cred-config` writes it.
//!
//! It may come from somebody who may write a store and nothing else. Whoever reads it makes requests and reads files in
//! the operator's name, so only what is known to be harmless is accepted.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keyferry_clouds::google::{Impersonation, check_universe, exchange};
use keyferry_core::SecretBytes;
use keyferry_rest::Url;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    aws::{AwsMetadata, AwsSource},
    subject::{self, Format, Source},
};

/// A configuration, checked.
#[derive(Debug)]
pub(super) struct CredConfig {
    pub(super) audience: String,
    pub(super) client: Option<(String, SecretBytes)>,
    pub(super) impersonation: Option<Impersonation>,
    pub(super) quota_project: Option<String>,
    pub(super) source: Source,
    pub(super) subject_token_type: String,
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust<'a> {
    /// The operator's own, who could do everything that it asks for anyway.
    Operator,
    /// A store's.
    Store {
        /// `externalTokenEndpoint`: the one URL that tokens may be taken from.
        token_endpoint: Option<&'a str>,
    },
}

const TOKEN_URL: &str = "https://sts.googleapis.com/v1/token";

/// Where the operator's own token lies, which opens the API server.
pub(super) const OPERATORS_TOKENS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    audience: String,
    client_id: Option<String>,
    #[serde(default, deserialize_with = "keyferry_rest::optional_secret")]
    client_secret: Option<SecretBytes>,
    credential_source: Option<CredentialSource>,
    quota_project_id: Option<String>,
    service_account_impersonation: Option<Lifetime>,
    service_account_impersonation_url: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    universe_domain: Option<String>,
    workforce_pool_user_project: Option<String>,
}

#[derive(Deserialize)]
struct Lifetime {
    token_lifetime_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
struct CredentialSource {
    certificate: Option<IgnoredAny>,
    environment_id: Option<String>,
    executable: Option<IgnoredAny>,
    file: Option<PathBuf>,
    format: Option<FormatFile>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    imdsv2_session_token_url: Option<String>,
    region_url: Option<String>,
    regional_cred_verification_url: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct FormatFile {
    subject_token_field_name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Reads and checks a configuration. The text of an error names the member that is wrong, and nothing of its content.
pub(super) fn parse(json: &[u8], trust: &Trust<'_>) -> Result<CredConfig, String> {
    let file: File = serde_json::from_slice(json)
        .map_err(|_| "it is not a JSON credential configuration; store the file as gcloud wrote it")?;
    if file.kind.as_deref() != Some("external_account") {
        return Err("\"type\" is not \"external_account\"".into());
    }
    if file.token_url.as_deref().is_some_and(|url| url != TOKEN_URL) {
        return Err(format!("\"token_url\" is not {TOKEN_URL}"));
    }
    check_universe(file.universe_domain.as_deref())?;
    if file.workforce_pool_user_project.is_some_and(|project| !project.is_empty()) {
        return Err("\"workforce_pool_user_project\": pools of a workforce are for people, not for workloads".into());
    }
    let lifetime = file.service_account_impersonation.and_then(|lifetime| lifetime.token_lifetime_seconds);
    let impersonation = file.service_account_impersonation_url.filter(|url| !url.is_empty());
    let impersonation = impersonation.map(|url| Impersonation::from_url(&url)).transpose()?;
    let source = file.credential_source.unwrap_or_default().check(trust)?;
    let by_default = if matches!(source, Source::Aws(_)) { subject::AWS_REQUEST } else { exchange::JWT };
    Ok(CredConfig {
        audience: file.audience,
        client: file.client_id.zip(file.client_secret),
        impersonation: impersonation.map(|impersonation| impersonation.lasting(lifetime)),
        quota_project: file.quota_project_id,
        source,
        subject_token_type: file.subject_token_type.unwrap_or_else(|| by_default.to_owned()),
    })
}

impl CredentialSource {
    fn check(self, trust: &Trust<'_>) -> Result<Source, String> {
        if self.executable.is_some() {
            return Err(
                "\"credential_source.executable\" is not allowed: the operator runs no programs of others".into()
            );
        }
        if self.certificate.is_some() {
            return Err("\"credential_source.certificate\" is not supported".into());
        }
        let format = self.format.map_or(Ok(Format::Text), FormatFile::check)?;
        match (self.environment_id, self.url, self.file) {
            (Some(environment), url, _) if !environment.is_empty() => {
                if !environment.to_ascii_lowercase().starts_with("aws") {
                    return Err("\"credential_source.environment_id\" does not begin with \"aws\"".into());
                }
                let metadata = AwsMetadata::new(
                    url.as_deref().unwrap_or_default(),
                    self.region_url.as_deref().unwrap_or_default(),
                    self.imdsv2_session_token_url.as_deref().filter(|url| !url.is_empty()),
                )?;
                Ok(Source::Aws(AwsSource::with_metadata(metadata, self.regional_cred_verification_url)?))
            }
            (_, Some(url), _) if !url.is_empty() => {
                Self::check_url(&url, trust).map(|url| Source::Url { format, headers: self.headers, url })
            }
            (_, _, Some(path)) if !path.as_os_str().is_empty() => {
                check_path(&path, trust)?;
                Ok(Source::File { allows_own_token: matches!(trust, Trust::Operator), format, path })
            }
            _ => Err("\"credential_source\" names no \"file\", \"url\" or \"environment_id\"".into()),
        }
    }

    fn check_url(text: &str, trust: &Trust<'_>) -> Result<Url, String> {
        if let Trust::Store { token_endpoint } = trust
            && *token_endpoint != Some(text)
        {
            return Err("\"credential_source.url\" is not what the store's externalTokenEndpoint says".into());
        }
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| "\"credential_source.url\" is no URL of http or https".into())
    }
}

/// Not everybody who may write a store may do what the operator may do. Paths that lead there in other ways are found
/// when the file is read.
fn check_path(path: &Path, trust: &Trust<'_>) -> Result<(), String> {
    match trust {
        Trust::Store { .. } if path.starts_with(OPERATORS_TOKENS) => Err(
            "\"credential_source.file\" is the operator's own token; name a ServiceAccount in serviceAccountRef instead"
                .into(),
        ),
        _ => Ok(()),
    }
}

impl FormatFile {
    fn check(self) -> Result<Format, String> {
        match (self.kind.as_deref(), self.subject_token_field_name) {
            (None | Some("" | "text"), _) => Ok(Format::Text),
            (Some("json"), Some(field)) => Ok(Format::Json { field }),
            (Some("json"), None) => {
                Err("\"credential_source.format\" has the type json, but no \"subject_token_field_name\"".into())
            }
            (Some(_), _) => Err("\"credential_source.format.type\" is neither \"text\" nor \"json\"".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CredConfig, Trust, parse};
    use crate::auth::subject::Source;

    const STORE: Trust<'_> = Trust::Store { token_endpoint: Some("https://idp.example/token?a=b") };

    fn config(source: &Value) -> Value {
        json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "token_info_url": "https://sts.googleapis.com/v1/introspect",
            "credential_source": source,
        })
    }

    fn read(config: &Value, trust: &Trust<'_>) -> Result<CredConfig, String> {
        parse(config.to_string().as_bytes(), trust)
    }

    fn refused(member: &str, value: impl Into<Value>) -> String {
        let mut config = config(&json!({"file": "/tokens/a"}));
        config[member] = value.into();
        read(&config, &STORE).expect_err(member)
    }

    fn source_refused(source: &Value) -> String {
        read(&config(source), &STORE).expect_err("a wrong source")
    }

    fn aws(member: &str, value: &str) -> Value {
        let mut source = json!({
            "environment_id": "aws1",
            "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
            "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
            "regional_cred_verification_url":
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
            "imdsv2_session_token_url": "http://169.254.169.254/latest/api/token",
        });
        source[member] = json!(value);
        source
    }

    #[test]
    fn all_three_sources_are_read() {
        let source = |source: Value| read(&config(&source), &STORE).expect("valid").source;
        assert!(matches!(source(json!({"file": "/tokens/a"})), Source::File { .. }));
        let url = json!({
            "url": "https://idp.example/token?a=b",
            "headers": {"X-A": "b"},
            "format": {"type": "json", "subject_token_field_name": "id_token"},
        });
        assert!(matches!(source(url), Source::Url { .. }));
        assert!(matches!(source(aws("environment_id", "aws1")), Source::Aws(_)));
        assert!(matches!(
            source(aws("url", "http://[fd00:ec2::254]/latest/meta-data/iam/security-credentials")),
            Source::Aws(_)
        ));
        let global = "https://sts.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        assert!(matches!(source(aws("regional_cred_verification_url", global)), Source::Aws(_)));
    }

    #[test]
    fn each_forbidden_or_broken_member_has_its_message() {
        let evil = "http://evil.example/hunter2";
        for (error, expected) in [
            (parse(b"hunter2", &STORE).expect_err("no JSON"), "it is not a JSON credential configuration"),
            (refused("type", "service_account"), "\"type\" is not \"external_account\""),
            (refused("token_url", evil), "\"token_url\" is not https://sts.googleapis.com/v1/token"),
            (refused("universe_domain", "hunter2.example"), "\"universe_domain\" is not googleapis.com"),
            (refused("service_account_impersonation_url", evil), "\"service_account_impersonation_url\" is not https"),
            (refused("workforce_pool_user_project", "p"), "\"workforce_pool_user_project\""),
            (refused("credential_source", Value::Null), "\"credential_source\" names no \"file\""),
            (
                source_refused(&json!({"executable": {"command": "hunter2"}})),
                "\"credential_source.executable\" is not allowed",
            ),
            (source_refused(&json!({"certificate": {}})), "\"credential_source.certificate\" is not supported"),
            (
                source_refused(&json!({"url": evil})),
                "\"credential_source.url\" is not what the store's externalTokenEndpoint",
            ),
            (
                source_refused(&json!({"file": "/var/run/secrets/kubernetes.io/serviceaccount/token"})),
                "\"credential_source.file\" is the operator's own token",
            ),
            (
                source_refused(&json!({"file": "/a", "format": {"type": "xml"}})),
                "\"credential_source.format.type\" is neither",
            ),
            (
                source_refused(&json!({"file": "/a", "format": {"type": "json"}})),
                "\"credential_source.format\" has the type json",
            ),
            (source_refused(&aws("environment_id", "azure1")), "\"credential_source.environment_id\" does not begin"),
            (
                source_refused(&aws("url", evil)),
                "\"credential_source.url\" is not http://169.254.169.254/latest/meta-data/iam/",
            ),
            (
                source_refused(&aws("region_url", evil)),
                "\"credential_source.region_url\" is not http://169.254.169.254/latest/",
            ),
            (
                source_refused(&aws("imdsv2_session_token_url", evil)),
                "\"credential_source.imdsv2_session_token_url\" is not",
            ),
            (
                source_refused(&aws("regional_cred_verification_url", evil)),
                "\"credential_source.regional_cred_verification_url\" is not",
            ),
            (
                source_refused(&aws("regional_cred_verification_url", "https://sts.hunter2.s3.amazonaws.com/")),
                "\"credential_source.regional_cred_verification_url\" is not",
            ),
        ] {
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_operators_own_configuration_may_name_any_file_and_url() {
        let own = json!({"file": "/var/run/secrets/kubernetes.io/serviceaccount/token"});
        read(&config(&own), &Trust::Operator).unwrap();
        read(&config(&json!({"url": "http://127.0.0.1/token"})), &Trust::Operator).unwrap();
        read(&config(&json!({"url": "ftp://127.0.0.1/token"})), &Trust::Operator).unwrap_err();
        read(&config(&json!({"executable": {}})), &Trust::Operator).unwrap_err();
    }

    #[test]
    fn without_an_endpoint_in_the_store_no_url_is_taken() {
        let nowhere = Trust::Store { token_endpoint: None };
        read(&config(&json!({"url": "https://idp.example/token?a=b"})), &nowhere).unwrap_err();
    }
}
