//! What a login yields, and how sure it is that it still holds.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_core::SecretBytes;
use tokio::time::Instant;

/// What `/auth` has given out.
#[derive(Debug)]
pub(crate) struct Token {
    secret: SecretBytes,
    /// When a gateway has accepted it last, as far as is known.
    accepted: Mutex<Instant>,
    /// Held while a gateway is asked about it, so that those who doubt it at the same time share the answer.
    doubt: tokio::sync::Mutex<()>,
}

/// How long a token that was accepted is not doubted. Items that an access id may not read cost no more questions than
/// one in so long.
pub(crate) const TRUST: Duration = Duration::from_secs(10);

impl Token {
    /// A token that has just been given out.
    pub(crate) fn new(secret: SecretBytes) -> Self {
        Self { secret, accepted: Mutex::new(Instant::now()), doubt: tokio::sync::Mutex::default() }
    }

    /// The text that goes over the wire.
    pub(crate) fn text(&self) -> &str {
        self.secret.expose_str().unwrap_or_default()
    }

    /// A gateway has accepted it in a call that began at `asked`.
    pub(crate) fn was_accepted(&self, asked: Instant) {
        let mut accepted = self.accepted();
        *accepted = asked.max(*accepted);
    }

    /// Waits until nobody else asks about it. `None`: there is nothing to ask, it was accepted within `trust`.
    pub(crate) async fn doubt(&self, trust: Duration) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let doubt = self.doubt.lock().await;
        (self.accepted().elapsed() >= trust).then_some(doubt)
    }

    fn accepted(&self) -> MutexGuard<'_, Instant> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{TRUST, Token};

    #[tokio::test(start_paused = true)]
    async fn a_token_is_doubted_when_it_was_not_accepted_for_a_while() {
        let token = Token::new("t-1".into());
        assert!(token.doubt(TRUST).await.is_none());
        advance(Duration::from_secs(11)).await;
        assert!(token.doubt(TRUST).await.is_some());
        token.was_accepted(Instant::now() - Duration::from_secs(5));
        assert!(token.doubt(TRUST).await.is_none());
        token.was_accepted(Instant::now() - Duration::from_secs(60));
        assert!(token.doubt(TRUST).await.is_none(), "what was proven later counts");
    }

    #[test]
    fn a_token_shows_itself_to_nobody() {
        assert!(!format!("{:?}", Token::new("t-hunter2".into())).contains("hunter2"));
    }
}
