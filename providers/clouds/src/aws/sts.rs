//! Sessions of roles, from the Security Token Service.

use std::{sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sts::{
    Client,
    config::{BehaviorVersion, Config, Region, http::HttpResponse, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    types::Credentials as Issued,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use keyferry_core::{CallReport, Error, ErrorKind, Result, TokenSource};

use super::{
    Role, Sts,
    sign::{ORIGIN, Signer},
};

/// Who asks STS.
#[derive(Debug)]
pub(super) struct Assumer {
    pub(super) sts: Sts,
    pub(super) provider: &'static str,
    pub(super) purpose: &'static str,
}

/// A ServiceAccount that may assume a role.
#[derive(Debug)]
pub(super) struct WebIdentity {
    tokens: Arc<dyn TokenSource>,
    region: String,
    role: String,
    audience: String,
    assumer: Assumer,
}

const ASSUME_ROLE: &str = "AssumeRole";
const ASSUME_WITH_TOKEN: &str = "AssumeRoleWithWebIdentity";

/// The name of the sessions of ServiceAccounts: trust policies that were written for another operator test it.
const WEB_IDENTITY_SESSION: &str = "external-secrets-provider-vault";
const ROLE_SESSION: &str = "keyferry";

/// The annotations by which EKS ties a ServiceAccount to a role.
const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// The token is used at once, and this is the shortest life that API servers give.
const TOKEN_TTL: Duration = Duration::from_mins(10);

impl WebIdentity {
    pub(super) fn new(tokens: Arc<dyn TokenSource>, region: String, assumer: Assumer) -> Result<Self> {
        let annotation = |key| tokens.annotation(key).map(str::trim).filter(|value| !value.is_empty());
        let role = annotation(ROLE_ARN).map(str::to_owned).ok_or_else(|| {
            let purpose = assumer.purpose;
            let text = format!(
                "the ServiceAccount for {purpose} has no annotation {ROLE_ARN}; annotate it with the role's ARN"
            );
            Error::new(ErrorKind::InvalidConfig, assumer.provider, "Configure", text)
        })?;
        let audience = annotation(AUDIENCE).unwrap_or(DEFAULT_AUDIENCE).to_owned();
        Ok(Self { tokens, region, role, audience, assumer })
    }

    pub(super) async fn signer(&self) -> Result<Signer> {
        let token = self.tokens.token(std::slice::from_ref(&self.audience), TOKEN_TTL).await?.token;
        let sent = self
            .assumer
            .client(&self.region, None)
            .assume_role_with_web_identity()
            .role_arn(&self.role)
            .role_session_name(WEB_IDENTITY_SESSION)
            .web_identity_token(token.expose_str().unwrap_or_default())
            .send();
        let answer = self.assumer.exchange(ASSUME_WITH_TOKEN, &self.role, sent).await?;
        self.assumer.signer(ASSUME_WITH_TOKEN, answer.credentials, self.region.clone())
    }
}

impl Assumer {
    /// A session of `role` for whoever `signer` is.
    pub(super) async fn assume(&self, signer: Signer, role: &Role) -> Result<Signer> {
        let Signer { credentials, region } = signer;
        let sent = self
            .client(&region, Some(credentials))
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(ROLE_SESSION)
            .set_external_id(role.external_id.clone())
            .send();
        let answer = self.exchange(ASSUME_ROLE, &role.arn, sent).await?;
        self.signer(ASSUME_ROLE, answer.credentials, region)
    }

    fn client(&self, region: &str, credentials: Option<Credentials>) -> Client {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(http)
            .retry_config(RetryConfig::disabled());
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        if let Some(endpoint) = &self.sts.endpoint {
            config = config.endpoint_url(endpoint.to_string());
        }
        Client::from_conf(config.build())
    }

    async fn exchange<T, E: ProvideErrorMetadata>(
        &self,
        operation: &'static str,
        role: &str,
        sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T> {
        let report = CallReport::begin(&*self.sts.observer, self.provider, operation);
        let answer = sent.await.map_err(|failure| self.failed(operation, role, &failure));
        report.end(answer.as_ref().map(drop).map_err(|error| error.kind));
        answer
    }

    /// Of a refusal only AWS's own code for it is shown: the rest may hold what nobody should see.
    fn failed<E: ProvideErrorMetadata>(
        &self,
        operation: &'static str,
        role: &str,
        failure: &SdkError<E, HttpResponse>,
    ) -> Error {
        let error = |kind, text: String| Error::new(kind, self.provider, operation, text);
        let purpose = self.purpose;
        match failure {
            SdkError::TimeoutError(_) => {
                error(ErrorKind::TimedOut, format!("AWS did not answer in time about {role} for {purpose}"))
            }
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code().filter(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                let code = code.unwrap_or("no reason told");
                let (kind, text) = match (code, status) {
                    ("Throttling" | "ThrottlingException" | "RequestLimitExceeded", _) | (_, 429) => {
                        (ErrorKind::Throttled, format!("AWS asks to slow down ({code})"))
                    }
                    (_, 400..=499) => (
                        ErrorKind::Unauthenticated,
                        format!(
                            "AWS does not let {purpose} act as {role} ({code}); check that the role exists and that its \
                             trust policy admits the identity, its audience and the external ID"
                        ),
                    ),
                    _ => (ErrorKind::Unavailable, format!("AWS cannot answer about {role} for {purpose} ({code})")),
                };
                error(kind, text).with_status(status)
            }
            SdkError::ConstructionFailure(_) => error(
                ErrorKind::InvalidConfig,
                format!("the request about {role} for {purpose} cannot be made; check role and region"),
            ),
            _ => error(ErrorKind::Unavailable, format!("AWS cannot be reached about {role} for {purpose}")),
        }
    }

    fn signer(&self, operation: &'static str, issued: Option<Issued>, region: String) -> Result<Signer> {
        let issued = issued.filter(|issued| !issued.access_key_id.is_empty() && !issued.secret_access_key.is_empty());
        let issued = issued.ok_or_else(|| {
            let text = format!("the answer of AWS for {} holds no credentials", self.purpose);
            Error::new(ErrorKind::Malformed, self.provider, operation, text)
        })?;
        let (id, secret, token) = (issued.access_key_id, issued.secret_access_key, issued.session_token);
        Ok(Signer { credentials: Credentials::new(id, secret, Some(token), None, ORIGIN), region })
    }
}
