//! What to tell of a store. Pure.

use jiff::Timestamp;
use keyferry_crds::{SecretStoreStatus, StoreCapabilities, reasons};

use crate::{
    reconcile::ready::{Says, set_ready},
    trouble::Trouble,
};

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The credentials are those of whoever uses the store.
    DependsOnReader,
    Fails(Trouble),
    Works,
}

/// What to tell.
#[derive(Debug, PartialEq)]
pub(super) struct Report {
    /// The whole status, if it says something new.
    pub(super) status: Option<SecretStoreStatus>,
    /// Warning?, reason, message.
    pub(super) event: Option<(bool, &'static str, String)>,
}

/// Computes the report; `before` is the status as it was last written.
pub(super) fn report(before: &SecretStoreStatus, verdict: &Verdict, generation: i64, now: Timestamp) -> Report {
    let (ready, reason, message) = match verdict {
        Verdict::Works => (true, reasons::STORE_VALID, "store validated".to_owned()),
        Verdict::DependsOnReader => {
            let message = "store validated: its credentials are looked up in the namespace of each ExternalSecret";
            (true, reasons::STORE_VALID, message.to_owned())
        }
        Verdict::Fails(trouble) => (false, reasons::STORE_INVALID_PROVIDER_CONFIG, trouble.to_string()),
    };
    let mut status = before.clone();
    let says = Says { ready, reason, message: message.clone(), generation: Some(generation) };
    let news = set_ready(status.conditions.get_or_insert_default(), now, says);
    status.observed_generation = Some(generation);
    if ready {
        // What this version can do with it: it reads.
        status.capabilities = Some(StoreCapabilities::ReadOnly);
    }
    Report { status: (status != *before).then_some(status), event: news.then_some((!ready, reason, message)) }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use keyferry_crds::{SecretStoreStatus, reasons};

    use super::{Report, Verdict, report};
    use crate::trouble::Trouble;

    fn tell(before: &SecretStoreStatus, verdict: &Verdict, after: i64) -> Report {
        let now = Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_secs(after);
        report(before, verdict, 2, now)
    }

    #[test]
    fn a_store_that_works_is_told_once() {
        let Report { status, event } = tell(&SecretStoreStatus::default(), &Verdict::Works, 0);
        let status = status.unwrap();
        let condition = &status.conditions.as_ref().unwrap()[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_deref()), ("True", Some(reasons::STORE_VALID)));
        assert_eq!(event, Some((false, reasons::STORE_VALID, "store validated".into())));
        assert_eq!(tell(&status, &Verdict::Works, 300), Report { status: None, event: None });
    }

    #[test]
    fn a_store_that_fails_names_cause_and_remedy() {
        let works = tell(&SecretStoreStatus::default(), &Verdict::Works, 0).status.unwrap();
        let fails = Verdict::Fails(Trouble::lasting("AuthenticationFailed", "token refused; correct it"));
        let Report { status, event } = tell(&works, &fails, 5);
        let (status, (warning, ..)) = (status.unwrap(), event.unwrap());
        let condition = &status.conditions.as_ref().unwrap()[0];
        assert!(warning && condition.status == "False");
        assert_eq!(condition.message.as_deref(), Some("AuthenticationFailed: token refused; correct it"));
        assert_eq!(tell(&status, &fails, 10), Report { status: None, event: None });
    }
}
