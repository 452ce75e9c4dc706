//! What AWS's answers mean. Of an answer only the error code, the status, the request id and the name of an IAM
//! action get into an error: everything else may hold what nobody should see.

mod code;

use std::{error::Error as StdError, io, time::Duration};

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::Headers,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use keyferry_core::{Error, ErrorKind, Retry};

use self::code::{denied_action, is_word, kind_of, kind_of_status};

/// An operation of an AWS API, and with that the IAM action that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// The service as IAM spells it.
    pub(crate) service: &'static str,
    /// The operation as AWS spells it.
    pub(crate) name: &'static str,
}

/// What a call was made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    pub(crate) provider: &'static str,
    pub(crate) action: Action,
    /// What it was about, as the sentence of an error names it: `secret team/db`.
    pub(crate) about: &'a str,
}

/// A refusal in AWS's own words: the answer to a whole call, or to one item of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refusal<'a> {
    pub(crate) code: Option<&'a str>,
    /// Never shown; looked at for what the code does not tell.
    pub(crate) message: Option<&'a str>,
    pub(crate) status: Option<u16>,
}

impl Action {
    fn is_login(self) -> bool {
        self.service == "sts" && self.name.starts_with("AssumeRole")
    }
}

impl Purpose<'_> {
    /// What became of a call that was not answered as it should be.
    pub(crate) fn failed<E: ProvideErrorMetadata>(&self, failure: &SdkError<E, HttpResponse>) -> Error {
        let about = self.about;
        match failure {
            SdkError::TimeoutError(_) => self.timed_out(),
            SdkError::DispatchFailure(dispatch) => match dispatch.as_connector_error() {
                Some(connector) if connector.is_timeout() => self.timed_out(),
                Some(connector) => self.unreachable(connector),
                None => self.error(ErrorKind::Unavailable, format!("AWS cannot be reached for {about}")),
            },
            SdkError::ResponseError(answer) => {
                let error = self.error(ErrorKind::Malformed, format!("the answer about {about} ended half way"));
                error
                    .with_retry(Retry::Backoff)
                    .with_status(answer.raw().status().as_u16())
                    .with_request_id(id(failure))
            }
            SdkError::ServiceError(answer) => {
                let (status, told) = (answer.raw().status().as_u16(), answer.err());
                let refusal = Refusal { code: told.code(), message: told.message(), status: Some(status) };
                let error = self.refused(refusal).with_status(status).with_request_id(id(failure));
                match retry_after(answer.raw().headers()) {
                    Some(pause) if error.retry == Retry::Backoff => error.with_retry(Retry::After(pause)),
                    _ => error,
                }
            }
            // Nothing was sent.
            _ => self.error(
                ErrorKind::InvalidConfig,
                format!(
                    "the request for {about} cannot be made; check the store's region and the operator's endpoints"
                ),
            ),
        }
    }

    /// What AWS's refusal means.
    pub(crate) fn refused(&self, refusal: Refusal<'_>) -> Error {
        let Self { about, action, .. } = self;
        let message = refusal.message.unwrap_or_default();
        let code = refusal.code.filter(|code| is_word(code));
        let marked = message.contains("marked for deletion") || message.contains("marked deleted");
        let (kind, text) = match (code, refusal.status) {
            (Some(code), _) if marked && kind_of(code) == Some(ErrorKind::InvalidConfig) => {
                (ErrorKind::NotFound, format!("{about} is marked for deletion"))
            }
            (Some(code), status) => {
                let kind = match kind_of(code).unwrap_or_else(|| kind_of_status(status)) {
                    // To be denied a role is to be denied the login.
                    ErrorKind::AccessDenied if action.is_login() => ErrorKind::Unauthenticated,
                    kind => kind,
                };
                (kind, self.text(kind, code, message))
            }
            (None, Some(200..=299)) => {
                (ErrorKind::Malformed, format!("the answer about {about} is not what AWS promises"))
            }
            (None, status) => {
                let kind = kind_of_status(status);
                (kind, format!("the server did not answer about {about} as AWS does; check the endpoint and the proxy"))
            }
        };
        self.error(kind, text)
    }

    /// An answer that looked good, and lacks what it should hold.
    pub(crate) fn lacking(&self, what: &str) -> Error {
        self.error(ErrorKind::Malformed, format!("the answer about {} holds no {what}", self.about))
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.provider, self.action.name, message)
    }

    fn timed_out(&self) -> Error {
        self.error(ErrorKind::TimedOut, format!("AWS did not answer in time about {}", self.about))
    }

    fn unreachable(&self, connector: &(dyn StdError + 'static)) -> Error {
        let about = self.about;
        match find::<rustls::Error>(connector) {
            // Another try meets the same certificate.
            Some(rustls::Error::InvalidCertificate(_)) => self
                .error(
                    ErrorKind::Unavailable,
                    format!(
                        "no TLS connection for {about}: the certificate is not acceptable; a proxy's CA belongs in \
                             the operator's system certificates (SSL_CERT_FILE)"
                    ),
                )
                .with_retry(Retry::Never),
            Some(_) => self.error(ErrorKind::Unavailable, format!("no TLS connection for {about}; check the endpoint")),
            None => self.error(
                ErrorKind::Unavailable,
                format!("AWS cannot be reached for {about}; check the region, the endpoint and the way there"),
            ),
        }
    }

    fn text(&self, kind: ErrorKind, code: &str, message: &str) -> String {
        let Self { about, action: Action { service, name }, .. } = self;
        match kind {
            ErrorKind::AccessDenied => match denied_action(message) {
                Some(action) => format!("AWS denies {about} ({code}); allow {action} to the login"),
                None if code == "DecryptionFailure" || code == "InvalidKeyId" || message.contains("KMS") => {
                    format!(
                        "AWS denies {about} ({code}); allow kms:Decrypt to the login, and check that its key is enabled"
                    )
                }
                None => format!("AWS denies {about} ({code}); allow {service}:{name} to the login"),
            },
            ErrorKind::Unauthenticated => match code {
                "AccessDenied" | "IDPRejectedClaim" => format!(
                    "AWS refuses {about} ({code}); it must exist, and its trust policy must allow {service}:{name} to \
                     who asks"
                ),
                "ExpiredToken" | "ExpiredTokenException" => {
                    format!("the session has ended ({code}); renew the credentials")
                }
                "InvalidIdentityToken" => format!(
                    "AWS refuses {about} ({code}); IAM must have an OIDC provider for the cluster's issuer, with the \
                     token's audience"
                ),
                "InvalidSignatureException" | "RequestExpired" | "SignatureDoesNotMatch" => format!(
                    "AWS does not accept the signature ({code}); check the secret access key and the node's clock"
                ),
                _ => format!(
                    "AWS does not know the login ({code}); check the access key, its session token and the region"
                ),
            },
            ErrorKind::NotFound => format!("there is no {about}"),
            ErrorKind::Throttled => format!("AWS asks to slow down with {about} ({code})"),
            ErrorKind::Unavailable | ErrorKind::TimedOut => format!("AWS failed on {about} ({code})"),
            ErrorKind::Unsupported => format!("the endpoint does not know {name} ({code}); check the endpoint"),
            ErrorKind::InvalidConfig | ErrorKind::Malformed if self.action.is_login() => format!(
                "AWS does not accept the request for {about} ({code}); check its ARN, the session tags, and that the \
                 region is enabled"
            ),
            ErrorKind::InvalidConfig | ErrorKind::Malformed => format!(
                "AWS does not accept the request for {about} ({code}); check key, version, and what is to be found"
            ),
        }
    }
}

