//! A Kubernetes control plane without nodes: etcd, kube-apiserver and kube-controller-manager as local processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::{Mutex, OnceCell};

use super::audit::AuditLog;
use super::kubeconfig::{Credentials, client_config, kubeconfig};
use super::layout::tool;
use super::manifests::{apply_yaml, install_crds};
use super::pki::Pki;
use super::ports::free_port;
use super::process::Process;
use super::run_dir::RunDir;
use super::wait::while_running;

/// Takes seconds on an idle machine; a busy one gets more.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// How long an API server may take to answer its last requests.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Who issues the tokens of ServiceAccounts, as in most clusters. It is the API server's own audience as well.
const TOKEN_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Seconds for which the token in a kubeconfig holds: longer than any test.
const TOKEN_LIFETIME: i64 = 24 * 3600;

/// Whoever trusts the tokens of the cluster may read the keys that verify them, as with clusters in a cloud.
const ISSUER_DISCOVERY: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: issuer-discovery-for-everybody }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:service-account-issuer-discovery' }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:unauthenticated' }]
";

/// Controllers that tests rely on; the others would only cost time.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    root-ca-certificate-publisher-controller";

/// A running control plane with Keyferry's CRDs. Dropping it ends it.
#[derive(Debug)]
pub struct ControlPlane {
    // Processes first: they end before their files go, and whoever needs another one before that.
    _controller_manager: Process,
    apiserver: Mutex<Option<Process>>,
    _etcd: Process,
    apiserver_program: ApiServer,
    pki: Pki,
    admin_kubeconfig: PathBuf,
    admin: kube::Config,
    dir: RunDir,
}

impl ControlPlane {
    /// Starts a control plane with empty storage and waits until it can be used.
    pub async fn start() -> Result<Self> {
        // Whoever came first has installed the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

        let dir = RunDir::create("cluster")?;
        let pki = Pki::generate(&dir)?;
        let etcd_url = format!("http://127.0.0.1:{}", free_port()?);
        let mut etcd = start_etcd(&dir, &etcd_url).await?;
        let apiserver_program = ApiServer::new(&dir, &pki, &etcd_url)?;
        let mut apiserver = apiserver_program.start()?;

        let kubeconfig_of = |file: &str, identity| {
            let text = kubeconfig(&apiserver_program.url, &pki.ca, "default", &Credentials::Certificate(identity));
            dir.write(file, &text)
        };
        let admin_kubeconfig = kubeconfig_of("admin.kubeconfig", &pki.admin)?;
        let controller_manager_kubeconfig = kubeconfig_of("controller-manager.kubeconfig", &pki.controller_manager)?;
        let admin = client_config(&admin_kubeconfig).await?;
        await_ready(&admin, &mut [&mut etcd, &mut apiserver]).await?;

        let client = Client::try_from(admin.clone())?;
        apply_yaml(&client, "default", ISSUER_DISCOVERY).await?;
        // The garbage collector looks for new kinds of owners twice a minute only: it starts when they are there.
        install_crds(&client).await?;
        let controller_manager = start_controller_manager(&dir, &pki, &controller_manager_kubeconfig)?;

        Ok(Self {
            _controller_manager: controller_manager,
            apiserver: Mutex::new(Some(apiserver)),
            _etcd: etcd,
            apiserver_program,
            pki,
            admin_kubeconfig,
            admin,
            dir,
        })
    }

    /// The control plane that all tests of this process share; started by the first one that asks.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// The base URL of the API server.
    pub fn url(&self) -> &str {
        &self.apiserver_program.url
    }

