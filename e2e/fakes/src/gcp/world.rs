//! All that a cloud knows, behind one lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{machine::Machine, people::People, refusal::Refusal, secrets::Secrets};

/// How a cloud behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most resources on one page of a listing.
    pub page: usize,
    /// How long a token holds.
    pub token_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { page: 25_000, token_ttl: Duration::from_hours(1) }
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    /// Projects about whose secrets no answer comes.
    pub(super) black_holes: BTreeSet<String>,
    pub(super) machine: Option<Machine>,
    pub(super) people: People,
    pub(super) secrets: Secrets,
    pub(super) tokens: Tokens,
}

/// Access tokens that were given out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    by_text: BTreeMap<String, Token>,
    serial: u64,
}

#[derive(Debug)]
struct Token {
    end: Timestamp,
    member: String,
    scopes: Vec<String>,
}

/// The scope that opens everything.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

impl World {
    pub(super) fn remove_account(&mut self, email: &str) -> bool {
        let member = format!("serviceAccount:{email}");
        self.tokens.by_text.retain(|_, token| token.member != member);
        self.people.remove_account(email)
    }
}

impl Tokens {
    pub(super) fn issue(&mut self, member: &str, scopes: Vec<String>, ttl: Duration) -> String {
        self.serial += 1;
        let text = format!("ya29.{:016x}{:016x}", rand::random::<u64>(), self.serial);
        let end = Timestamp::now().saturating_add(ttl).unwrap_or(Timestamp::MAX);
        self.by_text.insert(text.clone(), Token { end, member: member.to_owned(), scopes });
        text
    }

    /// Who sends `Authorization: …`.
    pub(super) fn member(&self, authorization: Option<&str>) -> Result<&str, Refusal> {
        let bearer = authorization.and_then(|header| header.strip_prefix("Bearer "));
        let bearer = bearer.ok_or_else(|| Refusal::unauthenticated("CREDENTIALS_MISSING"))?;
        let token =
            self.by_text.get(bearer).ok_or_else(|| Refusal::unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED"))?;
        if token.end <= Timestamp::now() {
            Err(Refusal::unauthenticated("ACCESS_TOKEN_EXPIRED"))
        } else if token.scopes.iter().any(|scope| scope == SCOPE) {
            Ok(&token.member)
        } else {
            let message = "Request had insufficient authentication scopes.";
            Err(Refusal::forbidden("ACCESS_TOKEN_SCOPE_INSUFFICIENT", message))
        }
    }

    pub(super) fn expire_all(&mut self) {
        self.by_text.values_mut().for_each(|token| token.end = Timestamp::UNIX_EPOCH);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{SCOPE, Tokens};

    #[test]
    fn a_token_names_its_bearer_until_its_end_and_within_its_scope() {
        let mut tokens = Tokens::default();
        let good = format!("Bearer {}", tokens.issue("user:a", vec![SCOPE.to_owned()], Duration::from_secs(60)));
        let narrow = format!("Bearer {}", tokens.issue("user:a", vec!["email".to_owned()], Duration::from_secs(60)));
        assert_eq!(tokens.member(Some(&good)).unwrap(), "user:a");
        let refused = |tokens: &Tokens, header| format!("{:?}", tokens.member(header).unwrap_err());
        assert!(refused(&tokens, Some(&narrow)).contains("SCOPE_INSUFFICIENT"));
        assert!(refused(&tokens, Some("Bearer ya29.x")).contains("UNAUTHENTICATED"));
        assert!(refused(&tokens, None).contains("CREDENTIALS_MISSING"));
        tokens.expire_all();
        assert!(refused(&tokens, Some(&good)).contains("ACCESS_TOKEN_EXPIRED"));
    }
}
