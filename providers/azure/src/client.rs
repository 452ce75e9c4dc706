//! The calls to Key Vault.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use azure_core::{
    http::{
        ClientMethodOptions, Context, Response, Url,
        pager::{PagerContinuation, PagerOptions},
    },
    time::to_rfc3339,
};
use azure_security_keyvault_certificates::{
    CertificateClient, CertificateClientOptions, models::Certificate, models::CertificateClientGetCertificateOptions,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, models::Key, models::KeyClientGetKeyOptions};
use azure_security_keyvault_secrets::{
    ResourceExt, SecretClient, SecretClientOptions,
    models::{
        ListSecretPropertiesResult, Secret, SecretClientGetSecretOptions, SecretClientListSecretPropertiesOptions,
        SecretProperties,
    },
};
use futures::StreamExt;
use keyferry_core::{Error, ErrorKind, RemoteName, Result, SecretBytes, Version, canonical_json};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    PROVIDER,
    config::invalid,
    object::{Kind, Object},
    transport::{Asked, NoCredential, Way, ours},
};

/// One vault.
pub(crate) struct KeyVault {
    certificates: CertificateClient,
    endpoint: Url,
    keys: KeyClient,
    secrets: SecretClient,
    way: Arc<Way>,
}

/// What there is to know of one version of an object.
pub(crate) struct Answered {
    pub(crate) attributes: Attributes,
    pub(crate) tags: HashMap<String, String>,
    pub(crate) value: SecretBytes,
    pub(crate) version: Option<Version>,
}

/// When what happened to an object, in the form of RFC 3339.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) created: Option<String>,
    pub(crate) expires: Option<String>,
    pub(crate) not_before: Option<String>,
    pub(crate) updated: Option<String>,
}

/// One page of a listing.
pub(crate) struct Secrets {
    pub(crate) items: Vec<Listing>,
    /// What to ask for the next one with.
    pub(crate) next: Option<String>,
}

/// One secret in a listing.
pub(crate) struct Listing {
    pub(crate) is_enabled: bool,
    pub(crate) name: RemoteName,
    pub(crate) tags: BTreeMap<String, String>,
}

/// The oldest that knows all that is asked for: clouds of one's own know no newer ones for years.
const API_VERSION: &str = "7.0";

/// Each of Azure's crates has attributes of its own that are the same.
macro_rules! times {
    ($attributes:expr) => {{
        let attributes = $attributes.unwrap_or_default();
        Attributes {
            created: attributes.created.as_ref().map(to_rfc3339),
            expires: attributes.expires.as_ref().map(to_rfc3339),
            not_before: attributes.not_before.as_ref().map(to_rfc3339),
            updated: attributes.updated.as_ref().map(to_rfc3339),
        }
    }};
}

impl KeyVault {
    pub(crate) fn new(way: Way) -> Result<Self> {
        let (endpoint, way) = (way.endpoint()?, Arc::new(way));
        let unusable = |_| invalid("Configure", "vaultUrl: Azure's clients do not accept it");
        /// Each of Azure's crates has options of its own that are the same.
        macro_rules! client {
            ($client:ident, $options:ident) => {{
                let mut options = $options::default();
                (options.api_version, options.client_options) = (API_VERSION.into(), way.options());
                $client::new(endpoint.as_str(), Arc::new(NoCredential), Some(options)).map_err(unusable)?
            }};
        }
        Ok(Self {
            certificates: client!(CertificateClient, CertificateClientOptions),
            keys: client!(KeyClient, KeyClientOptions),
            secrets: client!(SecretClient, SecretClientOptions),
            endpoint,
            way,
        })
    }

    /// The login of the vault's store.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// Reads `object`.
    pub(crate) async fn read(&self, object: &Object) -> Result<Answered> {
        match object.kind {
            Kind::Certificate => self.certificate(object).await,
            Kind::Key => self.key(object).await,
            Kind::Secret => self.secret(object).await,
        }
    }

    async fn certificate(&self, object: &Object) -> Result<Answered> {
        let asked = Asked::of(object);
        let options = CertificateClientGetCertificateOptions {
            certificate_version: object.version.clone(),
            method_options: with(&asked),
        };
        let answer = self.certificates.get_certificate(&object.name, Some(options)).await;
        let Certificate { attributes, cer, id, tags, .. } = model(answer, &asked)?;
        Ok(Answered {
            attributes: times!(attributes),
            tags: tags.unwrap_or_default(),
            value: cer.map(SecretBytes::new).ok_or_else(|| asked.malformed())?,
            version: version(id.as_deref()),
        })
    }