    /// The CA of the API server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.pki.ca_pem
    }

    /// The issuer of ServiceAccount tokens, the claim `iss`.
    pub fn token_issuer(&self) -> &'static str {
        TOKEN_ISSUER
    }

    /// The RSA key that verifies ServiceAccount tokens, PEM.
    pub fn token_verifier_pem(&self) -> &str {
        &self.pki.token_verifier_pem
    }

    /// A kubeconfig that may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// A new client that may do everything. It belongs to the current runtime, hence each test makes its own.
    pub fn client(&self) -> Result<Client> {
        Client::try_from(self.admin.clone()).context("failed to make a client")
    }

    /// The configuration of such a client, for another runtime.
    pub(super) fn client_config(&self) -> kube::Config {
        self.admin.clone()
    }

    /// What clients asked of the API server.
    pub fn audit_log(&self) -> AuditLog {
        AuditLog::new(self.apiserver_program.audit_log.clone())
    }

    /// The directory with all data and logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A token of an existing ServiceAccount, through the TokenRequest API. Without audiences it is for the API server.
    pub async fn token_for(&self, namespace: &str, service_account: &str, audiences: &[&str]) -> Result<String> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audiences.iter().map(ToString::to_string).collect(),
                expiration_seconds: Some(TOKEN_LIFETIME),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = api
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("failed to request a token of {namespace}/{service_account}"))?;
        Ok(answer.status.context("the TokenRequest has no status")?.token)
    }

    /// A kubeconfig with the rights and the namespace of an existing ServiceAccount.
    pub async fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let token = self.token_for(namespace, service_account, &[]).await?;
        let text = kubeconfig(self.url(), &self.pki.ca, namespace, &Credentials::Token(&token));
        self.dir.write(&format!("{namespace}-{service_account}.kubeconfig"), &text)
    }

    /// Stops the API server, as an upgrade does. For a test with a control plane of its own.
    pub async fn stop_apiserver(&self) -> Result<()> {
        if let Some(mut apiserver) = self.apiserver.lock().await.take() {
            apiserver.terminate(STOP_GRACE).await?;
        }
        Ok(())
    }

    /// Starts the API server again, on the same port and data, and waits until it can be used.
    pub async fn start_apiserver(&self) -> Result<()> {
        let mut running = self.apiserver.lock().await;
        if running.is_none() {
            let mut apiserver = self.apiserver_program.start()?;
            await_ready(&self.admin, &mut [&mut apiserver]).await?;
            *running = Some(apiserver);
        }
        Ok(())
    }

    /// Stops and starts the API server.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.stop_apiserver().await?;
        self.start_apiserver().await
    }
}

/// How to start the API server, again and again.
#[derive(Debug)]
struct ApiServer {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    audit_log: PathBuf,
    url: String,
}

impl ApiServer {
    fn new(dir: &RunDir, pki: &Pki, etcd_url: &str) -> Result<Self> {
        let port = free_port()?;
        let audit_log = dir.file("audit.log");
        let audit_policy = dir.write("audit-policy.yaml", include_str!("audit-policy.yaml"))?;
        let arguments = vec![
            format!("--etcd-servers={etcd_url}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            format!("--tls-cert-file={}", pki.server.certificate.display()),
            format!("--tls-private-key-file={}", pki.server.key.display()),
            format!("--client-ca-file={}", pki.ca.display()),
            "--authorization-mode=RBAC".to_owned(),
            format!("--service-account-issuer={TOKEN_ISSUER}"),
            format!("--service-account-signing-key-file={}", pki.token_signer.display()),
            format!("--service-account-key-file={}", pki.token_verifier.display()),
            format!("--api-audiences={TOKEN_ISSUER}"),
            format!("--audit-policy-file={}", audit_policy.display()),
            format!("--audit-log-path={}", audit_log.display()),
            // Megabytes: a rotated log could not be counted.
            "--audit-log-maxsize=100000".to_owned(),
            // Watches end when the server does, not when their clients let go of them a minute later.
            "--shutdown-watch-termination-grace-period=1s".to_owned(),
            "--profiling=false".to_owned(),
        ];
        Ok(Self {
            program: tool("kube-apiserver")?,
            arguments,
            log: dir.file("kube-apiserver.log"),
            audit_log,
            url: format!("https://127.0.0.1:{port}"),
        })
    }

    fn start(&self) -> Result<Process> {
        Process::start(&self.program, &self.arguments, [], self.log.clone())
    }
}

/// Starts etcd and waits for it: it may take long to create its files while a build keeps the disk busy, and the API
/// server gives up after 20 s.
async fn start_etcd(dir: &RunDir, url: &str) -> Result<Process> {
    let arguments = [
        format!("--data-dir={}", dir.file("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // Nobody joins this cluster.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // The data of a test need not survive the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    let mut etcd = Process::start(&tool("etcd")?, arguments, [], dir.file("etcd.log"))?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    while_running(&mut [&mut etcd], "etcd is ready", START_DEADLINE, async || {
        let answer = http.get(format!("{url}/readyz")).send().await;
        Ok(answer.ok().filter(|answer| answer.status().is_success()))
    })
    .await?;
    Ok(etcd)
}

fn start_controller_manager(dir: &RunDir, pki: &Pki, kubeconfig: &Path) -> Result<Process> {
    let arguments = [
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--controllers={CONTROLLERS}"),
        format!("--root-ca-file={}", pki.ca.display()),
        "--leader-elect=false".to_owned(),
        // It serves nobody.
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ];
    Process::start(&tool("kube-controller-manager")?, arguments, [], dir.file("kube-controller-manager.log"))
}

/// Waits until the API server says that it is ready.
async fn await_ready(admin: &kube::Config, processes: &mut [&mut Process]) -> Result<()> {
    let client = Client::try_from(admin.clone())?;
    while_running(processes, "kube-apiserver is ready", START_DEADLINE, async || {
        let question = http::Request::get("/readyz").body(Vec::new())?;
        Ok(client.request_text(question).await.ok())
    })
    .await?;
    Ok(())
}
