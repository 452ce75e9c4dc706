//! Who signs, from what a store says to the signed question.

use std::{fmt, sync::Arc, time::SystemTime};

use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_credential_types::Credentials;
use aws_sdk_sts::{Client, Config};
use keyferry_core::{Error, ErrorKind, Result, TokenSource, Unobserved};

use super::{
    AwsKeys, Endpoint, Region, Role, SignedQuestion, Sts,
    ambient::{self, Ambient, Network},
    caller::Caller,
    http, is_region,
    sign::Signer,
    sts::{self, Tags, WebIdentity},
};

/// Somebody in AWS.
pub struct Identity {
    origin: Origin,
    role: Option<(Role, Sts)>,
    provider: &'static str,
    purpose: &'static str,
}

enum Origin {
    Ambient(Region),
    Keys(Signer),
    ServiceAccount { who: WebIdentity, region: String, sts: Sts },
}

/// The name of the sessions of ServiceAccounts: trust policies that were written for another operator test it.
const SESSION: &str = "external-secrets-provider-vault";

impl Identity {
    /// The operator itself, as the SDK finds it: environment, files, the web identity of the pod, the node.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] for what cannot be a region.
    pub fn ambient(region: Region, provider: &'static str, purpose: &'static str) -> Result<Self> {
        if let Region::Named(name) = &region {
            check_region(name, provider, purpose)?;
        }
        Ok(Self { origin: Origin::Ambient(region), role: None, provider, purpose })
    }

    /// Who has these keys.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] for what cannot be credentials or a region.
    pub fn of_keys(keys: &AwsKeys, provider: &'static str, purpose: &'static str) -> Result<Self> {
        check_region(&keys.region, provider, purpose)?;
        let signer = Signer::new(keys).map_err(|error| {
            let text = format!("the AWS credentials for {purpose} {error}; copy them again");
            Error::new(ErrorKind::InvalidConfig, provider, CONFIGURE, text)
        })?;
        Ok(Self { origin: Origin::Keys(signer), role: None, provider, purpose })
    }

    /// The role that a ServiceAccount is annotated with (`eks.amazonaws.com/role-arn`).
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] where it is not, and for what cannot be a region.
    pub fn of_service_account(
        tokens: Arc<dyn TokenSource>,
        region: String,
        sts: Sts,
        provider: &'static str,
        purpose: &'static str,
    ) -> Result<Self> {
        check_region(&region, provider, purpose)?;
        let who = WebIdentity::new(tokens, SESSION, purpose, &sts.caller(provider, purpose))?;
        Ok(Self { origin: Origin::ServiceAccount { who, region, sts }, role: None, provider, purpose })
    }

    /// The same one acting in `role`.
    #[must_use]
    pub fn assuming(self, role: Role, sts: Sts) -> Self {
        Self { role: Some((role, sts)), ..self }
    }

    /// Asks AWS who this is. `headers`, named in lower case, are signed too.
    ///
    /// Fails with [`ErrorKind::Unauthenticated`] where there are no credentials, or AWS gives none.
    pub async fn signed_question(
        &self,
        endpoint: Endpoint,
        headers: &[(&str, &str)],
        now: SystemTime,
    ) -> Result<SignedQuestion> {
        let signer = self.signer().await?;
        signer.question(endpoint, headers, now).map_err(|_| {
            let text = format!("the AWS credentials for {} cannot sign; check them and the region", self.purpose);
            Error::new(ErrorKind::InvalidConfig, self.provider, "SignRequest", text)
        })
    }

    async fn signer(&self) -> Result<Signer> {
        let Self { provider, purpose, .. } = *self;
        let signer = match &self.origin {
            Origin::Ambient(region) => self.ambient_signer(region).await?,
            Origin::Keys(signer) => signer.clone(),
            Origin::ServiceAccount { who, region, sts } => {
                let credentials = who.credentials(&sts.client(region, None), &sts.caller(provider, purpose)).await?;
                Signer { credentials, region: region.clone() }
            }
        };
        let Some((role, sts)) = &self.role else {
            return Ok(signer);
        };
        let Signer { credentials, region } = signer;
        let client = sts.client(&region, Some(credentials));
        let credentials = sts::assume(&client, &sts.caller(provider, purpose), role, Tags::default()).await?;
        Ok(Signer { credentials, region })
    }

    async fn ambient_signer(&self, region: &Region) -> Result<Signer> {
        // The process's own surroundings are no backend whose calls anybody counts.
        let caller = Caller { provider: self.provider, observer: Arc::new(Unobserved), proof: Some(self.purpose) };
        let network = Network::of_process();
        let region = match region {
            Region::Named(name) => aws_config::Region::new(name.clone()),
            Region::OfOperator { default } => {
                let found = ambient::region(&caller, &network).await;
                let default = || default.map(aws_config::Region::new);
                found.or_else(default).ok_or_else(|| ambient::nowhere(&caller, "region"))?
            }
        };
        let credentials = Ambient::new(caller, region.clone(), &network).credentials().await?;
        Ok(Signer { credentials, region: region.to_string() })
    }
}

