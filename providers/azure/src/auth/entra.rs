//! Entra ID: an application proves itself and is given a token.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use keyferry_clouds::azure::issued;
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, BaseUrl, Client, Lease, Url};
use serde::Deserialize;

use super::{OPERATION, ServiceAccount, certificate::ClientCertificate};
use crate::{PROVIDER, config::invalid};

/// An application, or a managed identity that trusts somebody elsewhere.
pub(super) struct Application {
    client_id: String,
    proof: Proof,
    tenant: String,
    url: Url,
}

/// How an application proves itself.
#[derive(Debug)]
pub(super) enum Proof {
    /// It signs.
    Certificate(ClientCertificate),
    /// A token of the operator's own ServiceAccount, in this file, which is replaced from time to time.
    File(PathBuf),
    /// It knows this.
    Secret(SecretBytes),
    /// A ServiceAccount that it trusts.
    ServiceAccount(ServiceAccount),
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Long enough to be exchanged, which follows at once. The API server gives out no shorter ones.
const SERVICE_ACCOUNT_TOKEN_LIFE: Duration = Duration::from_mins(10);

impl Application {
    pub(super) fn new(authority: &BaseUrl, tenant: &str, client_id: String, proof: Proof) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if !tenant.bytes().all(is_plain) || tenant.split('.').any(str::is_empty) {
            let text = "tenantId: is neither the id of a tenant, which looks like 00000000-0000-0000-0000-000000000000, \
                        nor one of its domains";
            return Err(invalid("Configure", text));
        }
        // AD FS, which Azure Stack may have in place of Entra ID, has no tenants.
        let path =
            if tenant == "adfs" { "adfs/oauth2/token".to_owned() } else { format!("{tenant}/oauth2/v2.0/token") };
        let url =
            authority.join(&path).map_err(|error| invalid("Configure", format!("the address of Entra ID {error}")))?;
        Ok(Self { client_id, proof, tenant: tenant.to_owned(), url })
    }

    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// A token for `audience`.
    pub(super) async fn login(&self, http: &Client, audience: &str) -> Result<Lease<SecretBytes>> {
        let secret = match &self.proof {
            Proof::Secret(secret) => secret.clone(),
            Proof::Certificate(certificate) => certificate.assertion(&self.client_id, self.url.as_str())?,
            Proof::File(file) => read(file).await?,
            Proof::ServiceAccount(account) => {
                account.tokens.token(&account.all_audiences(), SERVICE_ACCOUNT_TOKEN_LIFE).await?.token
            }
        };
        let secret = secret.expose_str().ok_or_else(|| invalid(OPERATION, "what proves the login is not text"))?;
        let scope = format!("{audience}/.default");
        let mut form = vec![
            ("client_id", self.client_id.as_str()),
            ("grant_type", "client_credentials"),
            ("scope", scope.as_str()),
        ];
        match &self.proof {
            Proof::Secret(_) => form.push(("client_secret", secret)),
            Proof::Certificate(_) | Proof::File(_) | Proof::ServiceAccount(_) => {
                form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", secret)]);
            }
        }
        let answer = http.post(OPERATION, self.url.clone()).about("the login at Entra ID").form(&form).send().await?;
        match answer.status() {
            400 | 401 | 403 => Err(refused(&answer)),
            404 => {
                let text = "what answers at the address of Entra ID does not know logins; check environmentType and \
                            customCloudConfig.activeDirectoryEndpoint";
                Err(answer.error(ErrorKind::InvalidConfig, text))
            }
            _ => issued(&answer),
        }
    }
}

fn refused(answer: &Answer) -> Error {
    let refused: Option<Refused> = answer.hint();
    let code = refused.and_then(|refused| refused.error_codes.first().copied()).unwrap_or_default();
    let text = match code {
        53003 => "a Conditional Access policy forbids the login; except the application from it",
        90002 | 900_021 | 900_023 => "the cloud has no such tenant; check tenantId and environmentType",
        500_011 | 500_014 => {
            "the tenant has no Key Vault of this cloud; check tenantId, environmentType and customCloudConfig"
        }
        700_011 | 700_016 => "the tenant has no application with this client id; check client id and tenantId",
        700_024 => "what proves the login does not hold at this time; check the clocks of nodes and API server",
        700_027 => {
            "Entra ID does not know the certificate in authSecretRef.clientCertificate; upload it to the application"
        }
        70021 | 700_211 | 700_212 | 700_213 | 700_223 | 700_236 => {
            "the application does not trust the ServiceAccount; give it a federated credential with the API \
             server's issuer, the subject system:serviceaccount:NAMESPACE:NAME and the audience \
             api://AzureADTokenExchange"
        }
        7_000_112 => "the application is disabled; enable it in Entra ID",
        7_000_215 => {
            "authSecretRef.clientSecret is wrong; it must be the value of a client secret of the application, not \
             its id"
        }
        7_000_222 => "authSecretRef.clientSecret has expired; make a new client secret",
        _ => "Entra ID refused the login; check tenantId, client id and what proves it",
    };
    let text = if code == 0 { text.to_owned() } else { format!("{text} (AADSTS{code})") };
    answer.error(ErrorKind::Unauthenticated, text)
}

/// Its texts are not taken over; the numbers are known to the whole world.
#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    error_codes: Vec<u32>,
}

async fn read(file: &Path) -> Result<SecretBytes> {
    let token = tokio::fs::read(file).await.map(SecretBytes::new).map_err(|error| {
        let text = format!("the file that AZURE_FEDERATED_TOKEN_FILE names cannot be read ({})", error.kind());
        Error::new(ErrorKind::InvalidConfig, PROVIDER, OPERATION, text)
    })?;
    let token = token.trimmed();
    if token.is_empty() {
        return Err(invalid(OPERATION, "the file that AZURE_FEDERATED_TOKEN_FILE names is empty"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use keyferry_rest::BaseUrl;

    use super::{Application, Proof};

    fn url(tenant: &str) -> Result<String, String> {
        let authority = BaseUrl::parse("https://login.example.com").unwrap();
        let application = Application::new(&authority, tenant, "c".into(), Proof::Secret("s".into()));
        application.map(|application| application.url.to_string()).map_err(|error| error.message)
    }

    #[test]
    fn the_tenant_stands_in_the_address() {
        assert_eq!(url("a.example"), Ok("https://login.example.com/a.example/oauth2/v2.0/token".into()));
        assert_eq!(url("adfs"), Ok("https://login.example.com/adfs/oauth2/token".into()));
    }

    #[test]
    fn what_cannot_be_a_tenant_is_told() {
        for tenant in ["", "..", "a/b", "a b", "a?b", ".a"] {
            assert!(url(tenant).is_err_and(|text| text.starts_with("tenantId: is neither the id of")), "{tenant}");
        }
    }
}
