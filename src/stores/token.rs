//! Tokens of ServiceAccounts, through the TokenRequest API.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes, ServiceAccountToken, TokenSource};
use kube::{Api, Client, api::PostParams};

use super::scope::CheckedRef;

/// Mints tokens of one ServiceAccount that its store was found allowed to use.
pub(super) struct RequestedTokens {
    client: Client,
    account: CheckedRef,
    annotations: BTreeMap<String, String>,
    /// Audiences that the store's manifest adds to those that the backend asks for.
    audiences: Vec<String>,
}

impl RequestedTokens {
    pub(super) fn new(
        client: Client,
        account: CheckedRef,
        annotations: BTreeMap<String, String>,
        audiences: Vec<String>,
    ) -> Self {
        Self { client, account, annotations, audiences }
    }
}

impl fmt::Debug for RequestedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestedTokens").field("account", &self.account).finish_non_exhaustive()
    }
}

const PROVIDER: &str = "Kubernetes";
const OPERATION: &str = "TokenRequest";

#[async_trait]
impl TokenSource for RequestedTokens {
    async fn token(&self, audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken> {
        let key = self.account.key();
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audiences.iter().chain(&self.audiences).cloned().collect(),
                expiration_seconds: i64::try_from(ttl.as_secs()).ok(),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &key.namespace);
        let answer = accounts.create_token_request(&key.name, &PostParams::default(), &request).await;
        let status = answer.map_err(|error| self.failed(&error))?.status;
        let status = status.ok_or_else(|| {
            Error::new(ErrorKind::Malformed, PROVIDER, OPERATION, format!("got no token for {}", self.account))
        })?;
        let left = status.expiration_timestamp.0.duration_since(jiff::Timestamp::now());
        Ok(ServiceAccountToken {
            token: SecretBytes::from(status.token),
            valid_for: Duration::try_from(left).unwrap_or_default(),
        })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }
}

impl RequestedTokens {
    fn failed(&self, error: &kube::Error) -> Error {
        let failed = |kind, why: &str| {
            Error::new(kind, PROVIDER, OPERATION, format!("failed to get a token for {}: {why}", self.account))
        };
        match error {
            kube::Error::Api(status) => match status.code {
                403 => failed(ErrorKind::AccessDenied, "the operator may not create serviceaccounts/token there"),
                404 => failed(ErrorKind::InvalidConfig, "there is no such ServiceAccount; create it"),
                code @ (408 | 429 | 500..) => failed(ErrorKind::Unavailable, &format!("the API server said {code}")),
                code => failed(ErrorKind::InvalidConfig, &format!("the API server said {code}")),
            },
            _ => failed(ErrorKind::Unavailable, "the API server cannot be reached"),
        }
    }
}
