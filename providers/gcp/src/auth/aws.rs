//! Identities of AWS: a signed request that asks AWS who its sender is, for Google to send.

use std::time::SystemTime;

use keyferry_clouds::aws::{AwsKeys, SignedQuestion, Signer, Unsignable};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{Method, Url};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::AwsCredentials;
use crate::{
    PROVIDER,
    services::{Services, invalid},
};

/// Whose request it is, and where it goes.
#[derive(Debug)]
pub(super) struct AwsSource {
    keys: Keys,
    /// With `{region}` in it.
    verification_url: String,
}

#[derive(Debug)]
enum Keys {
    Given { credentials: AwsCredentials, region: String },
    Metadata(AwsMetadata),
}

/// The metadata server of a machine in AWS.
#[derive(Debug)]
pub(super) struct AwsMetadata {
    credentials: Url,
    region: Url,
    session: Option<Url>,
}

const OPERATION: &str = "GetAwsMetadata";

const VERIFICATION_URL: &str = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

impl AwsSource {
    /// The text of an error names what is missing.
    pub(super) fn with_keys(credentials: AwsCredentials, region: String) -> Result<Self, String> {
        let text = |secret: &SecretBytes| secret.expose_str().is_some_and(|text| !text.trim().is_empty());
        if !text(&credentials.access_key_id) {
            return Err("the Secret has no aws_access_key_id".into());
        }
        if !text(&credentials.secret_access_key) {
            return Err("the Secret has no aws_secret_access_key".into());
        }
        if !is_region(&region) {
            return Err(format!("region: {region:?} is no region of AWS, like eu-west-1"));
        }
        let session_token = credentials.session_token.filter(|token| !token.trimmed().is_empty());
        let credentials = AwsCredentials { session_token, ..credentials };
        Signer::new(&keys_of(&credentials, &region))
            .map_err(|_| "the keys in the Secret hold characters that keys of AWS never have; copy them again")?;
        Ok(Self { keys: Keys::Given { credentials, region }, verification_url: VERIFICATION_URL.to_owned() })
    }

    /// `verification_url` may hold `{region}`.
    pub(super) fn with_metadata(metadata: AwsMetadata, verification_url: Option<String>) -> Result<Self, String> {
        let verification_url = verification_url.unwrap_or_else(|| VERIFICATION_URL.to_owned());
        let url = Url::parse(&verification_url.replace("{region}", "region")).ok();
        if !url.is_some_and(|url| url.scheme() == "https" && url.host_str().is_some_and(is_sts)) {
            return Err("\"credential_source.regional_cred_verification_url\" is not AWS's STS".into());
        }
        Ok(Self { keys: Keys::Metadata(metadata), verification_url })
    }

    /// The subject token: the signed request, in the form that Google's STS takes.
    pub(super) async fn token(&self, services: &Services, audience: &str) -> Result<SecretBytes> {
        let found;
        let (credentials, region) = match &self.keys {
            Keys::Given { credentials, region } => (credentials, region),
            Keys::Metadata(metadata) => {
                found = metadata.read(services).await?;
                (&found.0, &found.1)
            }
        };
        let url = self.verification_url.replace("{region}", region);
        let signed = signed_request(credentials, region, &url, audience, SystemTime::now());
        signed.map_err(|_| invalid(OPERATION, "the request to AWS cannot be signed with these credentials"))
    }
}

impl AwsMetadata {
    /// From the members `url`, `region_url` and `imdsv2_session_token_url` of a configuration. Only the metadata
    /// server's own addresses will do: what is found there is sent on to Google, not to whoever wrote the store.
    pub(super) fn new(credentials: &str, region: &str, session: Option<&str>) -> Result<Self, String> {
        let at = |member: &str, text: &str, path: &str| {
            ["http://169.254.169.254", "http://[fd00:ec2::254]"]
                .iter()
                .find(|host| text.strip_prefix(**host) == Some(path))
                .and_then(|_| Url::parse(text).ok())
                .ok_or_else(|| format!("\"credential_source.{member}\" is not http://169.254.169.254{path}"))
        };
        Ok(Self {
            credentials: at("url", credentials, "/latest/meta-data/iam/security-credentials")?,
            region: at("region_url", region, "/latest/meta-data/placement/availability-zone")?,
            session: session.map(|url| at("imdsv2_session_token_url", url, "/latest/api/token")).transpose()?,
        })
    }

