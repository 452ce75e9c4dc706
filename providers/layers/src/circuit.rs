//! When a store's backend is left alone. Pure: time is passed in.
//!
//! ```text
//! unproven ──answer──► closed ──failures──► open ──answer──► closed
//!     └──────────────failures────────────────▲ └─failure─┘ longer pause
//! ```

use std::time::Duration;

use keyferry_core::{Error, ErrorKind, Retry};
use tokio::time::Instant;

use crate::{CircuitKind, CircuitState};

/// As long as nobody knows whether a store works, so many calls find out for all: a wrong credential of a store with
/// a thousand readers is then refused a few times and not a thousand times, which would lock the account.
const SCOUTS: usize = 4;

/// What makes a circuit open, and for how long.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// So many calls must have failed in a row.
    failures: u32,
    /// They must have been about different things: one secret that its backend fails on does not close off the rest.
    /// A refused login concerns all secrets alike.
    differing: bool,
    /// How long nobody calls at first.
    first_pause: Duration,
    /// What this grows to, doubled with each failure.
    longest_pause: Duration,
}

const LOGIN: Rule = Rule {
    failures: 3,
    differing: false,
    first_pause: Duration::from_secs(15),
    longest_pause: Duration::from_secs(15 * 60),
};

const REACH: Rule = Rule {
    // Not more than there are scouts: they all hang at the same time, and those who wait for them wait only once.
    failures: 4,
    differing: true,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(15),
};

/// What an ended call says about what a circuit watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Failed(Box<Error>),
    /// Nothing.
    Silent,
    Works,
}

impl CircuitKind {
    fn rule(self) -> Rule {
        match self {
            Self::Login => LOGIN,
            Self::Reach => REACH,
        }
    }

    fn verdict_of(self, error: &Error) -> Verdict {
        let failed = || Verdict::Failed(Box::new(error.clone()));
        match error.kind {
            ErrorKind::AccessDenied | ErrorKind::NotFound => Verdict::Works,
            // Nobody was asked, perhaps.
            ErrorKind::InvalidConfig | ErrorKind::Unsupported => Verdict::Silent,
            ErrorKind::Malformed | ErrorKind::Throttled => match self {
                // Too many refused logins are answered like this as well.
                Self::Login => Verdict::Silent,
                Self::Reach => Verdict::Works,
            },
            ErrorKind::TimedOut | ErrorKind::Unavailable => match self {
                Self::Login => Verdict::Silent,
                Self::Reach => failed(),
            },
            ErrorKind::Unauthenticated => match self {
                Self::Login => failed(),
                Self::Reach => Verdict::Works,
            },
        }
    }

    /// What a call says, whose items ended like this: one that was answered is proof enough.
    pub(crate) fn verdict<'a, T: 'a>(self, items: impl IntoIterator<Item = &'a Result<T, Error>>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for item in items {
            match item.as_ref().map_or_else(|error| self.verdict_of(error), |_| Verdict::Works) {
                Verdict::Works => return Verdict::Works,
                failed @ Verdict::Failed(_) => verdict = failed,
                Verdict::Silent => {}
            }
        }
        verdict
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Login => "not asked, because the backend refused this login several times; see the store's status",
            Self::Reach => "not asked, because the backend failed several times in a row; see the store's status",
        }
    }
}

/// Leave to call, to be handed back with the outcome.
#[derive(Debug)]
pub(crate) struct Ticket {
    epoch: u64,
    /// What is asked: equal for equal questions.
    question: u64,
}

/// The answer to who wants to call.
#[derive(Debug)]
pub(crate) enum Admission {
    Go(Ticket),
    /// No: this is the answer.
    Refused(Error),
    /// Others are just finding out.
    Wait,
}

/// Watches one thing.
#[derive(Debug)]
pub(crate) struct Circuit {
    kind: CircuitKind,
    phase: Phase,
    /// Grows with every change of phase, so that a call which began before tells nothing about what is now.
    epoch: u64,
    failures: u32,
    /// What the failures were about; `None` where that differs.
    suspect: Option<u64>,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open { until: Instant, pause: Duration, probing: bool, last: Box<Error> },
    Unproven { scouts: usize },
}

