//! Who signs, from what a store says to the signed question.

use std::{fmt, sync::Arc, time::SystemTime};

use keyferry_core::{Error, ErrorKind, Result, TokenSource};

use super::{
    AwsKeys, Endpoint, Region, Role, SignedQuestion, Sts, ambient,
    sign::Signer,
    sts::{Assumer, WebIdentity},
};

/// Somebody in AWS.
pub struct Identity {
    origin: Origin,
    role: Option<(Role, Assumer)>,
    provider: &'static str,
    purpose: &'static str,
}

enum Origin {
    Ambient(Region),
    Keys(Signer),
    ServiceAccount(WebIdentity),
}

impl Identity {
    /// The operator itself, as the SDK finds it: environment, files, the web identity of the pod, the node.
    pub fn ambient(region: Region, provider: &'static str, purpose: &'static str) -> Result<Self> {
        Ok(Self { origin: Origin::Ambient(region), role: None, provider, purpose })
    }

    /// Who has these keys.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] for what cannot be credentials.
    pub fn of_keys(keys: &AwsKeys, provider: &'static str, purpose: &'static str) -> Result<Self> {
        let signer = Signer::new(keys).map_err(|error| {
            let text = format!("the AWS credentials for {purpose} {error}; copy them again");
            Error::new(ErrorKind::InvalidConfig, provider, "Configure", text)
        })?;
        Ok(Self { origin: Origin::Keys(signer), role: None, provider, purpose })
    }

    /// The role that a ServiceAccount is annotated with (`eks.amazonaws.com/role-arn`).
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] where it is not.
    pub fn of_service_account(
        tokens: Arc<dyn TokenSource>,
        region: String,
        sts: Sts,
        provider: &'static str,
        purpose: &'static str,
    ) -> Result<Self> {
        let assumer = Assumer { sts, provider, purpose };
        let web_identity = WebIdentity::new(tokens, region, assumer)?;
        Ok(Self { origin: Origin::ServiceAccount(web_identity), role: None, provider, purpose })
    }

    /// The same one acting in `role`.
    #[must_use]
    pub fn assuming(self, role: Role, sts: Sts) -> Self {
        let assumer = Assumer { sts, provider: self.provider, purpose: self.purpose };
        Self { role: Some((role, assumer)), ..self }
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
        let signer = match &self.origin {
            Origin::Ambient(region) => ambient::signer(region, self.provider, self.purpose).await?,
            Origin::Keys(signer) => signer.clone(),
            Origin::ServiceAccount(web_identity) => web_identity.signer().await?,
        };
        match &self.role {
            None => Ok(signer),
            Some((role, assumer)) => assumer.assume(signer, role).await,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match &self.origin {
            Origin::Ambient(_) => "Ambient",
            Origin::Keys(_) => "Keys",
            Origin::ServiceAccount(_) => "ServiceAccount",
        };
        let role = self.role.as_ref().map(|(role, _)| role);
        f.debug_struct("Identity").field("origin", &origin).field("role", &role).finish_non_exhaustive()
    }
}
