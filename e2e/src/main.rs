//! `keyferry-e2e`: the demo, the benchmark, a control plane to try things on, and the leash of the processes that they
//! start.

mod bench;
mod demo;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use keyferry_e2e::harness::{ControlPlane, process};
use tokio::signal::unix::{SignalKind, signal};

/// Keyferry on a real Kubernetes control plane on this machine.
#[derive(Parser)]
enum Arguments {
    /// Measure what syncing costs, beside what a plain client needs for the same writes.
    Bench(bench::Options),
    /// Run a control plane with Keyferry's CRDs until Ctrl-C.
    Cluster {
        /// Write a shell file that sets KUBECONFIG as soon as the control plane is ready.
        #[arg(long)]
        env_file: Option<PathBuf>,
    },
    /// Show how manifests become Secrets, step by step.
    Demo(demo::Options),
    /// Become another program that is killed when the process PARENT dies.
    #[command(hide = true)]
    Leash {
        #[arg(long)]
        parent: u32,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Bench(options) => bench::run(options),
        Arguments::Cluster { env_file } => cluster(env_file.as_deref()),
        Arguments::Demo(options) => demo::run(options),
        Arguments::Leash { parent, command } => {
            let (program, arguments) = command.split_first().context("no program was named")?;
            process::leash(parent, program, arguments)
        }
    }
}

#[tokio::main]
async fn cluster(env_file: Option<&Path>) -> Result<()> {
    // Before the start, so that a signal meanwhile is not lost.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;

    let begin = Instant::now();
    let cluster = tokio::select! {
        cluster = ControlPlane::start() => cluster?,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    let export = format!("export KUBECONFIG={}", cluster.kubeconfig().display());
    writeln!(
        io::stdout(),
        "Ready after {:.1} s. In another terminal:\n\n  {export}\n\nCtrl-C ends it and removes its data.",
        begin.elapsed().as_secs_f64()
    )?;
    if let Some(path) = env_file {
        // Whoever waits for the file must not see half of it.
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, format!("{export}\n"))
            .and_then(|()| fs::rename(&unfinished, path))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}
