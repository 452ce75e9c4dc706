//! When a circuit opens and closes.

use std::time::Duration;

use keyferry_core::{Error, ErrorKind, Retry};
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Admission, Circuit, LOGIN, REACH, SCOUTS, Ticket, Verdict};
use crate::{CircuitKind, CircuitState};

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "Memory", "Fetch", "failed to read the key of somebody else").with_status(503)
}

fn failed(kind: ErrorKind) -> Verdict {
    Verdict::Failed(Box::new(error(kind)))
}

fn go(circuit: &mut Circuit, question: u64, now: Instant) -> Ticket {
    match circuit.admit(question, now) {
        Admission::Go(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn refusal(circuit: &mut Circuit, now: Instant) -> Error {
    match circuit.admit(7, now) {
        Admission::Refused(error) => error,
        other => panic!("{other:?}"),
    }
}

fn fail(circuit: &mut Circuit, question: u64, now: Instant) -> Option<CircuitState> {
    let ticket = go(circuit, question, now);
    circuit.settle(&ticket, failed(ErrorKind::Unavailable), now)
}

fn opened(now: Instant) -> Circuit {
    let mut circuit = Circuit::new(CircuitKind::Reach);
    for question in 1..u64::from(REACH.failures) {
        assert_eq!(fail(&mut circuit, question, now), None);
    }
    assert_eq!(fail(&mut circuit, 99, now), Some(CircuitState::Open));
    circuit
}

#[test]
fn every_kind_has_its_meaning_for_both() {
    use ErrorKind::{
        AccessDenied, InvalidConfig, Malformed, NotFound, Throttled, TimedOut, Unauthenticated, Unavailable,
        Unsupported,
    };
    let opens = |circuit: CircuitKind| {
        let opening = ErrorKind::ALL.map(|kind| circuit.verdict::<()>(&[Err(error(kind))]));
        let failing = |(kind, verdict)| matches!(verdict, Verdict::Failed(_)).then_some(kind);
        ErrorKind::ALL.into_iter().zip(opening).filter_map(failing).collect::<Vec<_>>()
    };
    assert_eq!(opens(CircuitKind::Login), [Unauthenticated]);
    assert_eq!(opens(CircuitKind::Reach), [TimedOut, Unavailable]);
    for (circuit, kinds) in [
        (CircuitKind::Login, &[AccessDenied, NotFound][..]),
        (CircuitKind::Reach, &[AccessDenied, NotFound, Malformed, Throttled, Unauthenticated][..]),
    ] {
        for kind in kinds {
            assert_eq!(circuit.verdict::<()>(&[Err(error(*kind))]), Verdict::Works, "{circuit:?} {kind:?}");
        }
        for kind in [InvalidConfig, Unsupported] {
            assert_eq!(circuit.verdict::<()>(&[Err(error(kind))]), Verdict::Silent, "{circuit:?} {kind:?}");
        }
    }
}

#[test]
fn a_call_counts_once_and_one_answer_is_proof() {
    let circuit = CircuitKind::Reach;
    let bad = || Err(error(ErrorKind::Unavailable));
    assert_eq!(circuit.verdict(&[bad(), Ok(()), bad()]), Verdict::Works);
    assert_eq!(circuit.verdict::<()>(&[bad(), bad()]), failed(ErrorKind::Unavailable));
    assert_eq!(circuit.verdict::<()>(&[]), Verdict::Silent);
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CircuitKind::Reach);
    for question in 0..100 {
        assert_eq!(fail(&mut circuit, question, now), None);
        let ticket = go(&mut circuit, question, now);
        assert_eq!(circuit.settle(&ticket, Verdict::Works, now), None);
    }
    opened(now);
}

#[test]
fn one_sick_secret_does_not_open_it_but_two_do() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CircuitKind::Reach);
    for _ in 0..100 {
        assert_eq!(fail(&mut circuit, 1, now), None);
    }
    assert_eq!(fail(&mut circuit, 2, now), Some(CircuitState::Open));
}

#[test]
fn a_refused_login_opens_it_whatever_was_asked() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CircuitKind::Login);
    let states: Vec<_> = (0..LOGIN.failures)
        .map(|_| {
            let ticket = go(&mut circuit, 1, now);
            circuit.settle(&ticket, failed(ErrorKind::Unauthenticated), now)
        })
        .collect();
    assert_eq!(states, [None, None, Some(CircuitState::Open)]);
}

#[test]
fn while_nothing_is_known_a_few_go_first() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CircuitKind::Reach);
    let scouts: Vec<_> = (0..SCOUTS).map(|_| go(&mut circuit, 1, now)).collect();
    assert!(matches!(circuit.admit(1, now), Admission::Wait));
    assert_eq!(circuit.settle(&scouts[0], Verdict::Silent, now), None);
    let next = go(&mut circuit, 1, now);
    assert!(matches!(circuit.admit(1, now), Admission::Wait));
    circuit.abandon(&next);
    go(&mut circuit, 1, now);
    assert!(matches!(circuit.admit(1, now), Admission::Wait));
    circuit.settle(&scouts[1], Verdict::Works, now);
    for _ in 0..100 {
        go(&mut circuit, 1, now);
    }
}

