//! What a store says about its Infisical.

use std::path::PathBuf;

use keyferry_clouds::{Variables, aws::AwsKeys, google::Endpoints};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Tls};

use crate::{PROVIDER, address};

/// One store's settings, with every reference resolved.
#[derive(Clone, Debug)]
pub struct InfisicalConfig {
    /// `hostAPI`; `None` is Infisical Cloud. Whether it ends in `/api` makes no difference.
    pub host_api: Option<String>,
    /// `auth`.
    pub auth: Auth,
    /// `secretsScope`.
    pub scope: Scope,
    /// `caBundle` or `caProvider`. Holds for Infisical only, not for the clouds' own endpoints.
    pub tls: Tls,
    /// Where the clouds' own endpoints are.
    pub ambient: Ambient,
}

/// Which secrets a store sees: `secretsScope`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `projectSlug`.
    pub project_slug: String,
    /// `environmentSlug`.
    pub environment_slug: String,
    /// `secretsPath`: the folder of keys without a slash, and where listings begin.
    pub secrets_path: String,
    /// `recursive`: listings go into the folders below. Reading a key never searches other folders.
    pub recursive: bool,
    /// `expandSecretReferences`: `${other}` inside a value is replaced by the server.
    pub expand_secret_references: bool,
    /// `organizationSlug`: the sub-organization that the login is for.
    pub organization_slug: Option<String>,
}

/// How a machine identity logs in: one variant for each member of `auth`, its fields named as there. White space
/// around a value makes no difference.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `awsAuthCredentials`: the AWS identity of the operator's pod.
    Aws {
        /// `identityId`.
        identity_id: SecretBytes,
    },
    /// `azureAuthCredentials`: the managed identity of the operator's node.
    Azure {
        /// `identityId`.
        identity_id: SecretBytes,
        /// `resource`; `None` is Azure's management API. An appended `&client_id=…` chooses among several managed
        /// identities.
        resource: Option<SecretBytes>,
    },
    /// `gcpIamAuthCredentials`: a Google service-account key in a file of the operator's pod.
    GcpIam {
        /// `identityId`.
        identity_id: SecretBytes,
        /// `serviceAccountKeyFilePath`.
        service_account_key_file_path: SecretBytes,
    },
    /// `gcpIdTokenAuthCredentials`: the Google service account of the operator's node or pod.
    GcpIdToken {
        /// `identityId`.
        identity_id: SecretBytes,
    },
    /// `jwtAuthCredentials`: a JWT that somebody else signed.
    Jwt {
        /// `identityId`.
        identity_id: SecretBytes,
        /// `jwt`.
        jwt: SecretBytes,
    },
    /// `kubernetesAuthCredentials`: a ServiceAccount token in a file of the operator's pod.
    Kubernetes {
        /// `identityId`.
        identity_id: SecretBytes,
        /// `serviceAccountTokenPath`; `None` is the token of the operator's own ServiceAccount.
        service_account_token_path: Option<SecretBytes>,
    },
    /// `ldapAuthCredentials`: a user of an LDAP directory.
    Ldap {
        /// `identityId`.
        identity_id: SecretBytes,
        /// `ldapUsername`.
        ldap_username: SecretBytes,
        /// `ldapPassword`.
        ldap_password: SecretBytes,
    },
    /// `ociAuthCredentials`: the API key of a user of Oracle Cloud.
    Oci {
        /// `identityId`.
        identity_id: SecretBytes,
        /// `privateKey`: PEM, perhaps encrypted.
        private_key: SecretBytes,
        /// `privateKeyPassphrase`.
        private_key_passphrase: Option<SecretBytes>,
        /// `fingerprint` of the key.
        fingerprint: SecretBytes,
        /// `userId`: the user's OCID.
        user_id: SecretBytes,
        /// `tenancyId`: the tenancy's OCID.
        tenancy_id: SecretBytes,
        /// `region`, for example `eu-frankfurt-1`.
        region: SecretBytes,
    },
    /// `tokenAuthCredentials`: an access token that was made in Infisical.
    Token {
        /// `accessToken`.
        access_token: SecretBytes,
    },
    /// `universalAuthCredentials`: client id and client secret.
    Universal {
        /// `clientId`.
        client_id: SecretBytes,
        /// `clientSecret`.
        client_secret: SecretBytes,
    },
}

/// The clouds' own endpoints, and the files that are used when a store names none. The default is what real clouds
/// and pods have.
#[derive(Clone, Debug)]
pub struct Ambient {
    /// Azure's instance metadata service.
    pub azure_metadata: String,
    /// Google's metadata server.
    pub gcp_metadata: String,
    /// Google's IAM Credentials API.
    pub gcp_iam_credentials: String,
    /// The ServiceAccount token of the operator's pod.
    pub service_account_token: PathBuf,
    /// AWS credentials; `None` looks for them where the AWS SDK looks.
    pub aws: Option<AwsKeys>,
}

impl Default for Ambient {
    fn default() -> Self {
        Self {
            azure_metadata: "http://169.254.169.254".into(),
            gcp_metadata: "http://metadata.google.internal".into(),
            gcp_iam_credentials: "https://iamcredentials.googleapis.com".into(),
            service_account_token: "/var/run/secrets/kubernetes.io/serviceaccount/token".into(),
            aws: None,
        }
    }
}

