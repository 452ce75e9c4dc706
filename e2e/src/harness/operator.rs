//! The operator under test: the built binary as a process, seen from outside.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};

use super::layout::built_binary;
use super::metrics::Metrics;
use super::ports::free_port;
use super::process::Process;
use super::run_dir::RunDir;
use super::usage::Usage;
use super::wait::eventually;

/// How long the operator may take until it answers `/readyz`.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long the operator may take to end on SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(30);

/// How to start an operator.
#[derive(Clone, Debug)]
pub struct OperatorSpec {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl OperatorSpec {
    /// `keyferry run` with the rights that the kubeconfig file gives.
    pub fn new(kubeconfig: &Path) -> Self {
        let kubeconfig = kubeconfig.to_string_lossy().into_owned();
        Self { arguments: vec!["run".to_owned()], environment: vec![("KUBECONFIG".to_owned(), kubeconfig)] }
    }

    /// Lets it care for one namespace only, so that operators of parallel tests do not meet.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.argument(format!("--namespace={namespace}"))
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Result<Operator> {
        let operator = self.spawn()?;
        operator.await_ready().await
    }

    /// Starts it without waiting.
    pub fn spawn(self) -> Result<Operator> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = RunDir::create("operator")?;
        let (metrics_port, live_port) = (free_port()?, free_port()?);
        let spec = self
            .argument(format!("--metrics-addr=127.0.0.1:{metrics_port}"))
            .argument(format!("--live-addr=127.0.0.1:{live_port}"));
        let process = start(&spec, dir.file("keyferry.log"))?;
        Ok(Operator { process, spec, metrics_port, live_port, ended_well: false, _dir: dir })
    }
}

/// A running operator. Unless it was ended with [`Operator::terminate`], dropping it prints the end of its log, which the
/// test harness shows when the test fails.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    spec: OperatorSpec,
    metrics_port: u16,
    live_port: u16,
    ended_well: bool,
    _dir: RunDir,
}

impl Operator {
    /// Waits until `/readyz` says so.
    pub async fn await_ready(mut self) -> Result<Self> {
        eventually("the operator is ready", START_DEADLINE, async || {
            self.process.ensure_running()?;
            Ok(get(self.live_port, "/readyz").await.ok())
        })
        .await?;
        Ok(self)
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// If it does not end within 30 s.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        let status = self.process.terminate(STOP_GRACE).await?;
        self.ended_well = true;
        Ok(status)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again after its end, with the same arguments, ports and log, and waits until it is ready.
    pub async fn restart(mut self) -> Result<Self> {
        self.process = start(&self.spec, self.process.log().to_path_buf())?;
        self.ended_well = false;
        self.await_ready().await
    }

    /// What it exposes at `/metrics`.
    pub async fn metrics(&self) -> Result<Metrics> {
        get(self.metrics_port, "/metrics").await.map(Metrics::new)
    }

    /// What it says at `/healthz` or `/readyz`.
    ///
    /// # Errors
    /// If the status is none of 2xx.
    pub async fn health(&self, path: &str) -> Result<String> {
        get(self.live_port, path).await
    }

    /// Its processor time and memory.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.id())
    }

    /// Lets the peak of its memory begin anew.
    pub fn reset_peak_rss(&self) -> Result<()> {
        Usage::reset_peak(self.process.id())
    }

    /// All that it logged.
    pub fn log(&self) -> Result<String> {
        let path: PathBuf = self.process.log().to_path_buf();
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    }
}

impl Drop for Operator {
    #[expect(clippy::print_stderr, reason = "the test harness captures it and shows it with a failure")]
    fn drop(&mut self) {
        if !self.ended_well {
            eprintln!("{}", self.process.log_tail());
        }
    }
}

fn start(spec: &OperatorSpec, log: PathBuf) -> Result<Process> {
    Process::start(&built_binary("keyferry")?, &spec.arguments, spec.environment.clone(), log)
}

async fn get(port: u16, path: &str) -> Result<String> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let answer = client.get(&url).send().await?.error_for_status()?;
    answer.text().await.with_context(|| format!("failed to read {url}"))
}
