//! Identities of AWS, and how they come to credentials.
//!
//! Whoever has credentials of AWS can sign the request "who am I?" of AWS's Security Token Service (STS). It is not
//! sent there by us, but given to the backend, which has it sent and thereby learns who signed it.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{CallObserver, SecretBytes};
use keyferry_rest::BaseUrl;

#[cfg(feature = "aws")]
mod ambient;
#[cfg(feature = "aws")]
mod caller;
#[cfg(feature = "aws")]
pub mod failure;
#[cfg(feature = "aws")]
pub mod http;
#[cfg_attr(not(feature = "aws"), path = "aws/no_identity.rs")]
mod identity;
#[cfg(feature = "aws-sign")]
mod sign;
#[cfg(feature = "aws")]
pub mod sts;

#[cfg(feature = "aws")]
pub use ambient::{Ambient, Network};
#[cfg(feature = "aws")]
pub use caller::Caller;
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

/// What the SDK calls the origin of credentials; it is shown in nothing but the SDK's own traces.
#[cfg(feature = "aws-sign")]
pub const ORIGIN: &str = "keyferry";

/// Whether `text` has the shape of a region's name. New regions come too often to list them. A name becomes part of the
/// host that is asked, so that whatever else stands in it could lead elsewhere.
pub fn is_region(text: &str) -> bool {
    let words: Vec<_> = text.split('-').collect();
    let letters = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    match words.as_slice() {
        [area, place @ .., number] => {
            (2..=4).contains(&area.len())
                && letters(area)
                && !place.is_empty()
                && place.iter().all(letters)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// Whether `arn` has the shape of a role's.
pub fn is_role(arn: &str) -> bool {
    let words: Vec<_> = arn.splitn(6, ':').collect();
    matches!(words.as_slice(), ["arn", partition, "iam", "", account, resource]
        if !partition.is_empty() && !account.is_empty() && resource.len() > "role/".len() && resource.starts_with("role/"))
}

#[cfg(test)]
mod tests {
    use super::{is_region, is_role};

    #[test]
    fn regions_of_all_partitions_are_regions_and_nothing_that_leads_elsewhere_is() {
        for region in ["eu-west-1", "us-gov-east-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"]
        {
            assert!(is_region(region), "{region}");
        }
        for wrong in [
            "",
            "eu-west",
            "eu-1",
            "EU-WEST-1",
            "eu west 1",
            "eu-west-1a",
            "eu-west-",
            "-a-1",
            "https://x-y-1",
            "evil.com/#",
            "evil.com/#-west-1",
            "eu-west-1.evil.com",
            "eu-west-1@evil.com",
            "eu-west-1/..",
            "eu-west-1:443",
            "eu-west-1\n",
            "eu-west-1\u{661}",
        ] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }

    #[test]
    fn roles_of_all_partitions_are_roles() {
        assert!(is_role("arn:aws:iam::123456789012:role/a") && is_role("arn:aws-us-gov:iam::123456789012:role/team/a"));
        for wrong in ["", "a", "arn:aws:iam::123456789012:user/me", "arn:aws:iam::123456789012:role/", "arn:aws:iam::1"]
        {
            assert!(!is_role(wrong), "{wrong}");
        }
    }
}