impl Ambient {
    /// Reads the environment variables that `variable` looks up: `AZURE_POD_IDENTITY_AUTHORITY_HOST`, and those of
    /// [`Endpoints::from_variables`]; an empty one counts as absent. The text of an error names the variable that is
    /// wrong.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut ambient = Self::default();
        let google = Endpoints::from_variables(&variable)?;
        let azure = Variables::new(&variable).address(AZURE_METADATA)?;
        for (place, url) in [
            (&mut ambient.azure_metadata, azure),
            (&mut ambient.gcp_metadata, google.metadata),
            (&mut ambient.gcp_iam_credentials, google.iam_credentials),
        ] {
            if let Some(url) = url {
                *place = url.to_string();
            }
        }
        Ok(ambient)
    }
}

/// What Azure's own clients know the metadata service by.
const AZURE_METADATA: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

const CLOUD: &str = "https://app.infisical.com/api";

impl InfisicalConfig {
    /// The address of the API.
    pub(crate) fn base(&self) -> Result<BaseUrl> {
        let wrong = |error| invalid(format!("hostAPI {error}"));
        let host = match self.host_api.as_deref().map(str::trim) {
            None | Some("") => CLOUD,
            Some(host) => host,
        };
        let base = BaseUrl::parse(host).map_err(wrong)?;
        match base.as_url().path().rsplit('/').next() {
            Some("api") => Ok(base),
            _ => BaseUrl::parse(&format!("{base}/api")).map_err(wrong),
        }
    }
}

impl Scope {
    /// The same scope with its folder in the server's own spelling; fails when a name is missing.
    pub(crate) fn checked(self) -> Result<Self> {
        if self.project_slug.trim().is_empty() {
            return Err(invalid("secretsScope.projectSlug is empty; give the project's slug, not its name or id"));
        }
        if self.environment_slug.trim().is_empty() {
            return Err(invalid(
                "secretsScope.environmentSlug is empty; give the environment's slug, for example prod",
            ));
        }
        Ok(Self { secrets_path: address::normal(&self.secrets_path), ..self })
    }
}

/// A wrong setting that was found before anything was sent.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, "Configure", message)
}

#[cfg(test)]
mod tests {
    use keyferry_core::{ErrorKind, SecretBytes};
    use keyferry_rest::Tls;

    use super::{Ambient, Auth, InfisicalConfig, Scope};

    fn base(host: Option<&str>) -> Result<String, String> {
        let scope = scope("p", "e");
        let auth = Auth::Token { access_token: SecretBytes::from("t") };
        let (host_api, tls) = (host.map(str::to_owned), Tls::default());
        let config = InfisicalConfig { host_api, auth, scope, tls, ambient: Ambient::default() };
        config.base().map(|base| base.to_string()).map_err(|error| {
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            error.message
        })
    }

    fn scope(project: &str, environment: &str) -> Scope {
        Scope {
            project_slug: project.into(),
            environment_slug: environment.into(),
            secrets_path: "a//b/".into(),
            recursive: false,
            expand_secret_references: true,
            organization_slug: None,
        }
    }

    #[test]
    fn the_address_ends_in_api_exactly_once() {
        for (host, expected) in [
            (None, "https://app.infisical.com/api"),
            (Some(" "), "https://app.infisical.com/api"),
            (Some("https://eu.infisical.com"), "https://eu.infisical.com/api"),
            (Some("https://eu.infisical.com/"), "https://eu.infisical.com/api"),
            (Some("https://eu.infisical.com/api/"), "https://eu.infisical.com/api"),
            (Some("http://proxy:8080/vaults/infisical"), "http://proxy:8080/vaults/infisical/api"),
            (Some("http://proxy:8080/myapi"), "http://proxy:8080/myapi/api"),
        ] {
            assert_eq!(base(host).as_deref(), Ok(expected), "{host:?}");
        }
    }

    #[test]
    fn a_wrong_address_names_its_field() {
        assert_eq!(
            base(Some("infisical.example")),
            Err("hostAPI is not a URL with a host; write it like https://host:port".into())
        );
        assert!(base(Some("https://me:hunter2@host")).is_err_and(|error| !error.contains("hunter2")));
    }

    #[test]
    fn a_scope_needs_project_and_environment() {
        let wrong = |project, environment| scope(project, environment).checked().expect_err("a gap").message;
        assert!(wrong(" ", "e").starts_with("secretsScope.projectSlug is empty; give"));
        assert!(wrong("p", "").starts_with("secretsScope.environmentSlug is empty; give"));
    }

    #[test]
    fn a_scopes_folder_is_spelt_as_the_server_does() {
        assert_eq!(scope("p", "e").checked().expect("a whole scope").secrets_path, "/a/b");
    }

    #[test]
    fn variables_lead_elsewhere() {
        let ambient = Ambient::from_variables(|name| match name {
            "AZURE_POD_IDENTITY_AUTHORITY_HOST" => Some("http://azure.test".to_owned()),
            "GCE_METADATA_HOST" => Some("google.test:80".to_owned()),
            "KEYFERRY_GCP_IAMCREDENTIALS_ENDPOINT" => Some(" ".to_owned()),
            _ => None,
        })
        .expect("addresses");
        assert_eq!(ambient.azure_metadata, "http://azure.test");
        assert_eq!(ambient.gcp_metadata, "http://google.test");
        assert_eq!(ambient.gcp_iam_credentials, Ambient::default().gcp_iam_credentials);
        let error = Ambient::from_variables(|name| name.starts_with("AZURE").then(|| "hunter2".to_owned()));
        let error = error.expect_err("no address");
        assert!(error.contains("AZURE_POD_IDENTITY_AUTHORITY_HOST") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn debug_shows_no_credentials() {
        let auth = Auth::Universal { client_id: "hunter2".into(), client_secret: "hunter3".into() };
        assert!(!format!("{auth:?}").contains("hunter"));
    }
}
