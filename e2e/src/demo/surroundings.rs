//! What the demo needs around it: a cluster, two backends and the operator.

use std::env;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyferry_e2e::harness::{Bao, ControlPlane, Operator, OperatorSpec, install_crds, install_rbac, wait};
use keyferry_fakes::akeyless::{Access, AkeylessGateway, Item};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::example::Example;
use super::narrator::Narrator;
use super::{PORTEFAIX, QUICKSTART};

/// The group of Keyferry's kinds.
const GROUP: &str = "external-secrets.io";

/// How long the API server may take to remove something with all that is in it.
const DELETION: Duration = Duration::from_mins(2);

/// Which cluster the demo runs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Cluster {
    /// The one that KUBECONFIG leads to.
    Current,
    /// A control plane on this machine, for the demo only.
    Local,
}

/// All that runs.
pub(super) struct Surroundings {
    pub(super) client: Client,
    pub(super) kubeconfig: PathBuf,
    pub(super) bao: Bao,
    pub(super) gateway: AkeylessGateway,
    operators: Vec<Operator>,
    /// Whether the cluster had none of our kinds before.
    made_crds: bool,
    /// Kept for as long as the demo runs.
    control_plane: Option<ControlPlane>,
}

impl Surroundings {
    /// Starts what runs on this machine only; a cluster of the user's is looked at and not touched.
    pub(super) async fn start(cluster: Cluster, narrator: &Narrator) -> Result<Self> {
        let begin = Instant::now();
        let (control_plane, kubeconfig) = match cluster {
            Cluster::Current => (None, current_kubeconfig()?),
            Cluster::Local => {
                let control_plane = ControlPlane::start().await?;
                let kubeconfig = control_plane.kubeconfig().to_path_buf();
                (Some(control_plane), kubeconfig)
            }
        };
        let client = match &control_plane {
            Some(control_plane) => control_plane.client()?,
            None => Client::try_default().await.context("failed to use the cluster that KUBECONFIG leads to")?,
        };
        let version = client.apiserver_version().await.context("the cluster does not answer")?.git_version;
        ensure_no_namespaces(&client).await?;
        narrator.event("control plane", &format!("Kubernetes {version}"), begin)?;

        let begin = Instant::now();
        let bao = Bao::start().await?;
        furnish_bao(&bao).await?;
        narrator.event("OpenBao", &format!("speaks Vault's API at {}", bao.url()), begin)?;
        let begin = Instant::now();
        let gateway = AkeylessGateway::start().context("failed to start the fake Akeyless gateway")?;
        gateway.grant(Access::api_key("p-portefaix0001", "sample-access-key-of-the-fake-gateway"));
        gateway.put(Item::secret(super::AKEYLESS_ITEM, "correct horse battery"));
        narrator.event("Akeyless gateway", &format!("a faithful fake at {}", gateway.url()), begin)?;
        Ok(Self { client, kubeconfig, bao, gateway, operators: Vec::new(), made_crds: false, control_plane })
    }

    /// Installs our kinds, unless the cluster has them, and starts the operator.
    pub(super) async fn install(&mut self, narrator: &Narrator) -> Result<()> {
        let begin = Instant::now();
        let there = our_crds(&self.client).await?;
        if self.control_plane.is_none() && !there.is_empty() {
            narrator.event("CRDs", "are there already, and stay as they are", begin)?;
        } else {
            self.made_crds = true;
            install_crds(&self.client).await?;
            let names: Vec<_> = our_crds(&self.client).await?.iter().map(|crd| crd.spec.names.plural.clone()).collect();
            narrator.event("CRDs", &format!("crds/generated: {}", names.join(", ")), begin)?;
        }

        let begin = Instant::now();
        for spec in self.operator_specs().await? {
            self.operators.push(spec.start().await?);
        }
        narrator.event("operator", "`keyferry run` is ready", begin)
    }

