//! The fakes as programs: `keyferry-fakes <backend>` serves until Ctrl-C or SIGTERM.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, Parser};
use keyferry_fakes::{
    akeyless::{AkeylessGateway, Settings},
    azure::{self, AzureCloud},
    fake::{Fake, Vendor},
    gcp::{self, GoogleCloud},
    infisical::{self, Expiry, InfisicalServer},
    server::{Certificate, Listen},
    webhook::WebhookTarget,
};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

/// Fake backends for demos and tests. Each prints its address when it is ready and is driven below /_fake/.
#[derive(Parser)]
enum Arguments {
    /// A fake Akeyless gateway.
    Akeyless {
        #[command(flatten)]
        listen: ListenArguments,
        /// JSON file with what it holds at first: {"access": [{"id", "type", …}], "items": [{"name", "value", …}]}.
        #[arg(long, value_name = "FILE")]
        items: Option<PathBuf>,
        /// How long a token holds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        token_ttl: u64,
        /// Cache values as a gateway does, until they are flushed.
        #[arg(long)]
        cache: bool,
    },
    /// A fake Azure: Entra ID, the metadata service and one Key Vault.
    Azure {
        #[command(flatten)]
        listen: ListenArguments,
        /// JSON file with what there is at first: {"applications": […], "identities": […], "objects": […]}.
        #[arg(long, value_name = "FILE")]
        contents: Option<PathBuf>,
        /// The vault's tenant.
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
        /// How long an access token holds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        token_ttl: u64,
    },
    /// A fake Google Cloud: Secret Manager and all that gives out access tokens.
    Gcp {
        #[command(flatten)]
        listen: ListenArguments,
        /// JSON file with what there is at first: {"secrets": […], "accounts": […], "grants": […], …}.
        #[arg(long, value_name = "FILE")]
        contents: Option<PathBuf>,
        /// How long an access token holds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        token_ttl: u64,
    },
    /// A fake Infisical server.
    Infisical {
        #[command(flatten)]
        listen: ListenArguments,
        /// JSON file with what it holds at first: {"projects": […], "secrets": […], "imports": […], "identities": […]}.
        #[arg(long, value_name = "FILE")]
        contents: Option<PathBuf>,
        /// How long an access token holds; 0 is for ever.
        #[arg(long, value_name = "SECONDS", default_value_t = 7200)]
        token_ttl: u64,
        /// Say 401 of a token that has expired, not 403.
        #[arg(long)]
        unauthorized: bool,
    },
    /// A fake server for webhook stores.
    Webhook {
        #[command(flatten)]
        listen: ListenArguments,
        /// JSON file with what there is at first: {"token": "…", "values": [{"key", "value"}, …]}.
        #[arg(long, value_name = "FILE")]
        contents: Option<PathBuf>,
    },
}

#[derive(Args)]
struct ListenArguments {
    /// Address; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Serve HTTPS with this certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Akeyless { listen, items, token_ttl, cache } => {
            let settings = Settings { cache, token_ttl: Duration::from_secs(token_ttl), ..Settings::default() };
            serve(AkeylessGateway::start_with, listen, settings, items).await
        }
        Arguments::Azure { listen, contents, tenant, token_ttl } => {
            let mut settings =
                azure::Settings { token_ttl: Duration::from_secs(token_ttl), ..azure::Settings::default() };
            if let Some(tenant) = tenant {
                settings.tenant = tenant;
            }
            serve(AzureCloud::start_with, listen, settings, contents).await
        }
        Arguments::Gcp { listen, contents, token_ttl } => {
            let settings = gcp::Settings { token_ttl: Duration::from_secs(token_ttl), ..gcp::Settings::default() };
            serve(GoogleCloud::start_with, listen, settings, contents).await
        }
        Arguments::Infisical { listen, contents, token_ttl, unauthorized } => {
            let expiry = if unauthorized { Expiry::Unauthorized } else { Expiry::Forbidden };
            let settings = infisical::Settings {
                expiry,
                token_ttl: Duration::from_secs(token_ttl),
                ..infisical::Settings::default()
            };
            serve(InfisicalServer::start_with, listen, settings, contents).await
        }
        Arguments::Webhook { listen, contents } => serve(WebhookTarget::start_with, listen, (), contents).await,
    }
}

/// [`Fake::start_with`] of one fake.
type Start<V> = fn(Listen, <V as Vendor>::Settings, <V as Vendor>::Contents) -> io::Result<Fake<V>>;

/// Starts a fake that holds at first what the file `contents` says, says where it is, and waits until it shall end.
async fn serve<V: Vendor<Contents: DeserializeOwned>>(
    start: Start<V>,
    listen: ListenArguments,
    settings: V::Settings,
    contents: Option<PathBuf>,
) -> Result<()> {
    let fake = start(listen.read()?, settings, read_contents(contents)?).context("cannot listen")?;
    writeln!(io::stdout(), "{}", fake.url())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// What a fake holds at first; nothing where no file is named.
fn read_contents<T: Default + DeserializeOwned>(file: Option<PathBuf>) -> Result<T> {
    let Some(file) = file else { return Ok(T::default()) };
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not what it should be", file.display()))
}

impl ListenArguments {
    fn read(self) -> Result<Listen> {
        let read = |file: PathBuf| fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()));
        let tls = match self.tls_certificate.zip(self.tls_key) {
            Some((chain, key)) => Some(Certificate { chain: read(chain)?, key: read(key)? }),
            None => None,
        };
        Ok(Listen { address: self.listen, tls })
    }
}
