//! What AWS's answers mean. Of an answer only the error code, the status, the request id and the name of an IAM
//! action get into an error: everything else may hold what nobody should see.

mod code;

use std::{error::Error as StdError, time::Duration};

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::Headers,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use keyferry_core::{Error, ErrorKind, Retry};
use keyferry_rest::find_cause;

use self::code::{denied_action, denying_policy, is_word, kind_of, kind_of_status};

/// An operation of an AWS API, and with that the IAM action that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The service as IAM spells it.
    pub service: &'static str,
    /// The operation as AWS spells it.
    pub name: &'static str,
}

/// What a call was made for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The provider's name in messages.
    pub provider: &'static str,
    /// What was asked.
    pub action: Action,
    /// What it was about, as the sentence of an error names it: `secret team/db`.
    pub about: &'a str,
}

/// A refusal in AWS's own words: the answer to a whole call, or to one item of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusal<'a> {
    /// AWS's word for the reason.
    pub code: Option<&'a str>,
    /// Never shown; looked at for what the code does not tell.
    pub message: Option<&'a str>,
    /// HTTP status of the answer to a whole call.
    pub status: Option<u16>,
}

impl Action {
    fn is_login(self) -> bool {
        self.service == "sts" && self.name.starts_with("AssumeRole")
    }
}