#[test]
fn the_refusal_names_kind_and_time_and_nothing_of_the_failed_call() {
    let now = Instant::now();
    let error = refusal(&mut opened(now), now);
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::After(REACH.first_pause)));
    assert_eq!(
        error.to_string(),
        "not asked, because the backend failed several times in a row; see the store's status \
         (Memory Fetch: HTTP 503)"
    );
}

#[test]
fn after_the_pause_one_finds_out_for_all() {
    let now = Instant::now();
    let mut circuit = opened(now);
    let later = now + REACH.first_pause;
    let probe = go(&mut circuit, 1, later);
    assert_eq!(refusal(&mut circuit, later).retry, Retry::After(REACH.first_pause));
    assert_eq!(circuit.settle(&probe, Verdict::Works, later), Some(CircuitState::Closed));
    go(&mut circuit, 1, later);
}

#[test]
fn pauses_double_up_to_the_longest() {
    let mut now = Instant::now();
    let mut circuit = opened(now);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        now += REACH.longest_pause;
        let probe = go(&mut circuit, 1, now);
        circuit.settle(&probe, failed(ErrorKind::TimedOut), now);
        let Retry::After(pause) = refusal(&mut circuit, now).retry else { panic!("a hint") };
        pauses.push(pause.as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 15, 15, 15]);
    assert_eq!(refusal(&mut circuit, now).kind, ErrorKind::TimedOut, "the last failure is told");
}

#[test]
fn calls_that_began_before_it_opened_do_not_lengthen_the_pause() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CircuitKind::Reach);
    let ticket = go(&mut circuit, 0, now);
    circuit.settle(&ticket, Verdict::Works, now);
    let under_way: Vec<_> = (0..64).map(|question| go(&mut circuit, question, now)).collect();
    for ticket in &under_way {
        circuit.settle(ticket, failed(ErrorKind::TimedOut), now);
    }
    assert_eq!(refusal(&mut circuit, now).retry, Retry::After(REACH.first_pause));
}

#[test]
fn a_late_answer_closes_it() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CircuitKind::Reach);
    let slow = go(&mut circuit, 0, now);
    for question in 0..u64::from(REACH.failures) {
        fail(&mut circuit, question, now);
    }
    assert_eq!(circuit.settle(&slow, Verdict::Works, now), Some(CircuitState::Closed));
}

#[test]
fn a_check_is_always_let_through_and_closes_it() {
    let now = Instant::now();
    let mut circuit = opened(now);
    let ticket = circuit.admit_check();
    assert_eq!(circuit.settle(&ticket, failed(ErrorKind::Unavailable), now), None);
    assert_eq!(refusal(&mut circuit, now).retry, Retry::After(2 * REACH.first_pause));
    let ticket = circuit.admit_check();
    assert_eq!(circuit.settle(&ticket, Verdict::Works, now), Some(CircuitState::Closed));
}

#[test]
fn a_probe_that_is_given_up_makes_room_for_another() {
    let now = Instant::now();
    let mut circuit = opened(now);
    let later = now + REACH.first_pause;
    let probe = go(&mut circuit, 1, later);
    circuit.abandon(&probe);
    go(&mut circuit, 1, later);
}

#[test]
fn a_probe_that_says_nothing_costs_the_same_pause_again() {
    let now = Instant::now();
    let mut circuit = opened(now);
    let later = now + REACH.first_pause;
    let probe = go(&mut circuit, 1, later);
    circuit.settle(&probe, Verdict::Silent, later);
    assert_eq!(refusal(&mut circuit, later).retry, Retry::After(REACH.first_pause));
}

proptest! {
    /// Whatever happens in whatever order: an answer brings it back, and nobody is shut out for longer than the
    /// longest pause.
    #[test]
    fn it_always_comes_back(steps in prop::collection::vec((0_u8..5, 0_u64..3, 0_u64..20), 0..200)) {
        let mut now = Instant::now();
        let mut circuit = Circuit::new(CircuitKind::Reach);
        let mut under_way = Vec::new();
        for (step, question, wait) in steps {
            now += Duration::from_secs(wait);
            match (step, under_way.pop()) {
                (0, last) => {
                    under_way.extend(last);
                    if let Admission::Go(ticket) = circuit.admit(question, now) {
                        under_way.push(ticket);
                    }
                }
                (_, None) => under_way.push(circuit.admit_check()),
                (1, Some(ticket)) => { circuit.settle(&ticket, failed(ErrorKind::TimedOut), now); }
                (2, Some(ticket)) => { circuit.settle(&ticket, Verdict::Silent, now); }
                (3, Some(ticket)) => circuit.abandon(&ticket),
                (_, Some(ticket)) => { circuit.settle(&ticket, Verdict::Works, now); }
            }
        }
        // Calls always end: the deadline sees to it.
        for ticket in under_way {
            circuit.settle(&ticket, failed(ErrorKind::TimedOut), now);
        }
        now += REACH.longest_pause;
        let probe = go(&mut circuit, 1, now);
        circuit.settle(&probe, Verdict::Works, now);
        let Admission::Go(_) = circuit.admit(1, now) else { panic!("closed") };
    }
}
