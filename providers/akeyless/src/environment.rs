//! What the process's surroundings say about the clouds that it runs in. Nothing else in this crate reads the
//! environment, except the AWS SDK's search for credentials.

use std::path::PathBuf;

use keyferry_clouds::aws::AwsKeys;
use keyferry_core::SecretBytes;
use keyferry_rest::BaseUrl;

/// The operator's own identities, and where the clouds' endpoints are.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// AWS credentials; `None` looks for them where every AWS client looks.
    pub aws: Option<AwsKeys>,
    /// Azure.
    pub azure: Azure,
    /// Google's metadata server, where it is not at Google's own address (`GCE_METADATA_HOST`).
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
        let value = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let url = |name: &str, text: Option<String>| match text.map(|text| BaseUrl::parse(&text)) {
            Some(Err(wrong)) => Err(format!("the environment variable {name} {wrong}")),
            Some(Ok(url)) => Ok(Some(url)),
            None => Ok(None),
        };
        let named = |name: &str| url(name, value(name));
        let cloud = ["AZURE_ENVIRONMENT", "AZURE_CLOUD"].into_iter().find_map(|name| AzureCloud::of(&value(name)?));
        let gcp_metadata = value("GCE_METADATA_HOST").map(|host| format!("http://{host}"));
        Ok(Self {
            aws: None,
            azure: Azure {
                authority: named("AZURE_AUTHORITY_HOST")?,
                client_id: value("AZURE_CLIENT_ID"),
                client_secret: value("AZURE_CLIENT_SECRET").map(SecretBytes::from),
                cloud: cloud.unwrap_or_default(),
                federated_token_file: value("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
                metadata: named("AZURE_POD_IDENTITY_AUTHORITY_HOST")?,
                tenant_id: value("AZURE_TENANT_ID"),
            },
            gcp_metadata: url("GCE_METADATA_HOST", gcp_metadata)?,
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
    fn a_wrong_address_is_refused_by_name() {
        let error = of(&[("GCE_METADATA_HOST", "me:hunter2@host")]).expect_err("wrong");
        assert_eq!(error, "the environment variable GCE_METADATA_HOST must not hold a user name or password");
        let host = of(&[("GCE_METADATA_HOST", "127.0.0.1:80")]).expect("valid").gcp_metadata;
        assert_eq!(host.expect("set").to_string(), "http://127.0.0.1");
    }
}
