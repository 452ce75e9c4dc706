//! NTLM over HTTP, as IIS asks for it ("Windows authentication"). Of NTLM there is only version 2 here.
//!
//! ```text
//! GET /v1/a                              → 401, WWW-Authenticate: NTLM
//! GET /v1/a, Authorization: NTLM (1)     → 401, WWW-Authenticate: NTLM (2: a challenge)
//! GET /v1/a, Authorization: NTLM (3)     → 200
//! ```
//!
//! It is the connection that is logged in by this, so all of it travels on one, and later requests on it are not asked
//! any more. A server that does not ask gets a plain request. The password never leaves, and is not even kept: not
//! for `Basic` either, whatever the server asks for, because then whoever is in between could ask as well.

mod message;

use std::{fmt, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{ErrorKind, SecretBytes};
use keyferry_rest::LineLogin;

use self::message::{Challenge, Moment};

pub(crate) use self::message::Account;

/// Where a store says who logs in.
pub(crate) const FIELD: &str = "spec.provider.webhook.auth.ntlm";

/// The login of one request.
pub(crate) struct Handshake<'a> {
    account: &'a Account,
    step: Step,
}

enum Step {
    /// The server has not asked.
    Silent,
    /// Message 1 is sent.
    Introduced(Scheme),
    /// Message 3 is sent.
    Answered,
    Ended(Refusal),
}

/// How the server calls it. `Negotiate` may be Kerberos too, but takes the same messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Negotiate,
    Ntlm,
}

/// Why it came to nothing.
#[derive(Clone, Copy)]
enum Refusal {
    Account,
    /// What is wrong with message 2.
    Challenge(&'static str),
    NotOffered,
}

impl<'a> Handshake<'a> {
    pub(crate) fn of(account: &'a Account) -> Self {
        Self { account, step: Step::Silent }
    }

    /// Why the server's 401 about `about` stands, if it was asked for a login at all.
    pub(crate) fn refusal(&self, about: &str) -> Option<(ErrorKind, String)> {
        let Step::Ended(refusal) = self.step else { return None };
        Some(match refusal {
            Refusal::Account => (
                ErrorKind::Unauthenticated,
                format!(
                    "the login of {FIELD} was not accepted for {about}; check the user name, like DOMAIN\\user or \
                     user@domain, and the password in its Secrets, and whether the account may use this"
                ),
            ),
            Refusal::Challenge(wrong) => {
                (ErrorKind::Malformed, format!("the server began the login of {FIELD} for {about}, but {wrong}"))
            }
            Refusal::NotOffered => (
                ErrorKind::Unauthenticated,
                format!(
                    "the server asks for a login for {about}, but not for NTLM; let it accept NTLM, or remove {FIELD} and \
                     send in `headers` what it asks for"
                ),
            ),
        })
    }

    fn introduce(&mut self, challenges: &[&str]) -> Result<SecretBytes, Refusal> {
        let offered = |scheme: &Scheme| scheme.parameter_in(challenges).is_some();
        let scheme = [Scheme::Ntlm, Scheme::Negotiate].into_iter().find(offered).ok_or(Refusal::NotOffered)?;
        self.step = Step::Introduced(scheme);
        Ok(scheme.showing(&message::negotiate()))
    }

    fn respond(&mut self, scheme: Scheme, challenges: &[&str]) -> Result<SecretBytes, Refusal> {
        let encoded = scheme.parameter_in(challenges).filter(|encoded| !encoded.is_empty());
        let encoded = encoded.ok_or(Refusal::Challenge(
            "did not go on with it; perhaps it takes only Kerberos, or something in front of it spreads the requests of a \
             connection over several servers",
        ))?;
        let challenge = STANDARD.decode(encoded).map_err(|_| Refusal::Challenge("its challenge is not base64"))?;
        let challenge = Challenge::parse(&challenge).map_err(Refusal::Challenge)?;
        let moment = Moment { nonce: rand::random(), time: SystemTime::now() };
        self.step = Step::Answered;
        Ok(scheme.showing(&self.account.answer_to(&challenge, &moment)))
    }
}

impl LineLogin for Handshake<'_> {
    fn answer(&mut self, challenges: &[&str]) -> Option<SecretBytes> {
        let answer = match self.step {
            Step::Silent => self.introduce(challenges),
            Step::Introduced(scheme) => self.respond(scheme, challenges),
            Step::Answered => Err(Refusal::Account),
            Step::Ended(refusal) => Err(refusal),
        };
        answer.map_err(|refusal| self.step = Step::Ended(refusal)).ok()
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
        }
    }

    /// What stands behind its name, where it is among these values of `WWW-Authenticate`.
    fn parameter_in<'a>(self, challenges: &[&'a str]) -> Option<&'a str> {
        challenges.iter().flat_map(|value| value.split(',')).find_map(|challenge| {
            let challenge = challenge.trim();
            let (name, parameter) = challenge.split_once(' ').unwrap_or((challenge, ""));
            name.eq_ignore_ascii_case(self.name()).then(|| parameter.trim())
        })
    }

    fn showing(self, message: &[u8]) -> SecretBytes {
        SecretBytes::from(format!("{} {}", self.name(), STANDARD.encode(message)))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
