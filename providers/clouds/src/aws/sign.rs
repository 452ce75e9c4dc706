//! Signature Version 4.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use keyferry_core::SecretBytes;

use super::{AwsKeys, Endpoint, ORIGIN, SignedQuestion};

/// Who signs, and for which region.
#[derive(Clone, Debug)]
pub struct Signer {
    pub(super) credentials: Credentials,
    pub(super) region: String,
}

/// What cannot be credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsignable;

impl fmt::Display for Unsignable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("are empty, or hold characters that credentials never have")
    }
}

impl std::error::Error for Unsignable {}

impl Signer {
    /// Fails for credentials that are empty or no text.
    pub fn new(keys: &AwsKeys) -> Result<Self, Unsignable> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let text = |secret: &SecretBytes| {
            secret.trimmed().expose_str().filter(|text| plain(text)).map(str::to_owned).ok_or(Unsignable)
        };
        let id = Some(keys.access_key_id.trim()).filter(|id| plain(id)).ok_or(Unsignable)?;
        let session_token = keys.session_token.as_ref().map(text).transpose()?;
        let credentials = Credentials::new(id, text(&keys.secret_access_key)?, session_token, None, ORIGIN);
        Ok(Self { credentials, region: keys.region.clone() })
    }

    /// Asks AWS who this is. `headers`, named in lower case, are signed too.
    pub fn question(
        &self,
        endpoint: Endpoint,
        headers: &[(&str, &str)],
        now: SystemTime,
    ) -> Result<SignedQuestion, Unsignable> {
        let host = self.host(endpoint);
        let url = format!("https://{host}/");
        let added = self.sign(&url, headers, SignedQuestion::BODY.as_bytes(), now)?;
        let given = headers.iter().map(|(name, value)| (capitalised(name), SecretBytes::from(*value)));
        let headers: BTreeMap<_, _> =
            given.chain(added.into_iter().map(|(name, value)| (capitalised(&name), value))).collect();
        Ok(SignedQuestion { url, host, headers })
    }

    /// The headers that make `POST url` a signed request to STS: `authorization` and those that it needs beside
    /// `headers` and the host, all named in lower case.
    pub fn sign(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now: SystemTime,
    ) -> Result<Vec<(String, SecretBytes)>, Unsignable> {
        let identity = self.credentials.clone().into();
        let parameters: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| Unsignable)?
            .into();
        let request =
            SignableRequest::new(SignedQuestion::METHOD, url, headers.iter().copied(), SignableBody::Bytes(body));
        let (signed, _) = sign(request.map_err(|_| Unsignable)?, &parameters).map_err(|_| Unsignable)?.into_parts();
        Ok(signed.headers().map(|(name, value)| (name.to_owned(), SecretBytes::from(value))).collect())
    }

    fn host(&self, endpoint: Endpoint) -> String {
        let region = &self.region;
        match (endpoint, region.as_str()) {
            (Endpoint::Global, "us-east-1") => "sts.amazonaws.com".to_owned(),
            _ if region.starts_with("cn-") => format!("sts.{region}.amazonaws.com.cn"),
            _ => format!("sts.{region}.amazonaws.com"),
        }
    }
}

/// `x-amz-date` as `X-Amz-Date`.
fn capitalised(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// Computed with another implementation (Python's hmac) from the published algorithm.
#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use keyferry_core::SecretBytes;

    use super::{AwsKeys, Endpoint, SignedQuestion, Signer, Unsignable};

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    fn keys(region: &str, session_token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n".into(),
            session_token: session_token.map(Into::into),
            region: region.into(),
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn question(keys: &AwsKeys, endpoint: Endpoint, headers: &[(&str, &str)]) -> SignedQuestion {
        Signer::new(keys).expect("credentials").question(endpoint, headers, now()).expect("a signature")
    }

    fn header<'a>(question: &'a SignedQuestion, name: &str) -> &'a str {
        question.headers.get(name).and_then(SecretBytes::expose_str).unwrap_or_default()
    }

    #[test]
    fn the_question_is_signed_as_aws_specifies() {
        let asked = question(&keys("eu-central-1", None), Endpoint::Regional, &[FORM]);
        assert_eq!(asked.url, "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(header(&asked, "X-Amz-Date"), "20150830T123600Z");
        assert_eq!(header(&asked, "Content-Type"), FORM.1);
        assert_eq!(
            header(&asked, "Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sts/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature=24d7f3da3232bcfb70801f5966182847b7171d23c174a6f2a1fee54df8783abf"
        );
        let bare = question(&keys("eu-central-1", None), Endpoint::Regional, &[]);
        assert!(header(&bare, "Authorization").ends_with(
            "SignedHeaders=host;x-amz-date, Signature=1936ab80e43374dc7dda6c323fffc2388d341bd81d94c0d01461212b322f30f0"
        ));
    }

    #[test]
    fn temporary_credentials_sign_their_session_token_too() {
        let asked = question(&keys("cn-north-1", Some("session/token==")), Endpoint::Regional, &[FORM]);
        assert_eq!(asked.url, "https://sts.cn-north-1.amazonaws.com.cn/");
        assert_eq!(header(&asked, "X-Amz-Security-Token"), "session/token==");
        assert!(
            header(&asked, "Authorization").ends_with("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=f1bf5857beb2646cbf93c47c3a6acf64b8d744c2666d150d1a5e258fa2976140")
        );
    }

    #[test]
    fn further_headers_are_signed_and_the_global_endpoint_is_that_of_us_east_1() {
        let server = ("x-vault-aws-iam-server-id", "vault.example");
        let asked = question(&keys("us-east-1", None), Endpoint::Global, &[server]);
        assert_eq!((asked.url.as_str(), asked.host.as_str()), ("https://sts.amazonaws.com/", "sts.amazonaws.com"));
        assert_eq!(header(&asked, "X-Vault-Aws-Iam-Server-Id"), "vault.example");
        assert!(header(&asked, "Authorization").contains("SignedHeaders=host;x-amz-date;x-vault-aws-iam-server-id, "));
        let elsewhere = question(&keys("eu-west-1", None), Endpoint::Global, &[]);
        assert_eq!(elsewhere.host, "sts.eu-west-1.amazonaws.com");
    }

    #[test]
    fn what_cannot_be_credentials_signs_nothing_and_is_not_shown() {
        let good = || keys("eu-west-1", None);
        for wrong in [
            AwsKeys { access_key_id: " ".into(), ..good() },
            AwsKeys { secret_access_key: "hun ter2".into(), ..good() },
            AwsKeys { secret_access_key: SecretBytes::new([0xff]), ..good() },
            AwsKeys { session_token: Some("".into()), ..good() },
        ] {
            assert_eq!(Signer::new(&wrong).map(drop), Err(Unsignable));
        }
        let shown = format!("{:?}", Signer::new(&good()).expect("credentials"));
        assert!(!shown.contains("wJalr"), "{shown}");
    }
}