    async fn read(&self, services: &Services) -> Result<(AwsCredentials, String)> {
        let session = match &self.session {
            None => None,
            Some(url) => {
                let url = moved(services, url)?;
                let request = services.google.http.request(OPERATION, Method::PUT, url);
                let request = request.header("X-aws-ec2-metadata-token-ttl-seconds", "300");
                Some(request.about("a session with the AWS metadata server").send().await?.bytes()?)
            }
        };
        let get = async |url: &Url, about: &str| {
            let mut request = services.google.http.get(OPERATION, moved(services, url)?).about(about);
            if let Some(session) = &session {
                request = request.secret_header("X-aws-ec2-metadata-token", session);
            }
            request.send().await?.bytes()
        };
        let malformed = |what: &str| Error::new(ErrorKind::Malformed, PROVIDER, OPERATION, what);
        let zone = get(&self.region, "the zone of this machine").await?;
        let region = zone.expose_str().map(|zone| zone.trim().trim_end_matches(|end: char| end.is_ascii_lowercase()));
        let region = region.filter(|region| is_region(region));
        let region = region.ok_or_else(|| malformed("the AWS metadata server names no zone"))?.to_owned();
        let role = get(&self.credentials, "the role of this machine").await?.trimmed();
        let role = role.expose_str().filter(|role| is_role(role));
        let role = role.ok_or_else(|| malformed("the AWS metadata server names no role; attach one to the machine"))?;
        let mut url = self.credentials.clone();
        url.set_path(&format!("{}/{role}", url.path()));
        let answer = get(&url, "the credentials of this machine").await?;
        let answer: RoleCredentials = serde_json::from_slice(answer.expose())
            .map_err(|_| malformed("the AWS metadata server's answer holds no credentials"))?;
        let RoleCredentials { access_key_id, secret_access_key, token } = answer;
        Ok((AwsCredentials { access_key_id, secret_access_key, session_token: token }, region))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleCredentials {
    #[serde(deserialize_with = "keyferry_rest::secret")]
    access_key_id: SecretBytes,
    #[serde(deserialize_with = "keyferry_rest::secret")]
    secret_access_key: SecretBytes,
    #[serde(default, deserialize_with = "keyferry_rest::optional_secret")]
    token: Option<SecretBytes>,
}

/// `url` at the metadata server that the environment names, if it names one.
fn moved(services: &Services, url: &Url) -> Result<Url> {
    match &services.environment.endpoints.aws_metadata {
        None => Ok(url.clone()),
        Some(base) => base.join(url.path().trim_start_matches('/')).map_err(|error| invalid(OPERATION, error)),
    }
}

/// `POST url`, signed, as percent-encoded JSON. Fails only for credentials that are no text.
fn signed_request(
    credentials: &AwsCredentials,
    region: &str,
    url: &str,
    audience: &str,
    now: SystemTime,
) -> Result<SecretBytes, Unsignable> {
    let keys = keys_of(credentials, region);
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).ok_or(Unsignable)?;
    let given = [("host", host.as_str()), ("x-goog-cloud-target-resource", audience)];
    let added = Signer::new(&keys)?.sign(url, &given, &[], now)?;
    let added = added.iter().map(|(name, value)| (name.as_str(), value.expose_str().unwrap_or_default()));
    let headers: Vec<_> =
        given.into_iter().chain(added).map(|(name, value)| json!({"key": name, "value": value})).collect();
    let request = json!({"url": url, "method": SignedQuestion::METHOD, "headers": headers}).to_string();
    Ok(SecretBytes::from(utf8_percent_encode(&request, NON_ALPHANUMERIC).to_string()))
}

fn keys_of(credentials: &AwsCredentials, region: &str) -> AwsKeys {
    AwsKeys {
        access_key_id: credentials.access_key_id.trimmed().expose_str().unwrap_or_default().to_owned(),
        secret_access_key: credentials.secret_access_key.clone(),
        session_token: credentials.session_token.clone(),
        region: region.to_owned(),
    }
}

/// Buckets of AWS's storage have names below its domain, too.
fn is_sts(host: &str) -> bool {
    let region = host.strip_prefix("sts.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    host == "sts.amazonaws.com" || region.is_some_and(|region| !region.contains('.'))
}

fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.contains('-') && text.bytes().all(plain)
}

fn is_role(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use keyferry_core::SecretBytes;
    use percent_encoding::percent_decode_str;
    use serde_json::Value;

    use super::{AwsSource, Keys, signed_request};
    use crate::AwsCredentials;

    fn credentials(session: Option<&str>) -> AwsCredentials {
        AwsCredentials {
            access_key_id: SecretBytes::from("AKIDEXAMPLE"),
            secret_access_key: SecretBytes::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n"),
            session_token: session.map(SecretBytes::from),
        }
    }

    fn signed(session: Option<&str>) -> Value {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let url = "https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        let token = signed_request(&credentials(session), "us-east-1", url, "//iam.googleapis.com/pool", now).unwrap();
        let text = percent_decode_str(token.expose_str().unwrap()).decode_utf8().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn header<'a>(request: &'a Value, name: &str) -> &'a str {
        let headers = request["headers"].as_array().unwrap();
        let header = headers.iter().find(|header| header["key"].as_str().unwrap().eq_ignore_ascii_case(name));
        header.and_then(|header| header["value"].as_str()).unwrap_or_default()
    }

