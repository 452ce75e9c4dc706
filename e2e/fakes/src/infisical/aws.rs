//! Checks that a `GetCallerIdentity` request is signed as AWS asks for (Signature Version 4).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use sha2::{Digest, Sha256};

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Whether base64 `body` and `headers` are a question that the owner of the access key asks just now.
pub(super) fn verify(
    (method, body, headers): (&str, &str, &str),
    access_key_id: &str,
    secret_access_key: &str,
    now: Timestamp,
) -> Result<(), &'static str> {
    let decoded = |text: &str| STANDARD.decode(text).ok().and_then(|text| String::from_utf8(text).ok());
    if method != "POST" || decoded(body).as_deref() != Some(BODY) {
        return Err("not a GetCallerIdentity request");
    }
    let headers: BTreeMap<String, String> =
        decoded(headers).and_then(|text| serde_json::from_str(&text).ok()).ok_or("headers are no JSON object")?;
    let headers: BTreeMap<_, _> = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let header = |name: &str| headers.get(name).map(String::as_str).ok_or("a header is missing");

    let fields = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another algorithm")?;
    let fields: BTreeMap<_, _> = fields.split(", ").filter_map(|field| field.split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().ok_or("a part of the signature is missing");
    let (key, scope) = field("Credential")?.split_once('/').ok_or("no credential scope")?;
    let [date, region, "sts", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err("another credential scope");
    };
    if key != access_key_id {
        return Err("unknown access key");
    }
    let host = header("host")?;
    if host != format!("sts.{region}.amazonaws.com") {
        return Err("another host");
    }
    let time = header("x-amz-date")?;
    if !time.starts_with(date) || !is_near(time, now) {
        return Err("signature expired");
    }

    let names = field("SignedHeaders")?;
    if !["host", "x-amz-date"].iter().all(|name| names.split(';').any(|signed| signed == *name)) {
        return Err("host and date must be signed");
    }
    let lines = names.split(';').map(|name| Ok(format!("{name}:{}\n", header(name)?.trim())));
    let signed = lines.collect::<Result<String, &str>>()?;
    let request = format!("POST\n/\n\n{signed}\n{names}\n{}", hex(&Sha256::digest(BODY)));
    let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let start = format!("AWS4{secret_access_key}").into_bytes();
    let key = [date, region, "sts", "aws4_request"].iter().fold(start, |key, part| sign(&key, part));
    if hex(&sign(&key, &message)) == field("Signature")? { Ok(()) } else { Err("the signature does not match") }
}

fn is_near(time: &str, now: Timestamp) -> bool {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", time).and_then(|time| time.to_zoned(TimeZone::UTC));
    time.is_ok_and(|time| time.timestamp().duration_since(now).abs() <= SKEW)
}

fn sign(key: &[u8], message: &str) -> Vec<u8> {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use jiff::Timestamp;
    use serde_json::json;

    use super::{BODY, verify};

    /// The signature was computed with another implementation (Python's hmac).
    fn check(signature: &str, host: &str, time: &str) -> Result<(), &'static str> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sts/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let headers = json!({"Authorization": authorization, "Host": host, "X-Amz-Date": "20150830T123600Z"});
        let (body, headers) = (STANDARD.encode(BODY), STANDARD.encode(headers.to_string()));
        let now: Timestamp = time.parse().unwrap();
        verify(("POST", &body, &headers), "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", now)
    }

    const SIGNATURE: &str = "1936ab80e43374dc7dda6c323fffc2388d341bd81d94c0d01461212b322f30f0";
    const HOST: &str = "sts.eu-central-1.amazonaws.com";

    #[test]
    fn only_the_right_signature_of_just_now_is_accepted() {
        assert_eq!(check(SIGNATURE, HOST, "2015-08-30T12:40:00Z"), Ok(()));
        assert_eq!(
            check(&SIGNATURE.replace('a', "b"), HOST, "2015-08-30T12:40:00Z"),
            Err("the signature does not match")
        );
        assert_eq!(check(SIGNATURE, HOST, "2015-08-30T13:00:00Z"), Err("signature expired"));
        assert_eq!(check(SIGNATURE, "sts.evil.example", "2015-08-30T12:40:00Z"), Err("another host"));
    }
}
