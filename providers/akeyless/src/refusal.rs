//! What refusals of gateways look like, and mean by themselves.
//!
//! A refusal is `{"error": …}`, mostly with a `message`. The vendor documents neither texts nor statuses; those that are
//! relied on here are few, and none of them is shown.

use keyferry_core::{Error, ErrorKind};
use keyferry_rest::Answer;
use serde::Deserialize;

/// What the API says to whoever asks it for nothing in particular, or for something that it does not know.
pub(crate) const NO_COMMAND: &str = "unknown command";
const NO_ITEM: &str = "item does not exist";
/// From gateways that were restarted and have forgotten whom they have let in.
const NO_TOKEN: &str = "client could not be found in cache";

/// Whether an answer that is no success is the gateway's own: those of whatever else may answer at its address look
/// different. Many servers call a path that they do not have `Not Found`, in JSON; that is not about an item.
pub(crate) fn is_refusal(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    answer.hint::<Refusal>().is_some_and(|refusal| !refusal.error.trim().eq_ignore_ascii_case("not found"))
}

pub(crate) fn knows_no_command(answer: &Answer) -> bool {
    // A value may say so too.
    !answer.is_success() && answer.says(NO_COMMAND)
}

pub(crate) fn knows_no_token(answer: &Answer) -> bool {
    matches!(answer.status(), 400..=404) && is_refusal(answer) && answer.says(NO_TOKEN)
}

/// Whether a gateway says in its own words that there is no such item.
pub(crate) fn names_no_item(answer: &Answer) -> bool {
    matches!(answer.status(), 400..=404 | 500) && is_refusal(answer) && answer.says(NO_ITEM)
}

/// What a refusal says by itself.
pub(crate) fn refusal(answer: &Answer) -> Error {
    let about = answer.about();
    if names_no_item(answer) {
        return answer.error(ErrorKind::NotFound, format!("there is no {about}"));
    }
    if knows_no_token(answer) {
        return answer
            .error(ErrorKind::Unauthenticated, format!("the gateway does not know the login any more ({about})"));
    }
    answer.refusal()
}