fn id<E>(failure: &SdkError<E, HttpResponse>) -> Option<String> {
    let id = failure.request_id()?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'/' | b'+');
    ((1..=64).contains(&id.len()) && id.bytes().all(harmless)).then(|| id.to_owned())
}

/// A pause that is longer than this is a mistake of the server.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// AWS counts seconds in the standard header, and milliseconds in its own.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.trim().parse().ok();
    let pause = number("retry-after").map(Duration::from_secs);
    pause.or_else(|| number("x-amz-retry-after").map(Duration::from_millis)).map(|pause| pause.min(LONGEST_PAUSE))
}

/// The innermost `E` among the causes of `error`, with a look inside I/O errors, which hide theirs.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut cause = Some(error);
    while let Some(current) = cause {
        found = current.downcast_ref::<E>().or(found);
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    found
}

/// Whether AWS itself, and not a proxy before it, knows the login and denies it this: AWS numbers all its answers.
pub(crate) fn is_denied_by_aws(error: &Error) -> bool {
    error.kind == ErrorKind::AccessDenied && error.request_id.is_some()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_smithy_runtime_api::http::Headers;
    use keyferry_core::{ErrorKind, Retry};

    use super::{Action, Purpose, Refusal, retry_after};

    const READ: Purpose<'_> = Purpose {
        provider: "AWS/SecretsManager",
        action: Action { service: "secretsmanager", name: "GetSecretValue" },
        about: "secret a",
    };
    const ASSUME: Purpose<'_> =
        Purpose { action: Action { service: "sts", name: "AssumeRole" }, about: "role r", ..READ };

    fn refusal<'a>(code: &'a str, message: &'a str) -> Refusal<'a> {
        Refusal { code: Some(code), message: Some(message), status: Some(400) }
    }

    #[test]
    fn each_code_has_its_kind() {
        for (code, kind) in [
            ("AccessDeniedException", ErrorKind::AccessDenied),
            ("DecryptionFailure", ErrorKind::AccessDenied),
            ("UnrecognizedClientException", ErrorKind::Unauthenticated),
            ("InvalidClientTokenId", ErrorKind::Unauthenticated),
            ("ExpiredTokenException", ErrorKind::Unauthenticated),
            ("InvalidSignatureException", ErrorKind::Unauthenticated),
            ("ResourceNotFoundException", ErrorKind::NotFound),
            ("ParameterNotFound", ErrorKind::NotFound),
            ("ParameterVersionNotFound", ErrorKind::NotFound),
            ("ThrottlingException", ErrorKind::Throttled),
            ("TooManyRequestsException", ErrorKind::Throttled),
            ("InternalServiceError", ErrorKind::Unavailable),
            ("RequestTimeout", ErrorKind::TimedOut),
            ("UnknownOperationException", ErrorKind::Unsupported),
            ("ValidationException", ErrorKind::InvalidConfig),
            ("InvalidRequestException", ErrorKind::InvalidConfig),
            ("NobodyKnowsThis", ErrorKind::InvalidConfig),
        ] {
            let error = READ.refused(refusal(code, "hunter2"));
            assert_eq!(error.kind, kind, "{code}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_answer_without_a_code_is_judged_by_its_status_and_never_means_not_found() {
        for (status, kind) in [
            (200, ErrorKind::Malformed),
            (302, ErrorKind::InvalidConfig),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::AccessDenied),
            (404, ErrorKind::InvalidConfig),
            (408, ErrorKind::TimedOut),
            (429, ErrorKind::Throttled),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
        ] {
            assert_eq!(READ.refused(Refusal { status: Some(status), ..Refusal::default() }).kind, kind, "{status}");
        }
    }

    #[test]
    fn a_secret_that_is_marked_for_deletion_is_not_there() {
        let marked = "You can't perform this operation on the secret because it was marked for deletion.";
        for code in ["InvalidRequestException", "InvalidParameterException"] {
            let error = READ.refused(refusal(code, marked));
            assert_eq!((error.kind, &*error.message), (ErrorKind::NotFound, "secret a is marked for deletion"));
        }
        assert_eq!(READ.refused(refusal("InternalServiceError", marked)).kind, ErrorKind::Unavailable);
    }

    #[test]
    fn a_denial_names_the_action_that_is_missing() {
        let kms = "User: arn:aws:iam::1:user/me is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:x";
        assert!(READ.refused(refusal("AccessDeniedException", kms)).message.contains("allow kms:Decrypt "));
        let hidden = READ.refused(refusal("AccessDeniedException", "Access to KMS is not allowed")).message;
        assert!(hidden.contains("allow kms:Decrypt "), "{hidden}");
        let plain = READ.refused(refusal("AccessDeniedException", "")).message;
        assert_eq!(
            plain,
            "AWS denies secret a (AccessDeniedException); allow secretsmanager:GetSecretValue to the login"
        );
    }

    #[test]
    fn a_role_that_cannot_be_assumed_is_a_refused_login() {
        let error = ASSUME.refused(refusal("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole"));
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        let text = "AWS refuses role r (AccessDenied); it must exist, and its trust policy must allow sts:AssumeRole to who asks";
        assert_eq!(error.message, text);
        assert!(ASSUME.refused(refusal("InvalidIdentityToken", "")).message.contains("OIDC provider"));
        assert!(ASSUME.refused(refusal("InvalidClientTokenId", "")).message.contains("check the access key"));
        assert_eq!(ASSUME.refused(refusal("RegionDisabledException", "")).kind, ErrorKind::InvalidConfig);
        assert_eq!(ASSUME.refused(refusal("IDPCommunicationError", "")).kind, ErrorKind::Unavailable);
    }

    #[test]
    fn a_code_that_is_none_is_not_shown() {
        let error = READ.refused(refusal("<b>hunter2</b>", ""));
        assert!(!error.message.contains("hunter2"), "{error}");
    }

    #[test]
    fn trying_again_follows_from_the_kind() {
        assert_eq!(READ.refused(refusal("ThrottlingException", "")).retry, Retry::Backoff);
        assert_eq!(READ.refused(refusal("AccessDeniedException", "")).retry, Retry::Never);
    }

    #[test]
    fn the_server_s_wish_when_to_try_again_is_bounded() {
        let wish = |name: &'static str, value: &'static str| {
            let mut headers = Headers::new();
            headers.insert(name, value);
            retry_after(&headers)
        };
        assert_eq!(wish("retry-after", " 7"), Some(Duration::from_secs(7)));
        assert_eq!(wish("x-amz-retry-after", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wish("retry-after", "99999999999"), Some(Duration::from_secs(3600)));
        assert_eq!(wish("retry-after", "soon"), None);
        assert_eq!(retry_after(&Headers::new()), None);
    }
}
