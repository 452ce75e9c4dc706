//! Identities from elsewhere, which a workload identity pool of Google's accepts.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_clouds::google::{
    AccessToken, Impersonation, SCOPE, SERVICE_ACCOUNT_ANNOTATION, Service, exchange, issued, refused,
};
use keyferry_core::{Result, SecretBytes};
use keyferry_rest::Lease;

use super::{
    Federation, Subject,
    aws::AwsSource,
    cred_config::{self, CredConfig, Trust},
    subject::{self, Source},
};
use crate::services::Services;

/// Who logs in where, checked.
#[derive(Debug)]
pub(super) struct ExternalAccount {
    /// The pool's provider.
    audience: String,
    /// OAuth client id and secret, for pools that ask for them.
    client: Option<(String, SecretBytes)>,
    impersonation: Option<Impersonation>,
    quota_project: Option<String>,
    source: Source,
    subject_token_type: String,
}

const OPERATION: &str = "ExchangeToken";

impl ExternalAccount {
    /// As a store describes it. The text of an error begins with the field that is wrong.
    pub(super) fn of_store(federation: Federation) -> Result<Self, String> {
        let Federation { audience, external_token_endpoint, service_account_email, subject } = federation;
        let audience = audience.filter(|audience| !audience.is_empty());
        let mut account = match subject {
            Subject::CredConfig(json) => {
                let trust = Trust::Store { token_endpoint: external_token_endpoint.as_deref() };
                let wrong = |text| format!("credConfig: {text}");
                cred_config::parse(&json, &trust).map(Self::of_config).map_err(wrong)?
            }
            Subject::ServiceAccount { audiences, tokens } => {
                let impersonation = match tokens.annotation(SERVICE_ACCOUNT_ANNOTATION) {
                    None | Some("") => None,
                    Some(email) => Some(Impersonation::new(email).map_err(|text| {
                        format!("serviceAccountRef: the annotation {SERVICE_ACCOUNT_ANNOTATION}: {text}")
                    })?),
                };
                Self { impersonation, ..Self::from_source(Source::ServiceAccount { audiences, tokens }, exchange::JWT) }
            }
            Subject::Aws { credentials, region } => {
                let wrong = |text| format!("awsSecurityCredentials: {text}");
                let source = AwsSource::with_keys(credentials, region).map_err(wrong)?;
                Self::from_source(Source::Aws(source), subject::AWS_REQUEST)
            }
        };
        if let Some(audience) = audience {
            account.audience = audience;
        }
        if account.audience.is_empty() {
            return Err("audience is missing; name the provider of the workload identity pool, like \
                        //iam.googleapis.com/projects/…/locations/global/workloadIdentityPools/…/providers/…"
                .into());
        }
        if let Some(email) = service_account_email {
            let impersonation = Impersonation::new(&email).map_err(|text| format!("gcpServiceAccountEmail: {text}"))?;
            account.impersonation = Some(impersonation);
        }
        Ok(account)
    }

    /// As a configuration file describes it.
    pub(super) fn of_config(config: CredConfig) -> Self {
        let CredConfig { audience, client, impersonation, quota_project, source, subject_token_type } = config;
        Self { audience, client, impersonation, quota_project, source, subject_token_type }
    }

    fn from_source(source: Source, subject_token_type: &str) -> Self {
        Self {
            audience: String::new(),
            client: None,
            impersonation: None,
            quota_project: None,
            source,
            subject_token_type: subject_token_type.to_owned(),
        }
    }

    pub(super) async fn login(&self, services: &Services) -> Result<Lease<AccessToken>> {
        let subject = self.source.token(services, &self.audience).await?;
        let federated = self.exchange(services, &subject).await?;
        let mut lease = match &self.impersonation {
            None => federated,
            Some(impersonation) => impersonation.login(&services.google, &federated.token.bearer).await?,
        };
        lease.token.quota_project.clone_from(&self.quota_project);
        Ok(lease)
    }

    async fn exchange(&self, services: &Services, subject: &SecretBytes) -> Result<Lease<AccessToken>> {
        let form = [
            ("audience", self.audience.as_str()),
            ("grant_type", exchange::GRANT_TYPE),
            ("requested_token_type", exchange::ACCESS_TOKEN),
            ("scope", SCOPE),
            ("subject_token", subject.expose_str().unwrap_or_default()),
            ("subject_token_type", &self.subject_token_type),
        ];
        let mut request = services
            .google
            .http
            .post(OPERATION, services.google.url(OPERATION, Service::Sts, "v1/token")?)
            .about(format!("the login at {}", self.audience))
            .form(&form);
        if let Some((id, secret)) = &self.client {
            let both = [id.as_bytes(), b":", secret.expose()].concat();
            let header = SecretBytes::from(format!("Basic {}", STANDARD.encode(both)));
            request = request.secret_header("Authorization", &header);
        }
        let answer = request.send().await?;
        if answer.is_success() { issued(&answer) } else { Err(refused(&answer, |word| self.refusal(word))) }
    }

