//! The Ready condition, which every kind has. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keyferry_crds::{Condition, reasons};

/// What the condition shall say.
pub(crate) struct Says {
    pub(crate) ready: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) generation: Option<i64>,
}

/// Sets the Ready condition; the others stay. Returns whether it says something new.
pub(crate) fn set_ready(conditions: &mut Vec<Condition>, now: Timestamp, says: Says) -> bool {
    let word = if says.ready { "True" } else { "False" };
    let place = conditions.iter().position(|condition| condition.type_ == reasons::READY);
    let before = place.map(|place| conditions.remove(place));
    let same_state = before.as_ref().filter(|before| before.status == word);
    let since = same_state.and_then(|before| before.last_transition_time.clone());
    let condition = Condition {
        type_: reasons::READY.to_owned(),
        status: word.to_owned(),
        reason: Some(says.reason.to_owned()),
        message: Some(says.message),
        last_transition_time: Some(since.unwrap_or(Time(now))),
        observed_generation: says.generation,
    };
    let changed = before.as_ref().is_none_or(|before| {
        before.status != condition.status || before.reason != condition.reason || before.message != condition.message
    });
    conditions.push(condition);
    changed
}