impl Circuit {
    pub(crate) fn new(kind: CircuitKind) -> Self {
        Self { kind, phase: Phase::Unproven { scouts: 0 }, epoch: 0, failures: 0, suspect: None }
    }

    pub(crate) fn kind(&self) -> CircuitKind {
        self.kind
    }

    /// Somebody wants to call about `question`.
    pub(crate) fn admit(&mut self, question: u64, now: Instant) -> Admission {
        match &mut self.phase {
            Phase::Closed => {}
            Phase::Open { until, probing, .. } if *until <= now && !*probing => *probing = true,
            Phase::Open { until, pause, last, .. } => {
                let left = until.saturating_duration_since(now);
                return Admission::Refused(Error {
                    retry: Retry::After(if left.is_zero() { *pause } else { left }),
                    message: self.kind.refusal().to_owned(),
                    request_id: None,
                    ..(**last).clone()
                });
            }
            Phase::Unproven { scouts } if *scouts < SCOUTS => *scouts += 1,
            Phase::Unproven { .. } => return Admission::Wait,
        }
        Admission::Go(Ticket { epoch: self.epoch, question })
    }

    /// Somebody wants to find out whether it works, and does so seldom: always allowed.
    pub(crate) fn admit_check(&mut self) -> Ticket {
        match &mut self.phase {
            Phase::Closed => {}
            Phase::Open { probing, .. } => *probing = true,
            Phase::Unproven { scouts } => *scouts += 1,
        }
        // No locator's hash is meant to be this one, and if it is, no harm is done.
        Ticket { epoch: self.epoch, question: 0 }
    }

    /// A call has ended. Says into which state that brings the circuit, if into another.
    pub(crate) fn settle(&mut self, ticket: &Ticket, verdict: Verdict, now: Instant) -> Option<CircuitState> {
        let current = ticket.epoch == self.epoch;
        match verdict {
            Verdict::Works => self.close(),
            Verdict::Failed(error) if current => self.fail(ticket.question, error, now),
            Verdict::Silent if current => {
                self.step_back(now);
                None
            }
            Verdict::Failed(_) | Verdict::Silent => None,
        }
    }

    /// A call was given up before it ended.
    pub(crate) fn abandon(&mut self, ticket: &Ticket) {
        if ticket.epoch == self.epoch {
            match &mut self.phase {
                Phase::Closed => {}
                Phase::Open { probing, .. } => *probing = false,
                Phase::Unproven { scouts } => *scouts = scouts.saturating_sub(1),
            }
        }
    }

    fn close(&mut self) -> Option<CircuitState> {
        (self.failures, self.suspect) = (0, None);
        let before = std::mem::replace(&mut self.phase, Phase::Closed);
        if !matches!(before, Phase::Closed) {
            self.epoch += 1;
        }
        matches!(before, Phase::Open { .. }).then_some(CircuitState::Closed)
    }

    fn fail(&mut self, question: u64, error: Box<Error>, now: Instant) -> Option<CircuitState> {
        let rule = self.kind.rule();
        if let Phase::Open { until, pause, probing, last } = &mut self.phase {
            *pause = (*pause * 2).min(rule.longest_pause);
            (*until, *probing, *last) = (now + *pause, false, error);
            // Other probes that are still under way say nothing new.
            self.epoch += 1;
            return None;
        }
        let differs = self.failures > 0 && self.suspect != Some(question);
        self.suspect = if differs { None } else { Some(question) };
        self.failures += 1;
        if self.failures >= rule.failures && (self.suspect.is_none() || !rule.differing) {
            let pause = rule.first_pause;
            self.phase = Phase::Open { until: now + pause, pause, probing: false, last: error };
            self.epoch += 1;
            return Some(CircuitState::Open);
        }
        if let Phase::Unproven { scouts } = &mut self.phase {
            *scouts = scouts.saturating_sub(1);
        }
        None
    }

    /// A call has ended without saying whether it works.
    fn step_back(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Closed => {}
            Phase::Open { until, pause, probing, .. } => (*until, *probing) = (now + *pause, false),
            Phase::Unproven { scouts } => *scouts = scouts.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests;