impl Purpose<'_> {
    /// What became of a call that was not answered as it should be.
    pub fn failed<E: ProvideErrorMetadata>(&self, failure: &SdkError<E, HttpResponse>) -> Error {
        let about = self.about;
        match failure {
            SdkError::TimeoutError(_) => self.timed_out(),
            SdkError::DispatchFailure(dispatch) => match dispatch.as_connector_error() {
                Some(connector) if connector.is_timeout() => self.timed_out(),
                Some(connector) => self.unreachable(connector),
                None => self.error(ErrorKind::Unavailable, format!("AWS cannot be reached for {about}")),
            },
            SdkError::ResponseError(answer) if is_cut_short(answer.raw()) => self
                .error(ErrorKind::Malformed, format!("the answer about {about} ended half way"))
                .with_retry(Retry::Backoff)
                .with_status(answer.raw().status().as_u16())
                .with_request_id(id(failure)),
            // Which of the two the SDK makes of an answer that it cannot read depends on the service.
            SdkError::ResponseError(answer) => {
                self.answered(answer.raw(), Refusal::default()).with_request_id(id(failure))
            }
            SdkError::ServiceError(answer) => {
                let told = answer.err();
                let refusal = Refusal { code: told.code(), message: told.message(), status: None };
                self.answered(answer.raw(), refusal).with_request_id(id(failure))
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

    fn answered(&self, answer: &HttpResponse, refusal: Refusal<'_>) -> Error {
        let status = answer.status().as_u16();
        let error = self.refused(Refusal { status: Some(status), ..refusal }).with_status(status);
        match retry_after(answer.headers()) {
            Some(pause) if error.retry == Retry::Backoff => error.with_retry(Retry::After(pause)),
            _ => error,
        }
    }

    /// What AWS's refusal means.
    pub fn refused(&self, refusal: Refusal<'_>) -> Error {
        let about = self.about;
        let message = refusal.message.unwrap_or_default();
        let Some(code) = refusal.code.filter(|code| is_word(code)) else {
            return self.unexplained(refusal.status);
        };
        let told = if refusal.status == Some(501) { Some(ErrorKind::Unsupported) } else { kind_of(code) };
        let marked = message.contains("marked for deletion") || message.contains("marked deleted");
        if marked && told == Some(ErrorKind::InvalidConfig) {
            return self.error(ErrorKind::NotFound, format!("{about} is marked for deletion"));
        }
        let kind = self.kind(told.unwrap_or_else(|| kind_of_status(refusal.status)));
        self.error(kind, self.text(kind, code, message))
    }

    /// What the status means of an answer that gives no reason in AWS's way. Mostly it is not AWS that answered.
    fn unexplained(&self, status: Option<u16>) -> Error {
        let Self { about, action, .. } = self;
        let kind = kind_of_status(status);
        let text = match kind {
            ErrorKind::AccessDenied => format!(
                "something on the way to AWS denies {about}; check the proxy, the endpoint in the operator's environment \
                 and the policy of the VPC endpoint"
            ),
            ErrorKind::Malformed => format!("the answer about {about} is not what AWS promises"),
            ErrorKind::Throttled => format!("the server asks to slow down with {about}"),
            ErrorKind::TimedOut | ErrorKind::Unavailable => format!("AWS, or what stands before it, failed on {about}"),
            ErrorKind::Unsupported => format!("the endpoint does not know {}; check the endpoint", action.name),
            _ if status == Some(407) => {
                format!("the proxy asks for a login before it passes {about} on; put it into the proxy's URL")
            }
            _ => format!("the server did not answer about {about} as AWS does; check the endpoint and the proxy"),
        };
        self.error(self.kind(kind), text)
    }

    /// To be denied a role is to be denied the login.
    fn kind(&self, kind: ErrorKind) -> ErrorKind {
        match kind {
            ErrorKind::AccessDenied if self.action.is_login() => ErrorKind::Unauthenticated,
            kind => kind,
        }
    }

    /// An answer that looked good, and lacks what it should hold.
    pub fn lacking(&self, what: &str) -> Error {
        self.error(ErrorKind::Malformed, format!("the answer about {} holds no {what}", self.about))
    }

    /// A failure of another sort.
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.provider, self.action.name, message)
    }

    fn timed_out(&self) -> Error {
        self.error(ErrorKind::TimedOut, format!("AWS did not answer in time about {}", self.about))
    }

    fn unreachable(&self, connector: &(dyn StdError + 'static)) -> Error {
        let about = self.about;
        match find_cause::<rustls::Error>(connector) {
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
                format!(
                    "AWS cannot be reached for {about}; check the region, the endpoint, the proxy and the way there"
                ),
            ),
        }
    }

    fn text(&self, kind: ErrorKind, code: &str, message: &str) -> String {
        let Self { about, action, .. } = self;
        match kind {
            ErrorKind::AccessDenied => self.denied(code, message),
            ErrorKind::Unauthenticated => self.not_let_in(code, message),
            ErrorKind::NotFound => format!("there is no {about}"),
            ErrorKind::Throttled => format!("AWS asks to slow down with {about} ({code})"),
            ErrorKind::Unavailable | ErrorKind::TimedOut => format!("AWS failed on {about} ({code})"),
            ErrorKind::Unsupported => {
                format!("the endpoint does not know {} ({code}); check the endpoint", action.name)
            }
            ErrorKind::InvalidConfig | ErrorKind::Malformed if action.is_login() => format!(
                "AWS does not accept the request for {about} ({code}); check its ARN, external ID and session tags, and \
                 that the region is enabled"
            ),
            ErrorKind::InvalidConfig | ErrorKind::Malformed => format!(
                "AWS does not accept the request for {about} ({code}); check key, version, and what is to be found"
            ),
        }
    }

    fn denied(&self, code: &str, message: &str) -> String {
        let Self { about, action: Action { service, name }, .. } = self;
        let place = denying_policy(message).map(|policy| format!(" in the {policy}")).unwrap_or_default();
        match denied_action(message) {
            Some(action) => format!("AWS denies {about} ({code}); allow {action} to the login{place}"),
            None if code == "DecryptionFailure" || code == "InvalidKeyId" || message.contains("KMS") => {
                format!(
                    "AWS denies {about} ({code}); allow kms:Decrypt to the login, and check that its key is enabled"
                )
            }
            None => format!("AWS denies {about} ({code}); allow {service}:{name} to the login{place}"),
        }
    }

    fn not_let_in(&self, code: &str, message: &str) -> String {
        let Self { about, action: Action { service, name }, .. } = self;
        match code {
            "AccessDenied" | "AccessDeniedException" | "IDPRejectedClaim" => {
                let action = denied_action(message).map_or_else(|| format!("{service}:{name}"), ToOwned::to_owned);
                format!(
                    "AWS refuses {about} ({code}); it must exist, and its trust policy must allow {action} to who asks"
                )
            }
            "ExpiredToken" | "ExpiredTokenException" => {
                format!("the session has ended ({code}); renew the credentials")
            }
            "InvalidIdentityToken" => format!(
                "AWS refuses {about} ({code}); IAM must have an OIDC provider for the cluster's issuer, with the token's \
                 audience"
            ),
            "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => askew(code),
            "InvalidSignatureException" | "SignatureDoesNotMatch" if is_askew(message) => askew(code),
            "InvalidSignatureException" | "SignatureDoesNotMatch" if message.contains("scoped to") => format!(
                "the endpoint is not that of the store's region ({code}); correct the region, or the endpoint in the \
                 operator's environment"
            ),
            "InvalidSignatureException" | "SignatureDoesNotMatch" => {
                format!("AWS does not accept the signature ({code}); check the secret access key and the node's clock")
            }
            _ => {
                format!("AWS does not know the login ({code}); check the access key, its session token and the region")
            }
        }
    }
}

/// AWS accepts signatures for five minutes, or fifteen.
fn askew(code: &str) -> String {
    format!("the time of the operator's node is not AWS's ({code}); correct its clock")
}

fn is_askew(message: &str) -> bool {
    message.contains("Signature expired") || message.contains("Signature not yet current")
}