    fn refusal(&self, word: &str) -> String {
        let audience = &self.audience;
        match word {
            "invalid_grant" => format!(
                "{audience} does not accept the {}; check the provider's issuer, its allowed audiences, and the \
                 audiences that the store asks for",
                self.source.described()
            ),
            "unauthorized_client" | "access_denied" => {
                format!("the attribute condition of {audience} turns the {} away", self.source.described())
            }
            _ => format!("Google does not know the audience {audience}; check pool and provider in `audience`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use async_trait::async_trait;
    use keyferry_clouds::google::Impersonation;
    use keyferry_core::{Result, SecretBytes, ServiceAccountToken, TokenSource};
    use serde_json::json;

    use super::{ExternalAccount, Federation, Subject};
    use crate::AwsCredentials;

    #[derive(Debug)]
    struct Annotated(Option<&'static str>);

    #[async_trait]
    impl TokenSource for Annotated {
        async fn token(&self, _: &[String], valid_for: Duration) -> Result<ServiceAccountToken> {
            Ok(ServiceAccountToken { token: SecretBytes::from("jwt"), valid_for })
        }

        fn annotation(&self, key: &str) -> Option<&str> {
            self.0.filter(|_| key == "iam.gke.io/gcp-service-account")
        }
    }

    fn federation(subject: Subject) -> Federation {
        Federation {
            audience: Some("//iam.googleapis.com/pool".into()),
            external_token_endpoint: None,
            service_account_email: None,
            subject,
        }
    }

    fn service_account(annotation: Option<&'static str>) -> Federation {
        federation(Subject::ServiceAccount { audiences: vec!["a".into()], tokens: Arc::new(Annotated(annotation)) })
    }

    fn config() -> Federation {
        let json = json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/other",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "token_url": "https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url":
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/c@p.iam.gserviceaccount.com:generateAccessToken",
            "credential_source": {"file": "/tokens/a"},
        });
        federation(Subject::CredConfig(json.to_string().into_bytes()))
    }

    fn acts_as(federation: Federation) -> Option<Impersonation> {
        ExternalAccount::of_store(federation).unwrap().impersonation
    }

    #[test]
    fn the_stores_account_goes_before_the_annotation_and_the_configuration() {
        let account = |email| Some(Impersonation::new(email).unwrap());
        let email = |federation| Federation { service_account_email: Some("s@x".into()), ..federation };
        assert_eq!(acts_as(service_account(None)), None);
        assert_eq!(acts_as(service_account(Some("a@x"))), account("a@x"));
        assert_eq!(acts_as(email(service_account(Some("a@x")))), account("s@x"));
        assert_eq!(acts_as(config()), account("c@p.iam.gserviceaccount.com"));
        assert_eq!(acts_as(email(config())), account("s@x"));
    }

    #[test]
    fn the_stores_audience_goes_before_the_configurations() {
        let audience = |federation| ExternalAccount::of_store(federation).unwrap().audience;
        assert_eq!(audience(config()), "//iam.googleapis.com/pool");
        assert_eq!(audience(Federation { audience: None, ..config() }), "//iam.googleapis.com/other");
    }

    #[test]
    fn wrong_settings_are_refused_by_field() {
        let error = |federation| ExternalAccount::of_store(federation).expect_err("wrong");
        let no_audience = Federation { audience: None, ..service_account(None) };
        assert!(error(no_audience).starts_with("audience is missing"));
        let email = Federation { service_account_email: Some("x/y".into()), ..service_account(None) };
        assert!(error(email).starts_with("gcpServiceAccountEmail: \"x/y\" is no address"));
        let annotated = error(service_account(Some("x y")));
        assert!(annotated.starts_with("serviceAccountRef: the annotation iam.gke.io/gcp-service-account: \"x y\""));
        let config = error(federation(Subject::CredConfig(b"hunter2".to_vec())));
        assert!(config.starts_with("credConfig: ") && !config.contains("hunter2"), "{config}");
        let empty = SecretBytes::default;
        let credentials = AwsCredentials { access_key_id: empty(), secret_access_key: empty(), session_token: None };
        let aws = error(federation(Subject::Aws { credentials, region: "eu-west-1".into() }));
        assert!(aws.starts_with("awsSecurityCredentials: "), "{aws}");
    }
}
