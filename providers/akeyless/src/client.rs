//! Commands and their answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use keyferry_core::{CallObserver, Error, ErrorKind, RemoteName, Result, SecretBytes};
use keyferry_rest::{Answer, Session, Tls};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    PROVIDER,
    answer::{Unexpected, object, rotated_value, static_value},
    auth::{AkeylessLogin, Method},
    config::AkeylessConfig,
    gateway::Gateway,
    items::ItemType,
    refusal::{is_refusal, knows_no_token, names_no_item, refusal},
    token::{TRUST, Token},
};

/// The gateway as this store's access id sees it.
#[derive(Debug)]
pub(crate) struct Client {
    gateway: Arc<Gateway>,
    session: Session<AkeylessLogin>,
    ignore_cache: bool,
}

/// Which items to list.
#[derive(Debug, Default)]
pub(crate) struct Listing<'a> {
    /// Part of the name.
    pub(crate) filter: Option<&'a str>,
    pub(crate) tag: Option<&'a str>,
    /// [`Listed::next`] of the page before.
    pub(crate) after: Option<&'a str>,
    /// Whether the tags of the items are wanted.
    pub(crate) with_tags: bool,
}

/// One page of a listing.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Names with their tags.
    pub(crate) items: Vec<(RemoteName, BTreeSet<String>)>,
    pub(crate) next: Option<String>,
}

impl Client {
    pub(crate) fn new(config: AkeylessConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let AkeylessConfig { gateway_url, access_id, auth, environment, ignore_cache, tls } = config;
        let clouds = keyferry_rest::Client::new(PROVIDER, &Tls::default(), Arc::clone(&observer))?;
        let http = keyferry_rest::Client::new(PROVIDER, &tls, observer)?;
        let gateway = Arc::new(Gateway::new(http, &gateway_url)?);
        let method = Method::new(auth, environment, clouds)?;
        let session = Session::new(AkeylessLogin::new(Arc::clone(&gateway), &access_id, method)?);
        Ok(Self { gateway, session, ignore_cache })
    }

    /// Logs in, unless a login still holds.
    pub(crate) async fn login(&self) -> Result<()> {
        self.session.grant().await.map(drop)
    }

    /// Forgets the present login.
    pub(crate) fn leave(&self) {
        drop(self.session.leave());
    }

    pub(crate) async fn describe(&self, name: &RemoteName) -> Result<ItemType> {
        #[derive(Deserialize)]
        struct Item {
            item_type: String,
        }
        let body = Named { name: name.as_str() };
        self.call("DescribeItem", "describe-item", &item(name), &body, |answer| {
            let Item { item_type } = answer.json()?;
            ItemType::of(&item_type).ok_or_else(|| {
                let text = format!("{name} is of a type that has no value to read; name a secret or certificate");
                answer.error(ErrorKind::Unsupported, text)
            })
        })
        .await
    }

    pub(crate) async fn secret(&self, name: &RemoteName, version: i32) -> Result<SecretBytes> {
        // One name, one value.
        self.secrets(&[name], version).await?.remove(0)
    }

