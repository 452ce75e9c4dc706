//! Logins that are refused.

use keyferry_core::{Error, ErrorKind};
use keyferry_rest::Answer;
use serde::Deserialize;

/// The error of an unsuccessful `answer` to a login. `text` words it, given Google's own short word for what is wrong
/// (`invalid_grant`, `PERMISSION_DENIED`), which is empty where the answer has none.
///
/// That somebody may not log in can change without a change of the store, and it never means that a secret is gone.
pub fn refused(answer: &Answer, text: impl FnOnce(&str) -> String) -> Error {
    match answer.status() {
        407 | 408 | 425 | 429 => answer.refusal(),
        400..=499 => {
            let word = answer.hint::<Refusal>().map(|refusal| refusal.error.word()).unwrap_or_default();
            answer.error(ErrorKind::Unauthenticated, text(&word))
        }
        _ => answer.refusal(),
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

/// OAuth's endpoints say it in one way, Google's APIs in another.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reason {
    OAuth(String),
    Google { status: String },
}

impl Reason {
    fn word(self) -> String {
        match self {
            Self::OAuth(word) | Self::Google { status: word } => word,
        }
    }
}
