//! A control plane and an OpenBao with the remote secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use keyferry_e2e::harness::{Bao, ControlPlane, KvVersion, OperatorSpec, apply_yaml, install_rbac};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use super::load::{self, CLIENT_CONCURRENCY, Round};

/// The KV mount of the remote secrets.
pub(super) const MOUNT: &str = "bench";

/// What all phases share.
pub(super) struct Surroundings {
    pub(super) control_plane: ControlPlane,
    pub(super) bao: Arc<Bao>,
    /// How many objects each phase has.
    pub(super) objects: usize,
}

/// A namespace with a store, an operator's account and a client's account.
pub(super) struct Team {
    pub(super) namespace: String,
    /// With the same kind of account as the operator: the API server gives administrators precedence.
    pub(super) client: Client,
    kubeconfig: PathBuf,
}

impl Surroundings {
    /// Starts both servers and writes the remote secrets.
    pub(super) async fn start(objects: usize) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        install_rbac(&control_plane.client()?).await?;
        let bao = Bao::start().await?;
        bao.mount_kv(MOUNT, KvVersion::V2).await?;
        bao.policy(MOUNT, &format!("path \"{MOUNT}/*\" {{ capabilities = [\"read\"] }}")).await?;
        bao.enable_auth("approle", "approle").await?;
        let surroundings = Self { control_plane, bao: Arc::new(bao), objects };
        surroundings.write_all(Round::First).await?;
        Ok(surroundings)
    }

    /// Makes a namespace of this name.
    pub(super) async fn team(&self, name: &str) -> Result<Team> {
        let (role_id, secret_id) = self.bao.app_role("approle", name, &[MOUNT], "1h").await?;
        let manifests = load::team(name, self.bao.url(), &role_id, &secret_id);
        apply_yaml(&self.control_plane.client()?, name, &manifests).await?;
        let as_client = Kubeconfig::read_from(self.control_plane.kubeconfig_for(name, "client").await?)?;
        let mut config = kube::Config::from_custom_kubeconfig(as_client, &KubeConfigOptions::default()).await?;
        config.proxy_url = None;
        Ok(Team {
            namespace: name.to_owned(),
            client: Client::try_from(config).context("failed to make a client")?,
            kubeconfig: self.control_plane.kubeconfig_for(name, "keyferry").await?,
        })
    }

    /// Changes every remote secret. Returns when each was changed, by the name of the target that it ends in.
    pub(super) async fn rotate(&self) -> Result<BTreeMap<String, Timestamp>> {
        self.write_all(Round::Second).await
    }

    async fn write_all(&self, round: Round) -> Result<BTreeMap<String, Timestamp>> {
        let written = Arc::new(Mutex::new(BTreeMap::new()));
        let (bao, times) = (Arc::clone(&self.bao), Arc::clone(&written));
        load::spread(self.objects, CLIENT_CONCURRENCY, move |n| {
            let (bao, times) = (Arc::clone(&bao), Arc::clone(&times));
            async move {
                let name = load::name(n);
                bao.kv(MOUNT, KvVersion::V2).put(&name, &json!({ "value": load::value(n, round) })).await?;
                times.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Timestamp::now());
                Ok(())
            }
        })
        .await?;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *written))
    }
}

impl Team {
    /// An operator for this namespace only: the namespaces of other phases are full of objects as well.
    pub(super) fn operator(&self) -> OperatorSpec {
        OperatorSpec::new(&self.kubeconfig).namespace(&self.namespace)
    }

    /// The operator's name in the audit log.
    pub(super) fn user(&self) -> String {
        format!("system:serviceaccount:{}:keyferry", self.namespace)
    }
}
