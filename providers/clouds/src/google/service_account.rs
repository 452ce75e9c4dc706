//! The JSON key of a service account.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyferry_core::{Result, SecretBytes};
use keyferry_rest::Lease;
use rustls::{
    SignatureScheme,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::SigningKey,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Google, SCOPE, Service,
    impersonation::is_account,
    refusal::refused,
    token::{AccessToken, issued},
};

/// A service account's key, checked.
pub struct ServiceAccountKey {
    email: String,
    key: Arc<dyn SigningKey>,
    key_id: Option<String>,
}

const OPERATION: &str = "RequestToken";

/// Whom an assertion is for. Google's older addresses are the same endpoint, which takes this name for all of them.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// The `token_uri` of keys from all times.
const TOKEN_URIS: [&str; 4] = [
    AUDIENCE,
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v3/token",
    "https://www.googleapis.com/oauth2/v4/token",
];

/// The longest that Google allows.
const ASSERTION_LIFE: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct KeyFile {
    client_email: Option<String>,
    #[serde(default, deserialize_with = "keyferry_rest::optional_secret")]
    private_key: Option<SecretBytes>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    universe_domain: Option<String>,
}

impl ServiceAccountKey {
    /// Reads a key file. The text of an error tells what is wrong, and nothing of the content.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let file: KeyFile = serde_json::from_slice(json)
            .map_err(|_| "it is not a JSON key file; store the file as Google gave it out, without another encoding")?;
        match file.kind.as_deref() {
            Some("service_account") => {}
            Some(_) => return Err("\"type\" is not \"service_account\"; create a key of a service account".into()),
            None => return Err("\"type\" is missing; store the whole JSON key file".into()),
        }
        if file.token_uri.as_deref().is_some_and(|uri| !TOKEN_URIS.contains(&uri)) {
            return Err(format!("\"token_uri\" is not Google's; it must be {AUDIENCE}"));
        }
        check_universe(file.universe_domain.as_deref())?;
        let email = file.client_email.filter(|email| !email.is_empty()).ok_or("\"client_email\" is missing")?;
        // It becomes part of a path.
        if !is_account(&email) {
            return Err("\"client_email\" is no address of a service account".into());
        }
        let pem = file.private_key.ok_or("\"private_key\" is missing")?;
        let der = PrivateKeyDer::from_pem_slice(pem.expose())
            .map_err(|_| "\"private_key\" is not a private key in PEM form; are its line breaks written as \\n?")?;
        let key = any_supported_type(&der)
            .ok()
            .filter(|key| key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_some())
            .ok_or("\"private_key\" is not a usable RSA key")?;
        Ok(Self { email, key, key_id: file.private_key_id })
    }

    /// The account's address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// An access token.
    pub async fn login(&self, google: &Google) -> Result<Lease<AccessToken>> {
        let assertion = self.assertion(SystemTime::now()).map_err(|error| google.http.invalid(OPERATION, error))?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.expose_str().unwrap_or_default()),
        ];
        let answer = google
            .http
            .post(OPERATION, google.url(OPERATION, Service::OAuth2, "token")?)
            .about(format!("the login of {}", self.email))
            .form(&form)
            .send()
            .await?;
        if answer.is_success() { issued(&answer) } else { Err(refused(&answer, |_| self.refusal())) }
    }

    fn refusal(&self) -> String {
        let key = self.key_id.as_deref().map(|id| format!(" {id}")).unwrap_or_default();
        format!(
            "Google does not accept the key{key} of {}; it may be deleted, the account disabled, or the clock of this \
             machine wrong",
            self.email
        )
    }

    /// A signed JWT that says who asks for a token.
    fn assertion(&self, now: SystemTime) -> Result<SecretBytes, String> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "the clock of this machine is wrong")?;
        self.sign(&json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": now.as_secs(),
            "exp": (now + ASSERTION_LIFE).as_secs(),
        }))
    }

    /// A JWT with these claims, signed by the account itself. The text of an error tells what is wrong.
    pub fn sign(&self, claims: &Value) -> Result<SecretBytes, String> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .key
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .and_then(|signer| signer.sign(message.as_bytes()).ok())
            .ok_or("the service account's key cannot sign")?;
        Ok(SecretBytes::from(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountKey").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Google runs clouds for others, with other addresses; credentials of those are refused rather than sent to this one.
pub fn check_universe(domain: Option<&str>) -> Result<(), String> {
    match domain {
        None | Some("" | "googleapis.com") => Ok(()),
        Some(_) => Err("\"universe_domain\" is not googleapis.com, the only one that is supported".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::LazyLock,
        time::{Duration, SystemTime},
    };

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
    use serde_json::{Value, json};

    use super::ServiceAccountKey;

    static RSA: LazyLock<String> = LazyLock::new(|| {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key").serialize_pem()
    });

    fn key_file() -> Value {
        json!({
            "type": "service_account",
            "project_id": "p-1",
            "private_key_id": "0a1b2c",
            "private_key": *RSA,
            "client_email": "reader@p-1.iam.gserviceaccount.com",
            "client_id": "1",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        })
    }

    fn parse(file: &Value) -> Result<ServiceAccountKey, String> {
        ServiceAccountKey::parse(file.to_string().as_bytes())
    }

    fn wrong(member: &str, value: impl Into<Value>) -> String {
        let mut file = key_file();
        file[member] = value.into();
        parse(&file).expect_err(member)
    }

    #[test]
    fn an_assertion_names_account_scope_audience_and_an_hour() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let assertion = parse(&key_file()).unwrap().assertion(now).unwrap();
        let parts: Vec<_> = assertion.expose_str().unwrap().split('.').collect();
        let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        assert_eq!(read(parts[0]), json!({"alg": "RS256", "typ": "JWT", "kid": "0a1b2c"}));
        assert_eq!(
            read(parts[1]),
            json!({
                "iss": "reader@p-1.iam.gserviceaccount.com",
                "scope": "https://www.googleapis.com/auth/cloud-platform",
                "aud": "https://oauth2.googleapis.com/token",
                "iat": 1_700_000_000,
                "exp": 1_700_003_600,
            })
        );
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 256);
    }

    #[test]
    fn each_way_to_spoil_a_key_file_has_its_message() {
        let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        for (error, expected) in [
            (ServiceAccountKey::parse(b"{hunter2").expect_err("no JSON"), "it is not a JSON key file"),
            (ServiceAccountKey::parse(b"[]").expect_err("no object"), "it is not a JSON key file"),
            (wrong("type", "authorized_user"), "\"type\" is not \"service_account\""),
            (wrong("type", Value::Null), "\"type\" is missing"),
            (wrong("client_email", ""), "\"client_email\" is missing"),
            (wrong("client_email", "a@b/../hunter2"), "\"client_email\" is no address of a service account"),
            (wrong("private_key", Value::Null), "\"private_key\" is missing"),
            (wrong("private_key", "hunter2"), "\"private_key\" is not a private key in PEM form"),
            (wrong("private_key", elliptic), "\"private_key\" is not a usable RSA key"),
            (wrong("token_uri", "https://evil.example/hunter2"), "\"token_uri\" is not Google's"),
            (wrong("universe_domain", "hunter2.example"), "\"universe_domain\" is not googleapis.com"),
        ] {
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn old_keys_work() {
        let mut file = key_file();
        file["token_uri"] = json!("https://accounts.google.com/o/oauth2/token");
        file.as_object_mut().unwrap().remove("universe_domain");
        parse(&file).unwrap();
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", parse(&key_file()).unwrap());
        assert_eq!(shown, "ServiceAccountKey { email: \"reader@p-1.iam.gserviceaccount.com\", .. }");
    }
}
