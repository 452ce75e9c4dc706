//! Access tokens that were given out.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Tokens, and for each what is known of its bearer.
#[derive(Debug)]
pub(crate) struct Tokens<T>(BTreeMap<String, Issued<T>>);

#[derive(Debug)]
struct Issued<T> {
    bearer: T,
    end: Option<Instant>,
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Ended,
    Holds(T),
    Unknown,
}

impl<T> Default for Tokens<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Tokens<T> {
    /// A new token that begins with `prefix`; without a time to live it does not end.
    pub(crate) fn issue(&mut self, prefix: &str, bearer: T, ttl: Option<Duration>) -> String {
        let text = format!("{prefix}{:032x}", rand::random::<u128>());
        let end = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        self.0.insert(text.clone(), Issued { bearer, end });
        text
    }

    /// Whose token `text` is.
    pub(crate) fn find(&self, text: &str) -> Found<&T> {
        match self.0.get(text) {
            None => Found::Unknown,
            Some(Issued { end: Some(end), .. }) if *end <= Instant::now() => Found::Ended,
            Some(Issued { bearer, .. }) => Found::Holds(bearer),
        }
    }

    /// Ends all tokens.
    pub(crate) fn expire_all(&mut self) {
        self.0.values_mut().for_each(|issued| issued.end = Some(Instant::now()));
    }

    /// Takes back the tokens of those who are not to `keep` theirs.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.0.retain(|_, issued| keep(&issued.bearer));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Found, Tokens};

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_after_its_life_unless_it_has_none() {
        let mut tokens = Tokens::default();
        let short = tokens.issue("t-", "a", Some(Duration::from_mins(1)));
        let long = tokens.issue("t-", "b", None);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(tokens.find(&short), Found::Holds(&"a"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((tokens.find(&short), tokens.find(&long)), (Found::Ended, Found::Holds(&"b")));
        tokens.retain(|bearer| *bearer != "a");
        assert_eq!((tokens.find(&short), tokens.find("t-other")), (Found::Unknown, Found::Unknown));
        tokens.expire_all();
        assert_eq!(tokens.find(&long), Found::Ended);
    }
}
