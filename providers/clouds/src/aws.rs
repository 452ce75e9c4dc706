//! Identities of AWS.
//!
//! Whoever has credentials of AWS can sign the request "who am I?" of AWS's Security Token Service (STS). It is not
//! sent there by us, but given to the backend, which has it sent and thereby learns who signed it.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{CallObserver, SecretBytes};
use keyferry_rest::BaseUrl;

#[cfg(feature = "aws")]
mod ambient;
#[cfg_attr(not(feature = "aws"), path = "aws/no_identity.rs")]
mod identity;
#[cfg(feature = "aws-sign")]
mod sign;
#[cfg(feature = "aws")]
mod sts;

pub use identity::Identity;
#[cfg(feature = "aws-sign")]
pub use sign::{Signer, Unsignable};

/// Credentials, and the region whose STS vouches for them. White space around them makes no difference.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretBytes,
    /// Session token of temporary credentials.
    pub session_token: Option<SecretBytes>,
    /// Region.
    pub region: String,
}

/// Whose region it is that the operator's own identity is asked about.
#[derive(Clone, Debug)]
pub enum Region {
    /// This one.
    Named(String),
    /// That of the operator, as its environment says; where it says nothing, the default, or else an error.
    OfOperator {
        /// Where STS is asked when nothing says where the operator runs.
        default: Option<&'static str>,
    },
}

/// A role that is assumed with the identity at hand.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy may ask for.
    pub external_id: Option<String>,
}

/// The way to STS itself, for identities that are assumed.
#[derive(Clone, Debug)]
pub struct Sts {
    /// Another address than AWS's own.
    pub endpoint: Option<BaseUrl>,
    /// Hears of the requests.
    pub observer: Arc<dyn CallObserver>,
}

/// Which of STS's endpoints a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The global one where it is responsible, in us-east-1; elsewhere the region's own. This is what a backend expects
    /// that nobody has told of another one.
    Global,
    /// The region's own.
    Regional,
}

/// A `POST` that asks AWS who has signed it. Whoever has it can prove for some minutes to be its signer.
#[derive(Debug)]
pub struct SignedQuestion {
    /// Where it is for.
    pub url: String,
    /// The host of that, which is always signed.
    pub host: String,
    /// All signed headers but the host, and those that carry the signature, written like `X-Amz-Date`.
    pub headers: BTreeMap<String, SecretBytes>,
}

impl SignedQuestion {
    /// Its body.
    pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
    /// What the body is.
    pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
    /// How it is sent.
    pub const METHOD: &str = "POST";
}
