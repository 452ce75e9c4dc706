use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{ErrorKind, SecretBytes};
use keyferry_rest::LineLogin;

use super::{Account, Handshake};

fn account() -> Account {
    Account::new(&SecretBytes::from("CORP\\ann"), &SecretBytes::from("hunter2")).expect("an account")
}

/// Message 2 of a server that says nothing of itself.
fn challenge() -> String {
    let mut message = [0; 32];
    message[..8].copy_from_slice(b"NTLMSSP\0");
    message[8] = 2;
    message[20] = 1;
    STANDARD.encode(message)
}

/// What is shown after each of these answers.
fn shown(answers: &[&[&str]]) -> (Vec<Option<String>>, Option<(ErrorKind, String)>) {
    let account = account();
    let mut login = Handshake::of(&account);
    let shown = answers.iter().map(|challenges| {
        let shown = login.answer(challenges)?;
        Some(shown.expose_str().expect("text").to_owned())
    });
    (shown.collect(), login.refusal("the key a"))
}

/// The scheme and the number of a message.
fn message(shown: Option<&String>) -> (String, u8) {
    let (scheme, encoded) = shown.and_then(|shown| shown.split_once(' ')).expect("a scheme");
    (scheme.to_owned(), STANDARD.decode(encoded).expect("base64")[8])
}

#[test]
fn ntlm_is_preferred_and_found_wherever_it_stands() {
    let challenge = challenge();
    for (offer, scheme) in [
        (&["Negotiate", "NTLM"][..], "NTLM"),
        (&["Basic realm=\"x\", ntlm"], "NTLM"),
        (&["Negotiate"], "Negotiate"),
        (&["Basic realm=\"x\"", "negotiate oRQ="], "Negotiate"),
    ] {
        let (shown, refusal) = shown(&[offer, &[&format!("{scheme} {challenge}")]]);
        assert_eq!(message(shown[0].as_ref()), (scheme.to_owned(), 1));
        assert_eq!(message(shown[1].as_ref()), (scheme.to_owned(), 3));
        assert_eq!(refusal, None);
    }
}

#[test]
fn nothing_is_said_to_a_server_that_wants_another_login() {
    for offer in [&["Basic realm=\"NTLM\""][..], &["Bearer"], &["NTLMv3"], &[""], &[]] {
        let (shown, refusal) = shown(&[offer]);
        let (kind, text) = refusal.expect("a refusal");
        assert_eq!((shown, kind), (vec![None], ErrorKind::Unauthenticated), "{offer:?}");
        assert!(
            text.contains("but not for NTLM; let it accept NTLM, or remove spec.provider.webhook.auth.ntlm"),
            "{text}"
        );
    }
}

#[test]
fn a_login_that_is_refused_is_not_tried_again() {
    let challenge = format!("NTLM {}", challenge());
    let (shown, refusal) = shown(&[&["NTLM"], &[&challenge], &["NTLM"], &["NTLM"]]);
    assert_eq!(shown.iter().filter(|shown| shown.is_some()).count(), 2);
    let (kind, text) = refusal.expect("a refusal");
    assert_eq!(kind, ErrorKind::Unauthenticated);
    assert!(
        text.contains("the login of spec.provider.webhook.auth.ntlm was not accepted for the key a; check"),
        "{text}"
    );
    assert!(!text.contains("ann") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_challenge_that_is_none_is_named() {
    for (challenge, words) in [
        ("NTLM", "did not go on with it; perhaps it takes only Kerberos, or"),
        ("Negotiate TlRMTVNTUAAC", "did not go on with it"),
        ("NTLM hunter2!", "its challenge is not base64"),
        ("NTLM aHVudGVyMg==", "its challenge is not one of NTLM"),
        ("NTLM TlRMTVNTUAACAAAA", "its challenge ends half way"),
    ] {
        let (shown, refusal) = shown(&[&["NTLM"], &[challenge]]);
        let (kind, text) = refusal.expect("a refusal");
        assert_eq!((shown[1].as_ref(), kind), (None, ErrorKind::Malformed), "{challenge}");
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn nothing_of_an_account_is_shown() {
    assert_eq!(format!("{:?}", account()), "Account { .. }");
}
