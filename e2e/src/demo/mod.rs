//! `make demo`: manifests in, Kubernetes Secrets out, told step by step.

mod example;
mod narrator;
mod surroundings;

use std::time::Instant;

use anyhow::{Context, Result};
use keyferry_e2e::harness::KvVersion;
use kube::api::{Patch, PatchParams};
use kube::core::TypeMeta;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::example::{Example, await_size, objects};
use self::narrator::Narrator;
pub(crate) use self::surroundings::Cluster;
use self::surroundings::Surroundings;

const QUICKSTART: Example = Example {
    name: "quickstart",
    files: &["namespace.yaml", "credentials.yaml", "secret-store.yaml", "external-secrets.yaml"],
    namespace: "quickstart",
    address: "http://127.0.0.1:8200",
};

const PORTEFAIX: Example = Example {
    name: "portefaix",
    files: &["namespace.yaml", "credentials.yaml", "portefaix.yaml"],
    namespace: "my-app",
    address: "https://api.akeyless.io",
};

/// A secret of the mount `secret` that the quickstart reads.
const VAULT_SECRET: &str = "quickstart/database";
/// The item that Portefaix reads.
const AKEYLESS_ITEM: &str = "/portefaix/prod/db/password";

/// What the demo is asked for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// The cluster to run on.
    #[arg(long, value_enum, default_value_t = Cluster::Local)]
    cluster: Cluster,
    /// Keep everything running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo. Whatever comes between, it cleans up behind itself.
#[tokio::main]
pub(crate) async fn run(options: Options) -> Result<()> {
    // Before anything starts, so that no signal is lost.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut stop = async || tokio::select! { _ = interrupted.recv() => {}, _ = terminated.recv() => {} };

    let mut narrator = Narrator::new();
    narrator.chapter("What runs")?;
    let mut surroundings = tokio::select! {
        surroundings = Surroundings::start(options.cluster, &narrator) => surroundings?,
        () = stop() => return Ok(()),
    };
    let told = tokio::select! {
        told = tell(&mut surroundings, &mut narrator) => told,
        () = stop() => Ok(()),
    };
    if told.is_ok() && options.keep {
        narrator.aside(&how_to_look(&surroundings))?;
        stop().await;
    }
    narrator.chapter("Clean-up")?;
    let cleaned = surroundings.clean_up(&narrator).await;
    told.and(cleaned)
}

async fn tell(surroundings: &mut Surroundings, narrator: &mut Narrator) -> Result<()> {
    surroundings.install(narrator).await?;
    let Surroundings { client, bao, gateway, .. } = &*surroundings;

    narrator.chapter("examples/quickstart: a Vault store, single properties and a whole secret")?;
    QUICKSTART.apply(client, bao.url(), narrator).await?;

    narrator.chapter("examples/portefaix: the manifest that users have today, v1beta1, byte for byte")?;
    PORTEFAIX.apply(client, gateway.url(), narrator).await?;

    narrator.chapter("A value changes in Vault, and the next tick brings it")?;
    let password = "a-new-and-longer-sample-password";
    let kv = bao.kv("secret", KvVersion::V2);
    kv.put(VAULT_SECRET, &json!({ "username": "app", "password": password })).await?;
    let begin = Instant::now();
    narrator.fact(VAULT_SECRET, &format!("now has a password of {} bytes; a tick comes every 10 s", password.len()))?;
    await_size(client, QUICKSTART.namespace, "database", "DATABASE_PASSWORD", password.len()).await?;
    narrator.event("Secret/database", &format!("DATABASE_PASSWORD ({} bytes)", password.len()), begin)?;

    narrator.chapter("A value changes in Akeyless, and somebody will not wait for the hourly tick")?;
    let password = "a longer and newer password";
    gateway.rotate(AKEYLESS_ITEM, password);
    narrator.fact(AKEYLESS_ITEM, &format!("now has {} bytes", password.len()))?;
    narrator.fact("", "kubectl annotate -n my-app externalsecret db-credentials force-sync=now")?;
    let begin = Instant::now();
    force_sync(surroundings, PORTEFAIX.namespace, "db-credentials").await?;
    await_size(client, PORTEFAIX.namespace, "db-credentials", "password", password.len()).await?;
    narrator.event("Secret/db-credentials", &format!("password ({} bytes)", password.len()), begin)
}

async fn force_sync(surroundings: &Surroundings, namespace: &str, name: &str) -> Result<()> {
    let types = TypeMeta { api_version: "external-secrets.io/v1".to_owned(), kind: "ExternalSecret".to_owned() };
    let api = objects(&surroundings.client, &types, namespace).await?;
    let patch = json!({ "metadata": { "annotations": { "force-sync": "now" } } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.context("failed to annotate")?;
    Ok(())
}

fn how_to_look(surroundings: &Surroundings) -> String {
    format!(
        "Everything keeps running. In another terminal:\n\n  \
         export KUBECONFIG={}\n  \
         kubectl get secretstores,externalsecrets,secrets -A\n\n\
         OpenBao: {} (token {}), the Akeyless gateway: {}\n\
         Ctrl-C here ends everything and removes what the demo made.",
        surroundings.kubeconfig.display(),
        surroundings.bao.url(),
        surroundings.bao.root_token(),
        surroundings.gateway.url(),
    )
}
