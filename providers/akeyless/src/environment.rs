//! What the process's surroundings say about the clouds that it runs in. Nothing else in this crate reads the
//! environment, except the AWS SDK's search for credentials.

use std::path::PathBuf;

use keyferry_clouds::{Variables, aws::AwsKeys, google};
use keyferry_core::SecretBytes;
use keyferry_rest::BaseUrl;

/// The operator's own identities, and where the clouds' endpoints are.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// AWS credentials; `None` looks for them where every AWS client looks.
    pub aws: Option<AwsKeys>,
    /// Azure.
    pub azure: Azure,
    /// Google's metadata server, where it is not at Google's own address (`KEYFERRY_GCP_METADATA_ENDPOINT` or
    /// `GCE_METADATA_HOST`).
    pub gcp_metadata: Option<BaseUrl>,
}

/// What Azure's own SDKs and its workload identity webhook take from the environment.
#[derive(Clone, Debug, Default)]
pub struct Azure {
    /// `AZURE_AUTHORITY_HOST`; `None` is Entra ID of the cloud.
    pub authority: Option<BaseUrl>,
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretBytes>,
    /// `AZURE_ENVIRONMENT` or `AZURE_CLOUD`.
    pub cloud: AzureCloud,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`; `None` is the link-local address of the metadata service.
    pub metadata: Option<BaseUrl>,
    /// `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
}

/// Azure's separate clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AzureCloud {
    /// China, run by 21Vianet.
    China,
    /// All others.
    #[default]
    Public,
    /// United States government.
    UsGovernment,
}

impl AzureCloud {
    /// Where its Entra ID is.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::China => "https://login.chinacloudapi.cn",
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }

    /// The API that Akeyless accepts tokens for.
    pub(crate) fn management(self) -> &'static str {
        match self {
            Self::China => "https://management.chinacloudapi.cn",
            Self::Public => "https://management.azure.com",
            Self::UsGovernment => "https://management.usgovcloudapi.net",
        }
    }

    fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "azurechinacloud" | "azurechinacloud21vianet" => Some(Self::China),
            "azurecloud" | "azurepubliccloud" => Some(Self::Public),
            "azureusgovernment" | "azureusgovernmentcloud" => Some(Self::UsGovernment),
            _ => None,
        }
    }
}

impl Environment {
    /// Reads the environment variables that `variable` looks up; an empty one counts as absent, and so does a cloud
    /// that nobody knows. The text of an error names the variable that is wrong.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variables = Variables::new(&variable);
        let cloud = ["AZURE_ENVIRONMENT", "AZURE_CLOUD"].into_iter();
        let cloud = cloud.filter_map(|name| variables.text(name)).find_map(|name| AzureCloud::of(&name));
        Ok(Self {
            aws: None,
            azure: Azure {
                authority: variables.address("AZURE_AUTHORITY_HOST")?,
                client_id: variables.text("AZURE_CLIENT_ID"),
                client_secret: variables.text("AZURE_CLIENT_SECRET").map(SecretBytes::from),
                cloud: cloud.unwrap_or_default(),
                federated_token_file: variables.text("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
                metadata: variables.address("AZURE_POD_IDENTITY_AUTHORITY_HOST")?,
                tenant_id: variables.text("AZURE_TENANT_ID"),
            },
            gcp_metadata: google::Endpoints::from_variables(&variable)?.metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AzureCloud, Environment};

    fn of(variables: &[(&str, &str)]) -> Result<Environment, String> {
        Environment::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn azures_variables_are_heeded() {
        let environment = of(&[
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_CLIENT_SECRET", "hunter2"),
            ("AZURE_CLOUD", "AzureUSGovernment"),
            ("AZURE_TENANT_ID", " "),
        ])
        .expect("valid");
        let azure = &environment.azure;
        assert_eq!(azure.authority.as_ref().expect("set").to_string(), "https://login.microsoftonline.us");
        assert_eq!((azure.client_id.as_deref(), azure.tenant_id.as_deref()), (Some("client"), None));
        assert_eq!(azure.cloud, AzureCloud::UsGovernment);
        assert!(!format!("{environment:?}").contains("hunter2"));
    }

    #[test]
    fn each_cloud_has_its_names() {
        let cloud = |name| of(&[("AZURE_ENVIRONMENT", name)]).expect("valid").azure.cloud;
        assert_eq!(cloud("AzureChinaCloud"), AzureCloud::China);
        assert_eq!(cloud("AZUREPUBLICCLOUD"), AzureCloud::Public);
        assert_eq!(cloud("elsewhere"), AzureCloud::Public);
    }

    #[test]
    fn googles_metadata_server_may_be_elsewhere() {
        let elsewhere = |name, value| of(&[(name, value)]).expect("valid").gcp_metadata.expect("set").to_string();
        assert_eq!(elsewhere("GCE_METADATA_HOST", "127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(elsewhere("KEYFERRY_GCP_METADATA_ENDPOINT", "http://127.0.0.1:1"), "http://127.0.0.1:1");
    }

    #[test]
    fn a_wrong_address_is_refused_by_name() {
        for (name, wrong) in [
            ("AZURE_AUTHORITY_HOST", "https://me:hunter2@host"),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "hunter2"),
            ("GCE_METADATA_HOST", "me:hunter2@host"),
        ] {
            let error = of(&[(name, wrong)]).expect_err("wrong");
            assert!(error.starts_with(&format!("the variable {name} of the operator's environment ")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