    /// The values of several static secrets, in the order of `names`. The gateway refuses all when one is bad.
    pub(crate) async fn secrets(&self, names: &[&RemoteName], version: i32) -> Result<Vec<Result<SecretBytes>>> {
        #[derive(Serialize)]
        struct Body<'a> {
            names: Vec<&'a str>,
            #[serde(flatten)]
            options: Options,
        }
        let about = match names {
            [name] => item(name),
            _ => format!("{} items together", names.len()),
        };
        let body = Body { names: names.iter().map(|name| name.as_str()).collect(), options: self.options(version) };
        self.call("GetSecretValue", "get-secret-value", &about, &body, |answer| {
            let values: BTreeMap<String, &RawValue> = answer.json()?;
            let value = |name: &&RemoteName| match find(&values, name.as_str()) {
                Some(value) => static_value(value).map_err(|wrong| unexpected(answer, name, wrong)),
                None => Err(answer.error(ErrorKind::Malformed, format!("the answer lacks the value of {name}"))),
            };
            Ok(names.iter().map(value).collect())
        })
        .await
    }

    pub(crate) async fn rotated(&self, name: &RemoteName, version: i32) -> Result<SecretBytes> {
        #[derive(Serialize)]
        struct Body<'a> {
            /// The plural is the vendor's: it takes one name.
            names: &'a str,
            #[serde(flatten)]
            options: Options,
        }
        let body = Body { names: name.as_str(), options: self.options(version) };
        self.call("GetRotatedSecretValue", "get-rotated-secret-value", &item(name), &body, |answer| {
            rotated_value(answer.json()?).map_err(|wrong| unexpected(answer, name, wrong))
        })
        .await
    }

    pub(crate) async fn dynamic(&self, name: &RemoteName) -> Result<SecretBytes> {
        let body = Named { name: name.as_str() };
        self.call("GetDynamicSecretsValue", "get-dynamic-secret-value", &item(name), &body, |answer| {
            object(answer.json()?).map_err(|wrong| unexpected(answer, name, wrong))
        })
        .await
    }

    pub(crate) async fn certificate(&self, name: &RemoteName, version: i32) -> Result<SecretBytes> {
        #[derive(Serialize)]
        struct Body<'a> {
            name: &'a str,
            #[serde(flatten)]
            options: Options,
        }
        let body = Body { name: name.as_str(), options: self.options(version) };
        self.call("GetCertificateValue", "get-certificate-value", &item(name), &body, |answer| {
            object(answer.json()?).map_err(|wrong| unexpected(answer, name, wrong))
        })
        .await
    }

    pub(crate) async fn list(&self, listing: &Listing<'_>) -> Result<Listed> {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Body<'a> {
            /// One page for each request: otherwise the gateway collects all pages into one answer.
            auto_pagination: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            filter: Option<&'a str>,
            minimal_view: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            pagination_token: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tag: Option<&'a str>,
            r#type: [&'static str; 3],
        }
        #[derive(Deserialize)]
        struct Page {
            /// `null` where there are none; an answer without it is no listing.
            #[serde(deserialize_with = "Option::deserialize")]
            items: Option<Vec<Item>>,
            #[serde(default)]
            next_page: Option<String>,
        }
        #[derive(Deserialize)]
        struct Item {
            item_name: String,
            #[serde(default)]
            item_tags: Option<BTreeSet<String>>,
        }
        let body = Body {
            auto_pagination: "disabled",
            filter: listing.filter,
            minimal_view: !listing.with_tags,
            pagination_token: listing.after,
            tag: listing.tag,
            r#type: ["static-secret", "dynamic-secret", "rotated-secret"],
        };
        self.call("ListItems", "list-items", "the list of items", &body, |answer| {
            let Page { items, next_page } = answer.json()?;
            let items = items.unwrap_or_default().into_iter();
            Ok(Listed {
                items: items
                    .filter_map(|item| {
                        Some((RemoteName::new(item.item_name).ok()?, item.item_tags.unwrap_or_default()))
                    })
                    .collect(),
                next: next_page.filter(|next| !next.is_empty()),
            })
        })
        .await
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        command: &str,
        about: &str,
        fields: &(impl Serialize + Sync),
        read: impl Fn(&Answer) -> Result<T> + Sync,
    ) -> Result<T> {
        self.session
            .with(async |token| {
                let asked = Instant::now();
                let body = Authorized::new(fields, token.text());
                let answer = self.gateway.post(operation, command, about, &body).await?;
                if !answer.is_success() {
                    return Err(self.meaning(&answer, &token).await);
                }
                let value = read(&answer)?;
                token.was_accepted(asked);
                Ok(value)
            })
            .await
    }

    /// What an answer means that is no success. Gateways have more than one way to say that they do not know a token, or
    /// not any more, and what is no item to a stranger may still be one: that a login holds is made sure of first.
    async fn meaning(&self, answer: &Answer, token: &Token) -> Error {
        let error = refusal(answer);
        if !(is_refusal(answer) && matches!(answer.status(), 400 | 403 | 404 | 500)) {
            return error;
        }
        // That an item is gone can cost a target a key, and a stranger may answer where a gateway did just now: only a
        // gateway's own words for it are taken from whoever answers.
        let trust = if error.kind == ErrorKind::NotFound && !names_no_item(answer) { Duration::ZERO } else { TRUST };
        match self.holds(token, trust).await {
            Ok(false) => answer.error(ErrorKind::Unauthenticated, format!("the login has ended ({})", answer.about())),
            Err(unsure) if error.kind == ErrorKind::NotFound => unsure,
            Ok(true) | Err(_) => error,
        }
    }

    async fn holds(&self, token: &Token, trust: Duration) -> Result<bool> {
        const OPERATION: &str = "ValidateToken";
        #[derive(Deserialize)]
        struct Validity {
            is_valid: bool,
        }
        let Some(_doubt) = token.doubt(trust).await else { return Ok(true) };
        let asked = Instant::now();
        let body = serde_json::json!({"token": token.text()});
        let answer = self.gateway.post_if_known(OPERATION, "validate-token", "the login", &body).await?;
        let holds = match answer {
            // What it says of the login is all that is known of it.
            None => true,
            Some(answer) if answer.status() == 401 || knows_no_token(&answer) => false,
            Some(answer) if (400..=499).contains(&answer.status()) && answer.status() != 429 => {
                let text = "what answers there cannot tell whether the login holds; check akeylessGWApiURL";
                return Err(answer.error(ErrorKind::InvalidConfig, text));
            }
            Some(answer) => answer.json::<Validity>()?.is_valid,
        };
        if holds {
            token.was_accepted(asked);
        }
        Ok(holds)
    }

    fn options(&self, version: i32) -> Options {
        Options {
            version: Some(version).filter(|version| *version != 0),
            ignore_cache: self.ignore_cache.then_some("true"),
        }
    }
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    /// A text, not a boolean.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_cache: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Authorized<'a, F> {
    #[serde(flatten)]
    fields: &'a F,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid_token: Option<&'a str>,
}

impl<'a, F> Authorized<'a, F> {
    fn new(fields: &'a F, token: &'a str) -> Self {
        // Universal identities have a field of their own.
        let universal = token.starts_with("u-");
        Self { fields, token: Some(token).filter(|_| !universal), uid_token: Some(token).filter(|_| universal) }
    }
}

/// A value under the name that was asked for, whether or not it is written with the slash at its beginning.
fn find<'a>(values: &BTreeMap<String, &'a RawValue>, name: &str) -> Option<&'a RawValue> {
    let other = || match name.strip_prefix('/') {
        Some(bare) => values.get(bare),
        None => values.get(&format!("/{name}")),
    };
    values.get(name).or_else(other).copied()
}

fn unexpected(answer: &Answer, name: &RemoteName, wrong: Unexpected) -> Error {
    answer.error(ErrorKind::Malformed, format!("the value of {name} in the answer {wrong}"))
}

fn item(name: &RemoteName) -> String {
    format!("item {name}")
}