/// Whether a good answer ended before its end. Of one that came whole, the SDK leaves the body.
fn is_cut_short(answer: &HttpResponse) -> bool {
    answer.status().is_success() && answer.body().bytes().is_none()
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

/// Whether it was AWS that answered, and not a proxy before it: AWS numbers all its answers.
pub fn is_of_aws(error: &Error) -> bool {
    error.request_id.is_some()
}

/// Whether AWS itself knows the login and denies it this.
pub fn is_denied_by_aws(error: &Error) -> bool {
    error.kind == ErrorKind::AccessDenied && is_of_aws(error)
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
            ("ExpiredToken", ErrorKind::Unauthenticated),
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
        for (status, kind, text) in [
            (200, ErrorKind::Malformed, "the answer about secret a is not what AWS promises"),
            (302, ErrorKind::InvalidConfig, "check the endpoint and the proxy"),
            (400, ErrorKind::InvalidConfig, "check the endpoint and the proxy"),
            (
                401,
                ErrorKind::AccessDenied,
                "something on the way to AWS denies secret a; check the proxy, the endpoint",
            ),
            (403, ErrorKind::AccessDenied, "and the policy of the VPC endpoint"),
            (404, ErrorKind::InvalidConfig, "the server did not answer about secret a as AWS does; check the endpoint"),
            (407, ErrorKind::InvalidConfig, "the proxy asks for a login before it passes secret a on; put it into"),
            (408, ErrorKind::TimedOut, "failed on secret a"),
            (429, ErrorKind::Throttled, "asks to slow down with secret a"),
            (500, ErrorKind::Unavailable, "AWS, or what stands before it, failed on secret a"),
            (501, ErrorKind::Unsupported, "the endpoint does not know GetSecretValue; check the endpoint"),
            (503, ErrorKind::Unavailable, "failed on secret a"),
        ] {
            let error = READ.refused(Refusal { status: Some(status), ..Refusal::default() });
            assert_eq!(error.kind, kind, "{status}");
            assert!(error.message.contains(text), "{error}");
        }
        let login = ASSUME.refused(Refusal { status: Some(403), ..Refusal::default() });
        assert_eq!(login.kind, ErrorKind::Unauthenticated);
        assert!(login.message.starts_with("something on the way to AWS denies role r; "), "{login}");
    }

    #[test]
    fn a_server_that_does_not_implement_an_operation_has_not_failed_on_it() {
        let stub = Refusal { code: Some("InternalFailure"), message: Some("not implemented"), status: Some(501) };
        assert_eq!(READ.refused(stub).kind, ErrorKind::Unsupported);
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_from_a_secret_that_is() {
        let late = "Signature expired: 20150830T123600Z is now earlier than 20150830T124100Z";
        let early = "Signature not yet current: 20150830T123600Z is still later than 20150830T122100Z";
        for (code, message) in [
            ("InvalidSignatureException", late),
            ("InvalidSignatureException", early),
            ("RequestExpired", ""),
            ("RequestTimeTooSkewed", ""),
            ("SignatureDoesNotMatch", late),
        ] {
            let error = READ.refused(refusal(code, message));
            let text = format!("the time of the operator's node is not AWS's ({code}); correct its clock");
            assert_eq!((error.kind, error.message), (ErrorKind::Unauthenticated, text));
        }
        let wrong =
            READ.refused(refusal("SignatureDoesNotMatch", "The signature we calculated does not match")).message;
        assert!(
            wrong.starts_with("AWS does not accept the signature (SignatureDoesNotMatch); check the secret access")
        );
    }

    #[test]
    fn an_endpoint_of_another_region_is_told_as_such() {
        let message = "Credential should be scoped to a valid region, not 'eu-west-1'.";
        let text = READ.refused(refusal("InvalidSignatureException", message)).message;
        assert!(text.starts_with("the endpoint is not that of the store's region"), "{text}");
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
    fn a_denial_names_the_policy_that_denies() {
        let denied =
            "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: secretsmanager:GetSecretValue";
        for (reason, place) in [
            ("because no VPC endpoint policy allows the secretsmanager:GetSecretValue action", "VPC endpoint policy"),
            ("with an explicit deny in a service control policy", "service control policy"),
            ("because no permissions boundary allows the action", "permissions boundary"),
        ] {
            let text =
                READ.refused(refusal("AccessDeniedException", &format!("{denied} on resource: x {reason}"))).message;
            let remedy = format!("; allow secretsmanager:GetSecretValue to the login in the {place}");
            assert!(text.ends_with(&remedy), "{text}");
        }
    }

    #[test]
    fn a_role_that_cannot_be_assumed_is_a_refused_login() {
        let error = ASSUME.refused(refusal("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole"));
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        let text = "AWS refuses role r (AccessDenied); it must exist, and its trust policy must allow sts:AssumeRole to who asks";
        assert_eq!(error.message, text);
        let tags =
            ASSUME.refused(refusal("AccessDenied", "x is not authorized to perform: sts:TagSession on resource: r"));
        assert!(tags.message.ends_with("its trust policy must allow sts:TagSession to who asks"), "{tags}");
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