    async fn key(&self, object: &Object) -> Result<Answered> {
        /// The key as it was sent: Azure's model knows some of its members only.
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            key: &'a RawValue,
        }
        let asked = Asked::of(object);
        let options = KeyClientGetKeyOptions { key_version: object.version.clone(), method_options: with(&asked) };
        let answer = self.keys.get_key(&object.name, Some(options)).await.map_err(|error| ours(&error, &asked))?;
        let raw: Raw<'_> = serde_json::from_slice(answer.body()).map_err(|_| asked.malformed())?;
        let value = canonical_json(raw.key.get().as_bytes()).map_err(|_| asked.malformed())?;
        let Key { attributes, key, tags, .. } = model(Ok(answer), &asked)?;
        Ok(Answered {
            attributes: times!(attributes),
            tags: tags.unwrap_or_default(),
            value,
            version: version(key.and_then(|key| key.kid).as_deref()),
        })
    }

    async fn secret(&self, object: &Object) -> Result<Answered> {
        let asked = Asked::of(object);
        let options = SecretClientGetSecretOptions {
            secret_version: object.version.clone(),
            method_options: with(&asked),
            ..SecretClientGetSecretOptions::default()
        };
        let answer = self.secrets.get_secret(&object.name, Some(options)).await;
        let Secret { attributes, id, tags, value, .. } = model(answer, &asked)?;
        Ok(Answered {
            attributes: times!(attributes),
            tags: tags.unwrap_or_default(),
            value: value.map(SecretBytes::from).ok_or_else(|| asked.malformed())?,
            version: version(id.as_deref()),
        })
    }

    /// One page of the vault's secrets, without their values; `after` is [`Secrets::next`] of the page before.
    pub(crate) async fn list(&self, after: Option<&str>) -> Result<Secrets> {
        let asked = Asked {
            about: "vault's list of secrets".into(),
            member: "value",
            operation: "GetSecrets",
            role: Kind::Secret.role(),
        };
        let continuation = after.map(|query| {
            let mut url = self.endpoint.clone();
            url.set_path(LIST);
            url.set_query(Some(query));
            PagerContinuation::Link(url)
        });
        let context = Context::new().with_value(asked.clone());
        let options = SecretClientListSecretPropertiesOptions {
            method_options: PagerOptions { context, continuation },
            ..SecretClientListSecretPropertiesOptions::default()
        };
        let pages = self.secrets.list_secret_properties(Some(options)).map_err(|error| ours(&error, &asked))?;
        let answer = pages.into_pages().next().await.ok_or_else(|| asked.malformed())?;
        let ListSecretPropertiesResult { next_link, value, .. } = model(answer, &asked)?;
        let next = next_link.filter(|link| !link.is_empty()).map(|link| self.next(&link, &asked)).transpose()?;
        let items: Option<_> = value.into_iter().map(Listing::read).collect();
        Ok(Secrets { items: items.ok_or_else(|| asked.malformed())?, next })
    }

    /// What a link to the next page asks for. It must be for this vault: whoever it leads to is shown the login.
    fn next(&self, link: &str, asked: &Asked) -> Result<String> {
        let of_vault = |url: &Url| {
            let own = self.way.vault.as_url();
            (url.host_str(), url.port_or_known_default()) == (own.host_str(), own.port_or_known_default())
                && url.path().trim_end_matches('/') == LIST
        };
        let url = self.endpoint.join(link).ok().filter(of_vault);
        url.and_then(|url| url.query().map(str::to_owned)).ok_or_else(|| {
            let text = "the vault's list of secrets goes on at an address that is not the vault's";
            Error::new(ErrorKind::Malformed, PROVIDER, asked.operation, text)
        })
    }
}

const LIST: &str = "/secrets";

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVault").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Asked {
    fn of(object: &Object) -> Self {
        let kind = object.kind;
        Self { about: object.about(), member: kind.member(), operation: kind.operation(), role: kind.role() }
    }
}

impl Listing {
    fn read(secret: SecretProperties) -> Option<Self> {
        Some(Self {
            name: RemoteName::whole(secret.resource_id().ok()?.name).ok()?,
            is_enabled: secret.attributes.is_some_and(|attributes| attributes.enabled.unwrap_or_default()),
            tags: secret.tags.unwrap_or_default().into_iter().collect(),
        })
    }
}

fn with(asked: &Asked) -> ClientMethodOptions<'static> {
    ClientMethodOptions { context: Context::new().with_value(asked.clone()) }
}

fn model<T: serde::de::DeserializeOwned>(answer: azure_core::Result<Response<T>>, asked: &Asked) -> Result<T> {
    answer.and_then(Response::into_model).map_err(|error| ours(&error, asked))
}

/// The last segment of an id: `https://my-vault.vault.azure.net/secrets/a/VERSION`.
fn version(id: Option<&str>) -> Option<Version> {
    Version::new(id?.split('/').nth(5)?).ok()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_the_last_part_of_the_id() {
        let found = version(Some("https://v.vault.azure.net/secrets/a/0f"));
        assert_eq!(found.map(|version| version.to_string()), Some("0f".into()));
        assert_eq!(version(Some("https://v.vault.azure.net/secrets/a")), None);
        assert_eq!(version(None), None);
    }
}
