//! Keyferry: an operator that ferries secrets from external backends into Kubernetes Secrets.
//!
//! ```text
//! cluster/     local copies of what is watched, and the one way to write
//! queue/       which object is reconciled next
//! stores/      from a store's manifest to a provider that is ready to use
//! reconcile/   one folder for each kind: gather → validate → due → fetch → plan → apply → report
//! render/      from what a backend sent to what a target holds
//! run.rs       wires them together
//! ```

#[cfg(not(any(
    feature = "akeyless",
    feature = "aws",
    feature = "azure",
    feature = "fake",
    feature = "gcp",
    feature = "infisical",
    feature = "kubernetes",
    feature = "vault",
    feature = "webhook"
)))]
compile_error!("choose at least one backend: each is a feature of this crate");

mod admin;
mod args;
mod cluster;
mod events;
mod lease;
mod log;
mod metrics;
mod queue;
mod reconcile;
mod render;
mod run;
#[cfg_attr(
    not(all(
        feature = "akeyless",
        feature = "aws",
        feature = "azure",
        feature = "fake",
        feature = "gcp",
        feature = "infisical",
        feature = "kubernetes",
        feature = "vault",
        feature = "webhook"
    )),
    allow(dead_code, reason = "backends that are left out resolve no references")
)]
mod stores;
mod trouble;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::args::{Arguments, RunArgs};

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let Arguments::Run(args) = Arguments::parse();
    log::start(args.loglevel, args.log_format);
    // Fails only if it was done before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(until_signal(args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure:#}");
            ExitCode::FAILURE
        }
    }
}

/// The work is waiting for servers; more threads would only cost memory on a large node.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

async fn until_signal(args: RunArgs) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupted.recv() => {}, _ = terminated.recv() => {} }
        info!("stopping: what is in progress comes to its end");
        told.cancel();
    });
    run::run(args, stop).await
}
