use std::time::{Duration, UNIX_EPOCH};

use keyferry_core::SecretBytes;

use super::{Account, Challenge, Moment, capitals, file_time, negotiate};

fn account(username: &str, password: &str) -> Result<Account, &'static str> {
    Account::new(&SecretBytes::from(username), &SecretBytes::from(password))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).expect("hex");
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

const NONCE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const MOMENT: Moment = Moment { nonce: [0xaa; 8], time: UNIX_EPOCH };

/// [MS-NLMP] 4.2.4: the example of the specification.
#[test]
fn the_published_response_comes_out() {
    let account = account("Domain\\User", "Password").expect("an account");
    assert_eq!(account.key[..], bytes("0c868a403bfd7a93a3001ef22ef02e3f"));
    let challenge = bytes(
        "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000060070170000000f\
         530065007200760065007200\
         02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000",
    );
    let challenge = Challenge::parse(&challenge).expect("a challenge");
    assert_eq!((challenge.nonce, challenge.time()), (NONCE, None));
    let (response, session) = account.response(NONCE, [0xaa; 8], [0; 8], &challenge.about_with_code());
    let (proof, blob) = response.split_at(16);
    assert_eq!(proof, bytes("68cd0ab851e51c96aabc927bebef6a1c"));
    let published = "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000\
                     02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000";
    assert_eq!(blob, bytes(published));
    assert_eq!(session[..], bytes("8de40ccadbc14a82f15cb0ad0de95ca3"));
}

/// The specification has no example with an integrity code; this was computed with another implementation (Python).
#[test]
fn a_server_that_tells_the_time_gets_an_integrity_code() {
    let challenge = bytes(
        "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000003800380044000000060070170000000f\
         530065007200760065007200\
         02000c0044006f006d00610069006e0001000c00530065007200760065007200060004000100000007000800\
         0090d336b734c30100000000",
    );
    let challenge = Challenge::parse(&challenge).expect("a challenge");
    let message = account("Domain\\User", "Password").expect("an account").answer_to(&challenge, &MOMENT);
    let expected = "4e544c4d5353500003000000180018005800000068006800700000000c000c00d800000008000800e4000000\
         00000000ec00000000000000ec000000018288a2000000000000000fca56bfb0dc15043a621979020b016daa\
         000000000000000000000000000000000000000000000000\
         c2d4138e43059ecaadffab4ad06a1d7201010000000000000090d336b734c301aaaaaaaaaaaaaaaa00000000\
         02000c0044006f006d00610069006e0001000c00530065007200760065007200070008000090d336b734c301\
         060004000300000000000000000000004400\
         6f006d00610069006e005500730065007200";
    assert_eq!(message[..], bytes(expected));
}

#[test]
fn the_first_message_says_nothing_about_us() {
    let expected = "4e544c4d5353500001000000058288a200000000000000000000000000000000000000000000000f";
    assert_eq!(negotiate()[..], bytes(expected));
}

#[test]
fn a_server_that_tells_nothing_is_answered_by_our_clock() {
    let challenge =
        bytes("4e544c4d535350000200000000000000000000000182080001234567 89abcdef".replace(' ', "").as_str());
    let challenge = Challenge::parse(&challenge).expect("a challenge");
    let moment = Moment { time: UNIX_EPOCH + Duration::from_secs(1), ..MOMENT };
    let message = account("ann", "pw").expect("an account").answer_to(&challenge, &moment);
    assert_eq!(message[72..112], [0; 40], "no integrity code, no LM response");
    // 11,644,473,601 seconds in ticks of 100 ns.
    assert_eq!(message[136..144], 116_444_736_010_000_000_u64.to_le_bytes());
    assert_eq!(message[156..164], [0; 8], "the end of an empty list");
    assert_eq!(&message[164..], b"a\0n\0n\0");
}

#[test]
fn names_are_taken_apart_as_windows_does() {
    for (name, domain, user) in [
        ("CORP\\ann", "CORP", "ann"),
        (" corp.example.com\\ann\n", "corp.example.com", "ann"),
        ("ann@corp.example.com", "", "ann@corp.example.com"),
        ("ann", "", "ann"),
        ("CORP\\a\\b", "CORP", "a\\b"),
        (".\\ann", ".", "ann"),
    ] {
        let account = account(name, "pw").expect(name);
        let text = |utf16: &[u8]| String::from_utf8(utf16.iter().copied().filter(|byte| *byte != 0).collect());
        assert_eq!((text(&account.domain), text(&account.user)), (Ok(domain.into()), Ok(user.into())), "{name}");
    }
}

#[test]
fn the_case_of_a_users_name_makes_no_difference_and_that_of_the_domain_does() {
    let key = |name: &str| account(name, "pw").map(|account| account.key).expect(name);
    assert_eq!(key("CORP\\änn"), key("CORP\\ÄNN"));
    assert_ne!(key("CORP\\ann"), key("corp\\ann"));
    assert_eq!(capitals("weiß"), "WEIß");
}

#[test]
fn a_line_end_behind_a_password_is_no_part_of_it() {
    let key = |password: &str| account("ann", password).map(|account| account.key).expect("a key");
    assert_eq!(key("pw"), key("pw\r\n"));
    assert_ne!(key("pw"), key("pw "));
}

#[test]
fn what_cannot_log_in_is_named() {
    let long = "a".repeat(1025);
    for (username, password, words) in [
        ("", "pw", "usernameSecret holds no user name; write it like"),
        ("CORP\\", "pw", "usernameSecret holds no user name"),
        (long.as_str(), "pw", "usernameSecret holds no user name"),
        ("ann", "", "passwordSecret holds no password"),
        ("ann", "\n", "passwordSecret holds no password"),
    ] {
        assert!(account(username, password).is_err_and(|text| text.contains(words)), "{words}");
    }
    let binary = SecretBytes::new([0xff]);
    let text = SecretBytes::from("ann");
    assert!(Account::new(&binary, &text).is_err_and(|text| text.starts_with("usernameSecret holds bytes")));
    assert!(Account::new(&text, &binary).is_err_and(|text| text.starts_with("passwordSecret holds bytes")));
}

#[test]
fn a_broken_challenge_is_an_error_wherever_it_ends() {
    let whole = bytes(
        "4e544c4d535350000200000000000000380000000182880001234567\
         89abcdef00000000000000000a000a003800000000000000000000000200020041000000 0000"
            .replace(' ', "")
            .as_str(),
    );
    assert!(Challenge::parse(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(Challenge::parse(&whole[..end]).is_err(), "{end}");
    }
    for (at, wrong) in [(0, b'X'), (8, 3), (20, 0), (40, 0xff), (44, 0xff), (47, 0x80), (58, 0xff)] {
        let mut broken = whole.clone();
        broken[at] = wrong;
        assert!(Challenge::parse(&broken).is_err(), "{at}");
    }
}

#[test]
fn a_clock_before_1970_is_no_disaster() {
    assert_eq!(file_time(UNIX_EPOCH - Duration::from_secs(1)), file_time(UNIX_EPOCH));
}
