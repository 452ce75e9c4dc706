//! Requests to AWS that Google sends on, to learn who has signed them (Signature Version 4).

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use sha2::{Digest, Sha256};

const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const SKEW: SignedDuration = SignedDuration::from_mins(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    #[serde(default)]
    body: String,
    headers: Vec<Header>,
    method: String,
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    value: String,
}

/// The access key id whose owner has just signed the request in `token`, to be shown to `audience`. `keys` are the
/// secret access keys by their ids.
pub(super) fn verify(
    token: &str,
    audience: &str,
    keys: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<String, &'static str> {
    let text = percent_decode_str(token).decode_utf8().map_err(|_| "it is no text")?;
    let signed: Signed = serde_json::from_str(&text).map_err(|_| "it is no request")?;
    let headers: BTreeMap<_, _> =
        signed.headers.iter().map(|header| (header.key.to_ascii_lowercase(), header.value.as_str())).collect();
    let header = |name: &str| headers.get(name).copied().ok_or("a header is missing");
    let host =
        signed.url.strip_prefix("https://").and_then(|url| url.strip_suffix(QUERY)).ok_or("it asks something else")?;
    let host = host.strip_suffix("/?").or_else(|| host.strip_suffix('?')).ok_or("it asks something else")?;
    if signed.method != "POST" || !signed.body.is_empty() {
        return Err("it asks something else");
    }
    let fields = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("its algorithm is another")?;
    let fields: BTreeMap<_, _> = fields.split(", ").filter_map(|field| field.split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().ok_or("a part of its signature is missing");
    let (id, scope) = field("Credential")?.split_once('/').ok_or("its credential has no scope")?;
    let [date, region, "sts", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err("its credential has another scope");
    };
    if host != format!("sts.{region}.amazonaws.com") || header("host")? != host {
        return Err("its host is not the region's STS");
    }
    let time = header("x-amz-date")?;
    if !time.starts_with(date) || !is_near(time, now) {
        return Err("it is too old");
    }
    if header("x-goog-cloud-target-resource")? != audience {
        return Err("it is meant for another provider");
    }
    let names = field("SignedHeaders")?;
    let must = ["host", "x-amz-date", "x-goog-cloud-target-resource"];
    if !must.iter().all(|name| names.split(';').any(|signed| signed == *name)) {
        return Err("not all that matters is signed");
    }
    let lines = names.split(';').map(|name| Ok(format!("{name}:{}\n", header(name)?.trim())));
    let lines = lines.collect::<Result<String, &str>>()?;
    let request = format!("POST\n/\n{QUERY}\n{lines}\n{names}\n{}", hex(&Sha256::digest("")));
    let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let secret = keys.get(id).ok_or("its access key is unknown")?;
    let key = [date, region, "sts", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| sign(&key, part));
    if hex(&sign(&key, &message)) == field("Signature")? {
        Ok(id.to_owned())
    } else {
        Err("its signature does not match")
    }
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
    use jiff::Timestamp;
    use serde_json::json;

    use super::verify;

    /// The signature was computed with another implementation (Python's hmac).
    const SIGNATURE: &str = "5d6aa447e997b5d1b616bc488739d584e100288c3308b090004a8c96005b7905";
    const AUDIENCE: &str = "//iam.googleapis.com/pool";

    fn check(signature: &str, audience: &str, time: &str) -> Result<String, &'static str> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, \
             SignedHeaders=host;x-amz-date;x-goog-cloud-target-resource, Signature={signature}"
        );
        let token = json!({
            "url": "https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
            "method": "POST",
            "headers": [
                {"key": "Authorization", "value": authorization},
                {"key": "host", "value": "sts.us-east-1.amazonaws.com"},
                {"key": "x-amz-date", "value": "20150830T123600Z"},
                {"key": "x-goog-cloud-target-resource", "value": AUDIENCE},
            ],
        });
        let keys = [("AKIDEXAMPLE".to_owned(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned())].into();
        let now: Timestamp = time.parse().unwrap();
        verify(&token.to_string(), audience, &keys, now)
    }

    #[test]
    fn only_what_its_owner_has_just_signed_for_this_audience_is_accepted() {
        assert_eq!(check(SIGNATURE, AUDIENCE, "2015-08-30T12:40:00Z"), Ok("AKIDEXAMPLE".to_owned()));
        let other = SIGNATURE.replace('a', "b");
        assert_eq!(check(&other, AUDIENCE, "2015-08-30T12:40:00Z"), Err("its signature does not match"));
        assert_eq!(check(SIGNATURE, AUDIENCE, "2015-08-30T13:00:00Z"), Err("it is too old"));
        let elsewhere = "//iam.googleapis.com/other";
        assert_eq!(check(SIGNATURE, elsewhere, "2015-08-30T12:40:00Z"), Err("it is meant for another provider"));
    }
}
