//! What the API's error answers mean.
//!
//! An error answer is `{"statusCode", "error", "message"}`. The status alone says too little: an expired token may be a
//! 403 as well as a 401, and a wrong project is a 404 as is a missing secret. The message is looked at, but never shown.

use keyferry_core::{Error, ErrorKind};
use keyferry_rest::Answer;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Scope;

/// What a 404 says is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Environment,
    Folder,
    Project,
    Secret,
    /// Something that this backend did not ask for: a wrong address, most likely.
    Other,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    /// A list of objects where the request's form is wrong.
    #[serde(default)]
    message: Value,
}

impl Refusal {
    fn of(answer: &Answer) -> Option<Self> {
        answer.hint()
    }

    fn says(&self, words: &str) -> bool {
        self.message.as_str().is_some_and(|message| message.to_ascii_lowercase().contains(words))
    }

    /// One wording is that of listings, the other that of single secrets.
    fn says_of_references(&self) -> bool {
        self.says("expand one or more secret references") || self.says("attempting to reference secret")
    }

    fn first_word(&self) -> &str {
        self.message.as_str().and_then(|message| message.split_whitespace().next()).unwrap_or_default()
    }
}

/// Whether `answer` means that the access token has ended, so that a new login may help.
pub(crate) fn wants_new_login(answer: &Answer) -> bool {
    let refusal = || Refusal::of(answer);
    match answer.status() {
        // The token may be used a limited number of times.
        400 => refusal().is_some_and(|refusal| refusal.says("number of uses limit")),
        401 => true,
        403 => refusal().is_some_and(|refusal| refusal.error == "TokenError" || refusal.says("re-authenticate")),
        _ => false,
    }
}

/// What is missing, if `answer` is a 404 of the API. The kind of thing is the message's first word; the rest quotes
/// names, which may be any word.
pub(crate) fn missing(answer: &Answer) -> Option<Missing> {
    let refusal = Refusal::of(answer).filter(|_| answer.status() == 404)?;
    let word = refusal.first_word().to_ascii_lowercase();
    Some(match word.as_str() {
        "environment" => Missing::Environment,
        "folder" => Missing::Folder,
        "project" | "workspace" => Missing::Project,
        "secret" => Missing::Secret,
        "no" if refusal.says("no project") => Missing::Project,
        _ => Missing::Other,
    })
}

/// Whether `answer` says that a login's method locks out after too many failures.
pub(crate) fn is_locked_out(answer: &Answer) -> bool {
    Refusal::of(answer).is_some_and(|refusal| refusal.says("temporarily locked"))
}

/// Whether `answer`, a 404 to a login, is about the organization and not about the identity.
pub(crate) fn lacks_organization(answer: &Answer) -> bool {
    Refusal::of(answer).is_some_and(|refusal| refusal.says("organization with"))
}

/// Whether `answer`, a 401 to a login, says that the identity itself is known, but not to the sub-organization.
pub(crate) fn is_outside_of_organization(answer: &Answer) -> bool {
    Refusal::of(answer).is_some_and(|refusal| refusal.says("authorized to access sub organization"))
}

/// `environment prod of project web`.
pub(crate) fn place(scope: &Scope) -> String {
    format!("environment {} of project {}", scope.environment_slug, scope.project_slug)
}

/// The error for `answer`, which is not 2xx, about what [`Answer::about`] says.
pub(crate) fn error(answer: &Answer, scope: &Scope) -> Error {
    let (about, place) = (answer.about(), place(scope));
    match (answer.status(), missing(answer)) {
        (403, _) if Refusal::of(answer).is_some_and(|refusal| refusal.says_of_references()) => answer.error(
            ErrorKind::AccessDenied,
            format!(
                "{about} refers to secrets that the machine identity may not read; grant it access to those, or set \
                 secretsScope.expandSecretReferences to false"
            ),
        ),
        (403, _) => answer.error(
            ErrorKind::AccessDenied,
            format!(
                "the machine identity may not read {about}; make it a member of project {} with a role that may \
                 describe secrets and read their values there",
                scope.project_slug
            ),
        ),
        (404, Some(Missing::Environment)) => no_environment(answer, scope),
        (404, Some(Missing::Project)) => answer.error(
            ErrorKind::InvalidConfig,
            format!(
                "there is no {place}: the machine identity knows no project with this slug; correct \
                 secretsScope.projectSlug (the slug stands in the project's settings)"
            ),
        ),
        (404, Some(Missing::Folder | Missing::Secret)) => {
            let about = about.strip_prefix("the ").unwrap_or(about);
            answer.error(ErrorKind::NotFound, format!("there is no {about}"))
        }
        (404, Some(Missing::Other)) => answer.error(
            ErrorKind::InvalidConfig,
            "the server does not know this API; check that hostAPI is the address of Infisical",
        ),
        _ => answer.refusal(),
    }
}

/// The error for `answer`, which says in some way that the scope's environment does not exist.
pub(crate) fn no_environment(answer: &Answer, scope: &Scope) -> Error {
    answer.error(
        ErrorKind::InvalidConfig,
        format!(
            "there is no {}: the project has no environment with this slug; correct secretsScope.environmentSlug",
            place(scope)
        ),
    )
}
