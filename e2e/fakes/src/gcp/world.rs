//! All that a cloud knows, behind one lock.

use std::{collections::BTreeSet, time::Duration};

use super::{machine::Machine, people::People, refusal::Refusal, secrets::Secrets};
use crate::tokens::{Found, Tokens};

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
    pub(super) tokens: Tokens<Bearer>,
}

/// Whom an access token was given to, and for what.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) member: String,
    pub(super) scopes: Vec<String>,
}

/// The scope that opens everything.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

impl World {
    pub(super) fn remove_account(&mut self, email: &str) -> bool {
        let member = format!("serviceAccount:{email}");
        self.tokens.retain(|bearer| bearer.member != member);
        self.people.remove_account(email)
    }

    pub(super) fn issue(&mut self, member: &str, scopes: Vec<String>, ttl: Duration) -> String {
        self.tokens.issue("ya29.", Bearer { member: member.to_owned(), scopes }, Some(ttl))
    }

    /// Who sends `Authorization: Bearer …`.
    pub(super) fn member(&self, bearer: Option<&str>) -> Result<&str, Refusal> {
        let token = bearer.ok_or_else(|| Refusal::unauthenticated("CREDENTIALS_MISSING"))?;
        match self.tokens.find(token) {
            Found::Unknown => Err(Refusal::unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")),
            Found::Ended => Err(Refusal::unauthenticated("ACCESS_TOKEN_EXPIRED")),
            Found::Holds(bearer) if bearer.scopes.iter().any(|scope| scope == SCOPE) => Ok(&bearer.member),
            Found::Holds(_) => {
                let message = "Request had insufficient authentication scopes.";
                Err(Refusal::forbidden("ACCESS_TOKEN_SCOPE_INSUFFICIENT", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{SCOPE, World};

    #[test]
    fn a_token_names_its_bearer_until_its_end_and_within_its_scope() {
        let mut world = World::default();
        let good = world.issue("user:a", vec![SCOPE.to_owned()], Duration::from_secs(60));
        let narrow = world.issue("user:a", vec!["email".to_owned()], Duration::from_secs(60));
        assert_eq!(world.member(Some(&good)).unwrap(), "user:a");
        let refused = |world: &World, bearer| format!("{:?}", world.member(bearer).unwrap_err());
        assert!(refused(&world, Some(&narrow)).contains("SCOPE_INSUFFICIENT"));
        assert!(refused(&world, Some("ya29.x")).contains("UNAUTHENTICATED"));
        assert!(refused(&world, None).contains("CREDENTIALS_MISSING"));
        world.tokens.expire_all();
        assert!(refused(&world, Some(&good)).contains("ACCESS_TOKEN_EXPIRED"));
    }
}