const CONFIGURE: &str = "Configure";

fn check_region(region: &str, provider: &'static str, purpose: &'static str) -> Result<()> {
    if is_region(region) {
        return Ok(());
    }
    let text = format!("the region {region:?} for {purpose} is not one of AWS; write it like eu-west-1");
    Err(Error::new(ErrorKind::InvalidConfig, provider, CONFIGURE, text))
}

impl Sts {
    fn caller(&self, provider: &'static str, proof: &'static str) -> Caller {
        Caller { provider, observer: Arc::clone(&self.observer), proof: Some(proof) }
    }

    fn client(&self, region: &str, credentials: Option<Credentials>) -> Client {
        let network = Network::of_process();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_config::Region::new(region.to_owned()))
            .http_client(http::shared(network.proxies))
            .retry_config(RetryConfig::disabled());
        match &self.endpoint {
            Some(url) => config.set_endpoint_url(Some(url.to_string())),
            None => config.set_use_fips(Some(network.fips)).set_use_dual_stack(Some(network.dual_stack)),
        };
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        Client::from_conf(config.build())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match &self.origin {
            Origin::Ambient(_) => "Ambient",
            Origin::Keys(_) => "Keys",
            Origin::ServiceAccount { .. } => "ServiceAccount",
        };
        let role = self.role.as_ref().map(|(role, _)| role);
        f.debug_struct("Identity").field("origin", &origin).field("role", &role).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use async_trait::async_trait;
    use keyferry_core::{ErrorKind, Result, SecretBytes, ServiceAccountToken, TokenSource, Unobserved};

    use super::{AwsKeys, Identity, Region, Sts};

    #[derive(Debug)]
    struct Account;

    #[async_trait]
    impl TokenSource for Account {
        async fn token(&self, _audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken> {
            Ok(ServiceAccountToken { token: SecretBytes::from("hunter2"), valid_for: ttl })
        }

        fn annotation(&self, _key: &str) -> Option<&str> {
            Some("arn:aws:iam::123456789012:role/reader")
        }
    }

    #[test]
    fn nobody_signs_for_a_region_that_leads_elsewhere() {
        let region = "evil.example/#";
        let keys = AwsKeys {
            access_key_id: "AKID".into(),
            secret_access_key: "hunter2".into(),
            session_token: None,
            region: region.into(),
        };
        let sts = Sts { endpoint: None, observer: Arc::new(Unobserved) };
        for identity in [
            Identity::ambient(Region::Named(region.into()), "Test", "auth.x"),
            Identity::of_keys(&keys, "Test", "auth.x"),
            Identity::of_service_account(Arc::new(Account), region.into(), sts, "Test", "auth.x"),
        ] {
            let error = identity.expect_err("no region");
            let text = "the region \"evil.example/#\" for auth.x is not one of AWS; write it like eu-west-1";
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, text));
        }
    }
}