    #[test]
    fn the_request_asks_who_its_sender_is_for_this_audience_only() {
        let request = signed(Some("session"));
        assert_eq!(request["method"], "POST");
        assert_eq!(header(&request, "host"), "sts.us-east-1.amazonaws.com");
        assert_eq!(header(&request, "x-goog-cloud-target-resource"), "//iam.googleapis.com/pool");
        assert_eq!(header(&request, "x-amz-date"), "20150830T123600Z");
        assert_eq!(header(&request, "x-amz-security-token"), "session");
        let authorization = header(&request, "authorization");
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource,"),
            "{authorization}"
        );
    }

    /// Worked out by hand from AWS's description of the signature, with Python's hmac and hashlib.
    #[test]
    fn the_signature_is_the_one_that_aws_expects() {
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, \
                        SignedHeaders=host;x-amz-date;x-goog-cloud-target-resource, Signature=5d6aa447e997b5d1b616bc488739d584e100288c3308b090004a8c96005b7905";
        assert_eq!(header(&signed(None), "authorization"), expected);
    }

    #[test]
    fn missing_keys_and_a_wrong_region_are_refused_by_name() {
        let with = |credentials, region: &str| AwsSource::with_keys(credentials, region.to_owned()).map(drop);
        assert_eq!(with(credentials(None), "eu-west-1"), Ok(()));
        let no_id = AwsCredentials { access_key_id: SecretBytes::from(" "), ..credentials(None) };
        assert_eq!(with(no_id, "eu-west-1"), Err("the Secret has no aws_access_key_id".into()));
        let no_key = AwsCredentials { secret_access_key: SecretBytes::default(), ..credentials(None) };
        assert_eq!(with(no_key, "eu-west-1"), Err("the Secret has no aws_secret_access_key".into()));
        assert!(with(credentials(None), "evil.example/").is_err_and(|error| error.starts_with("region: ")));
        let broken = AwsCredentials { secret_access_key: SecretBytes::from("a b"), ..credentials(None) };
        assert!(
            with(broken, "eu-west-1").is_err_and(|error| error.starts_with("the keys in the Secret hold characters"))
        );
    }

    #[test]
    fn an_empty_session_token_is_none() {
        let source = AwsSource::with_keys(credentials(Some(" \n")), "eu-west-1".to_owned()).unwrap();
        let Keys::Given { credentials, .. } = &source.keys else { panic!("keys were given") };
        assert_eq!(credentials.session_token, None);
    }
}