    async fn operator_specs(&self) -> Result<Vec<OperatorSpec>> {
        let Some(control_plane) = &self.control_plane else {
            // Whatever else is in the user's cluster must not notice.
            let spec = |example: Example| {
                OperatorSpec::new(&self.kubeconfig)
                    .namespace(example.namespace)
                    .argument("--enable-cluster-store-reconciler=false")
            };
            return Ok([QUICKSTART, PORTEFAIX].map(spec).into());
        };
        install_rbac(&self.client).await?;
        Ok(vec![OperatorSpec::new(&control_plane.kubeconfig_for("keyferry", "keyferry").await?)])
    }

    /// Ends everything. From a cluster of the user's it removes what the demo made.
    pub(super) async fn clean_up(mut self, narrator: &Narrator) -> Result<()> {
        let begin = Instant::now();
        if self.control_plane.is_none() {
            let namespaces: Api<Namespace> = Api::all(self.client.clone());
            for example in [QUICKSTART, PORTEFAIX] {
                remove(&namespaces, example.namespace).await?;
                narrator.event(&format!("Namespace/{}", example.namespace), "removed", begin)?;
            }
            if self.made_crds {
                remove_crds(&self.client).await?;
                narrator.event("CRDs", "removed", begin)?;
            }
        }
        for operator in &mut self.operators {
            operator.terminate().await?;
        }
        drop(self);
        narrator.event("everything", "ended; nothing is left behind", begin)
    }
}

fn current_kubeconfig() -> Result<PathBuf> {
    let named = env::var_os("KUBECONFIG").map(PathBuf::from);
    let default = || env::home_dir().map(|home| home.join(".kube/config"));
    let path = named.or_else(default).context("KUBECONFIG is not set and there is no home directory")?;
    ensure!(path.exists(), "{} does not exist: set KUBECONFIG to the kubeconfig of the cluster to use", path.display());
    Ok(path)
}

/// The demo removes its namespaces at the end: they must be its own.
async fn ensure_no_namespaces(client: &Client) -> Result<()> {
    for Example { namespace, .. } in [QUICKSTART, PORTEFAIX] {
        let found = Api::<Namespace>::all(client.clone()).get_opt(namespace).await?;
        ensure!(found.is_none(), "the demo would remove the namespace {namespace}, which exists: use another cluster");
    }
    Ok(())
}

async fn our_crds(client: &Client) -> Result<Vec<CustomResourceDefinition>> {
    let all = Api::<CustomResourceDefinition>::all(client.clone()).list(&ListParams::default()).await?;
    Ok(all.into_iter().filter(|crd| crd.spec.group == GROUP).collect())
}

/// What `examples/quickstart/README.md` tells people to write.
async fn furnish_bao(bao: &Bao) -> Result<()> {
    let kv = bao.kv("secret", keyferry_e2e::harness::KvVersion::V2);
    kv.put(super::VAULT_SECRET, &json!({ "username": "app", "password": "a-sample-password" })).await?;
    let mail = json!({ "host": "mail.example.org", "user": "app", "password": "another-sample" });
    kv.put("quickstart/mail", &mail).await?;
    kv.put("quickstart/relays", &json!({ "relays": [{ "host": "relay.example.org" }] })).await?;
    bao.policy("quickstart", "path \"secret/data/quickstart/*\" { capabilities = [\"read\"] }").await?;
    let token = json!({ "id": "keyferry-quickstart", "policies": ["quickstart"], "ttl": "24h" });
    bao.write("auth/token/create", &token).await?;
    Ok(())
}

async fn remove_crds(client: &Client) -> Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in our_crds(client).await? {
        remove(&crds, &crd.name_any()).await?;
    }
    Ok(())
}

/// Deletes an object, if it is there, and waits until it is gone.
async fn remove<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    if api.get_opt(name).await?.is_some() {
        api.delete(name, &DeleteParams::default()).await?;
        wait::until(api, name, &format!("{name} is gone"), DELETION, |found| found.is_none()).await?;
    }
    Ok(())
}
