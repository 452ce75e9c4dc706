//! OpenBao, which speaks Vault's API, with everything in memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::audit::{Mark, entries_since, mark};
use super::layout::{tool, tools};
use super::ports::free_port;
use super::process::Process;
use super::run_dir::RunDir;
use super::wait::while_running;

/// The token that may do everything.
const ROOT_TOKEN: &str = "root";

/// Takes a tenth of a second on an idle machine.
pub(super) const START_DEADLINE: Duration = Duration::from_secs(30);

/// A running OpenBao. Dropping it ends it.
#[derive(Debug)]
pub struct Bao {
    // The process first: it ends before its files go.
    _process: Process,
    http: reqwest::Client,
    url: String,
    ca_pem: Option<String>,
    dir: RunDir,
}

/// A request that OpenBao was asked, whether it answered it or refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// `read`, `list`, `create`, `update` or `delete`.
    pub operation: String,
    /// Without `/v1/`, for example `secret/data/app` or `auth/approle/login`.
    pub path: String,
    /// Whether it was refused or failed.
    pub failed: bool,
}

impl Bao {
    /// Starts OpenBao without TLS. It has a KV version 2 mount at `secret`.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts OpenBao with a certificate of its own CA, see [`Bao::ca_pem`].
    pub async fn start_tls() -> Result<Self> {
        Self::start_with(&["-dev-tls"]).await
    }

    /// The OpenBao without TLS that all tests of this process share; started by the first one that asks. Each test makes
    /// its own mounts.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Bao> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start_with(options: &[&str]) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = RunDir::create("bao")?;
        let tls = options.contains(&"-dev-tls");
        let port = free_port()?;
        let arguments = [
            "server".to_owned(),
            "-dev".to_owned(),
            "-dev-no-store-token".to_owned(),
            format!("-dev-root-token-id={ROOT_TOKEN}"),
            format!("-dev-listen-address=127.0.0.1:{port}"),
            format!("-dev-tls-cert-dir={}", dir.path().display()),
            format!("-config={}", dir.write("bao.hcl", &config(&dir))?.display()),
        ];
        let arguments = arguments.iter().map(String::as_str).chain(options.iter().copied());
        let mut process = Process::start(&tool("bao")?, arguments, [], dir.file("bao.log"))?;

        let ca_pem = if tls {
            let file = dir.file("vault-ca.pem");
            let what = "OpenBao has written its CA";
            let pem = while_running(&mut [&mut process], what, START_DEADLINE, async || {
                Ok(fs::read_to_string(&file).ok().filter(|pem| pem.contains("END CERTIFICATE")))
            })
            .await?;
            Some(pem)
        } else {
            None
        };
        let http = client(ca_pem.as_deref())?;
        let url = format!("{}://127.0.0.1:{port}", if tls { "https" } else { "http" });
        // Its mount is the last thing that it makes at its start.
        let mount = format!("{url}/v1/secret/config");
        while_running(&mut [&mut process], "OpenBao is ready", START_DEADLINE, async || {
            let answer = http.get(&mount).header("X-Vault-Token", ROOT_TOKEN).send().await;
            Ok(answer.ok().filter(|answer| answer.status().is_success()))
        })
        .await?;
        Ok(Self { _process: process, http, url, ca_pem, dir })
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The CA of its certificate, PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// A token that may do everything.
    pub fn root_token(&self) -> &'static str {
        ROOT_TOKEN
    }

    /// Reads a path such as `sys/mounts`; `None` if nothing is there.
    pub async fn read(&self, path: &str) -> Result<Option<Value>> {
        self.request(Method::GET, path, None).await
    }

    /// Writes to a path such as `sys/policies/acl/app` and returns the answer, [`Value::Null`] if it is empty.
    pub async fn write(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.request(Method::POST, path, Some(body)).await?;
        answer.with_context(|| format!("OpenBao does not know {path}"))
    }

    /// Deletes what is at a path.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.request(Method::DELETE, path, None).await?;
        Ok(())
    }

    /// The end of the list of calls as of now.
    pub fn mark(&self) -> Result<Mark> {
        mark(&self.dir.file("audit.log"))
    }

    /// The calls since `mark` whose path starts with `prefix`, from whomever they came.
    pub fn calls_since(&self, mark: Mark, prefix: &str) -> Result<Vec<Call>> {
        let entries: Vec<AuditEntry> = entries_since(&self.dir.file("audit.log"), mark)?;
        Ok(entries
            .into_iter()
            .filter(|entry| entry.kind == "response" && entry.request.path.starts_with(prefix))
            .map(|entry| Call {
                operation: entry.request.operation,
                path: entry.request.path,
                failed: entry.error.is_some(),
            })
            .collect())
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let mut request = self.http.request(method.clone(), format!("{}/v1/{path}", self.url));
        request = request.header("X-Vault-Token", ROOT_TOKEN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("failed to ask OpenBao: {method} {path}"))?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| format!("failed to read the answer: {method} {path}"))?;
        if status == StatusCode::NOT_FOUND && method == Method::GET {
            return Ok(None);
        }
        if !status.is_success() {
            bail!("OpenBao refused {method} {path}: {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Some(Value::Null));
        }
        serde_json::from_str(&text).with_context(|| format!("unexpected answer: {method} {path}"))
    }
}

#[derive(Deserialize)]
struct AuditEntry {
    #[serde(rename = "type")]
    kind: String,
    request: AuditedRequest,
    error: Option<String>,
}

#[derive(Deserialize)]
struct AuditedRequest {
    operation: String,
    #[serde(default)]
    path: String,
}

/// Audit devices can be declared in the configuration only.
fn config(dir: &RunDir) -> String {
    let (log, plugins) = (dir.file("audit.log"), tools());
    format!(
        "plugin_directory = \"{}\"\naudit \"file\" \"calls\" {{\n  options {{\n    file_path = \"{}\"\n  }}\n}}\n",
        plugins.display(),
        log.display()
    )
}

fn client(ca_pem: Option<&str>) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        // A kept connection would belong to the runtime of the test that opened it.
        .pool_max_idle_per_host(0);
    if let Some(pem) = ca_pem {
        builder = builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes())?]);
    }
    builder.build().context("failed to make an HTTP client")
}
