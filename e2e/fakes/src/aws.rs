//! Questions to AWS's token service that somebody has signed for others to send on (Signature Version 4): whoever gets
//! AWS's answer knows who has signed.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use sha2::{Digest, Sha256};

/// What is asked.
pub(crate) const CALLER_IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// `POST https://{host}/?{query}`
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) host: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a str,
    headers: BTreeMap<String, String>,
}

impl<'a> Question<'a> {
    pub(crate) fn new(
        host: &'a str,
        (query, body): (&'a str, &'a str),
        headers: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        // Whoever sends it on says where to.
        let headers = [("host".to_owned(), host.to_owned())].into_iter().chain(headers).collect();
        Self { host, query, body, headers }
    }

    pub(crate) fn header(&self, name: &str) -> Result<&str, &'static str> {
        self.headers.get(name).map(String::as_str).ok_or("a header is missing")
    }

    /// The id of the access key with which this was just signed. `keys` are the secret access keys by their ids.
    pub(crate) fn signer(&self, keys: &BTreeMap<String, String>, now: Timestamp) -> Result<String, &'static str> {
        let fields = self.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another algorithm")?;
        let fields: BTreeMap<_, _> = fields.split(", ").filter_map(|field| field.split_once('=')).collect();
        let field = |name: &str| fields.get(name).copied().ok_or("a part of the signature is missing");
        let (id, scope) = field("Credential")?.split_once('/').ok_or("no credential scope")?;
        let [date, region, "sts", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
            return Err("another credential scope");
        };
        let partition = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        if self.host != format!("sts.{region}.{partition}") || self.header("host")? != self.host {
            return Err("another host");
        }
        let time = self.header("x-amz-date")?;
        if !time.starts_with(date) || !is_near(time, now) {
            return Err("signature expired");
        }
        let names: Vec<_> = field("SignedHeaders")?.split(';').collect();
        // What Google adds says nothing unless it is signed; the others AWS asks for.
        let must = |name: &str| ["host", "x-amz-", "x-goog-"].iter().any(|start| name.starts_with(start));
        if !names.is_sorted() || self.headers.keys().any(|name| must(name) && !names.contains(&name.as_str())) {
            return Err("a header that must be signed is not");
        }
        let lines = names.iter().map(|name| Ok(format!("{name}:{}\n", self.header(name)?.trim())));
        let lines = lines.collect::<Result<String, &str>>()?;
        let names = names.join(";");
        let request = format!("POST\n/\n{}\n{lines}\n{names}\n{}", self.query, hex(&Sha256::digest(self.body)));
        let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let start = format!("AWS4{}", keys.get(id).ok_or("unknown access key")?).into_bytes();
        let key = scope.split('/').fold(start, |key, part| sign(&key, part));
        if hex(&sign(&key, &message)) == field("Signature")? {
            Ok(id.to_owned())
        } else {
            Err("the signature does not match")
        }
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
    use super::{CALLER_IDENTITY, Question};

    const HOST: &str = "sts.eu-central-1.amazonaws.com";

    /// The signature was computed with another implementation (Python's hmac).
    const SIGNATURE: &str = "1936ab80e43374dc7dda6c323fffc2388d341bd81d94c0d01461212b322f30f0";

    const NOW: &str = "2015-08-30T12:40:00Z";

    fn check(signature: &str, host: &str, header: (&str, &str), time: &str) -> Result<String, &'static str> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sts/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let headers = [("Authorization", authorization.as_str()), ("X-Amz-Date", "20150830T123600Z"), header];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let keys = [("AKIDEXAMPLE".to_owned(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned())].into();
        Question::new(host, ("", CALLER_IDENTITY), headers).signer(&keys, time.parse().expect("a time"))
    }

    #[test]
    fn only_the_right_signature_of_just_now_is_accepted() {
        let plain = ("Accept", "*/*");
        assert_eq!(check(SIGNATURE, HOST, plain, NOW), Ok("AKIDEXAMPLE".to_owned()));
        for (signature, host, header, time, wrong) in [
            (&*SIGNATURE.replace('a', "b"), HOST, plain, NOW, "the signature does not match"),
            (SIGNATURE, HOST, plain, "2015-08-30T13:00:00Z", "signature expired"),
            (SIGNATURE, "sts.evil.example", plain, NOW, "another host"),
            (SIGNATURE, "sts.us-east-1.amazonaws.com", plain, NOW, "another host"),
            (SIGNATURE, HOST, ("Host", "sts.evil.example"), NOW, "another host"),
            (SIGNATURE, HOST, ("X-Amz-Security-Token", "t"), NOW, "a header that must be signed is not"),
        ] {
            assert_eq!(check(signature, host, header, time), Err(wrong), "{host} {header:?}");
        }
    }
}
