//! The words by which AWS says what is wrong.

use keyferry_core::ErrorKind;

/// What AWS means by a code, where that is known. STS's codes are among them.
pub(super) fn kind_of(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "DecryptionFailure"
        | "InvalidKeyId"
        | "KMSAccessDeniedException"
        | "OptInRequired"
        | "UnauthorizedOperation" => ErrorKind::AccessDenied,
        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IDPRejectedClaim"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidIdentityToken"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "RequestExpired"
        | "RequestInTheFuture"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => ErrorKind::Unauthenticated,
        "InvalidResourceId" | "ParameterNotFound" | "ParameterVersionNotFound" | "ResourceNotFoundException" => {
            ErrorKind::NotFound
        }
        "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "Throttling"
        | "ThrottledException"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "TooManyUpdates" => ErrorKind::Throttled,
        "IDPCommunicationError"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError"
        | "InternalServiceErrorException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Unavailable,
        "RequestTimeout" | "RequestTimeoutException" => ErrorKind::TimedOut,
        "InvalidAction" | "NotImplemented" | "UnknownOperationException" | "UnsupportedOperationException" => {
            ErrorKind::Unsupported
        }
        "InvalidFilterKey"
        | "InvalidFilterOption"
        | "InvalidFilterValue"
        | "InvalidNextToken"
        | "InvalidNextTokenException"
        | "InvalidParameterException"
        | "InvalidRequestException"
        | "InvalidResourceType"
        | "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "RegionDisabledException"
        | "ValidationError"
        | "ValidationException" => ErrorKind::InvalidConfig,
        _ => return None,
    })
}

/// What the status means, where AWS gives no code that is known. Only AWS itself can say that a secret is not there, or
/// that it does not know the login.
pub(super) fn kind_of_status(status: Option<u16>) -> ErrorKind {
    match status {
        Some(200..=299) => ErrorKind::Malformed,
        Some(401 | 403) => ErrorKind::AccessDenied,
        Some(408) => ErrorKind::TimedOut,
        Some(429) => ErrorKind::Throttled,
        Some(501) => ErrorKind::Unsupported,
        Some(500..) => ErrorKind::Unavailable,
        Some(_) | None => ErrorKind::InvalidConfig,
    }
}

/// The action that an explanation like `… is not authorized to perform: kms:Decrypt on resource: …` names.
pub(super) fn denied_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("to perform: ")?;
    let action = rest.split(|character: char| character.is_whitespace() || character == ',').next()?;
    let (service, name) = action.split_once(':')?;
    (is_word(name) && !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .then_some(action)
}

/// The sort of policy that an explanation like `… because no VPC endpoint policy allows the … action`, or `… with an
/// explicit deny in a service control policy`, names.
pub(super) fn denying_policy(message: &str) -> Option<&'static str> {
    let policies = [
        "VPC endpoint policy",
        "service control policy",
        "resource control policy",
        "permissions boundary",
        "session policy",
        "resource-based policy",
        "identity-based policy",
    ];
    policies.into_iter().find(|policy| message.contains(policy))
}

/// Codes and names of actions are words; anything else in their place is not shown.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::denied_action;

    #[test]
    fn only_what_looks_like_an_action_is_taken_for_one() {
        assert_eq!(denied_action("to perform: ssm:GetParameters"), Some("ssm:GetParameters"));
        assert_eq!(denied_action("to perform: <script>:x on"), None);
        assert_eq!(denied_action("to perform: everything"), None);
    }
}
