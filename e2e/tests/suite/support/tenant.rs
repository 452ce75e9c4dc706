//! A team in the cluster.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Secret};
use keyferry_e2e::harness::{
    AuditLog, Bao, Call, ControlPlane, Kv, KvVersion, Mark, Namespace, Operator, OperatorSpec, Request, apply_yaml,
    condition, install_rbac, wait,
};
use kube::api::{DeleteParams, ListParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::manifest::{Manifest, credential, external_secret, secret_store, vault};
use super::target::{Bytes, values};

/// A namespace with a SecretStore `vault` that reads a KV mount of the same name, and an operator's ServiceAccount with
/// the rights of `deploy/rbac.yaml`.
pub(crate) struct Tenant<'a> {
    pub(crate) namespace: Namespace,
    /// The mount that the store reads.
    pub(crate) kv: Kv<'a>,
    bao: &'a Bao,
    audit_log: AuditLog,
    kubeconfig: PathBuf,
}

impl Tenant<'static> {
    /// A team of its own on the shared control plane. The namespace's name starts with `prefix`.
    pub(crate) async fn create(prefix: &str) -> Result<Self> {
        static RIGHTS: OnceCell<()> = OnceCell::const_new();
        let cluster = ControlPlane::shared().await?;
        RIGHTS.get_or_try_init(async || install_rbac(&cluster.client()?).await).await?;
        Self::settle(cluster, Bao::shared().await?, prefix).await
    }
}

impl<'a> Tenant<'a> {
    /// A team on a control plane where `deploy/rbac.yaml` was applied.
    pub(crate) async fn settle(cluster: &ControlPlane, bao: &'a Bao, prefix: &str) -> Result<Tenant<'a>> {
        let namespace = Namespace::create(cluster, prefix).await?;
        let name = namespace.name();
        apply_yaml(&cluster.client()?, name, &operator_account(name)).await?;
        let tenant = Tenant {
            kv: bao.mount_kv(name, KvVersion::V2).await?,
            bao,
            audit_log: cluster.audit_log(),
            kubeconfig: cluster.kubeconfig_for(name, "keyferry").await?,
            namespace,
        };
        // Everything whose name starts like the namespace's, so that a test may make mounts of its own.
        bao.policy(tenant.name(), &format!("path \"{}*\" {{ capabilities = [\"read\"] }}", tenant.name())).await?;
        tenant.apply(&credential("vault-token", &[("token", &bao.token(&[tenant.name()], "1h").await?)])).await?;
        tenant.apply(&secret_store("vault", vault(bao.url(), tenant.name()))).await?;
        Ok(tenant)
    }

    /// The name of the namespace, of the KV mount and of a policy that may read it.
    pub(crate) fn name(&self) -> &str {
        self.namespace.name()
    }

    /// How to start an operator that cares for this team only.
    pub(crate) fn operator(&self) -> OperatorSpec {
        OperatorSpec::new(&self.kubeconfig).namespace(self.name()).argument("--loglevel=debug")
    }

    /// The name under which the operator's requests stand in the audit log.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:keyferry", self.name())
    }

    /// Applies a manifest.
    pub(crate) async fn apply(&self, manifest: &Manifest) -> Result<()> {
        self.namespace.apply(&manifest.to_string()).await?;
        Ok(())
    }

    /// Deletes an object of one of Keyferry's kinds.
    pub(crate) async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let objects = self.namespace.objects(kind).await?;
        objects.delete(name, &DeleteParams::default()).await.with_context(|| format!("failed to delete {name}"))?;
        Ok(())
    }

    /// Waits until an ExternalSecret is Ready and returns its target, which has the same name.
    pub(crate) async fn synced(&self, name: &str) -> Result<Secret> {
        told(self.namespace.wait_for_ready("ExternalSecret", name, "True", &[]).await)?;
        told(self.namespace.wait_for_secret(name, |_| true).await)
    }

    /// Waits until a Secret holds exactly these values.
    pub(crate) async fn holds(&self, name: &str, expected: &[(&str, &str)]) -> Result<Secret> {
        let expected = expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        told(self.namespace.wait_for_secret(name, |secret| values(secret) == expected).await)
    }

    /// Waits until an ExternalSecret is not Ready and says all `parts`. Returns the message.
    pub(crate) async fn fails(&self, name: &str, parts: &[&str]) -> Result<String> {
        let object = told(self.namespace.wait_for_ready("ExternalSecret", name, "False", parts).await)?;
        message(&object)
    }

    /// Waits until a SecretStore is Ready.
    pub(crate) async fn store_works(&self, name: &str) -> Result<DynamicObject> {
        told(self.namespace.wait_for_ready("SecretStore", name, "True", &[]).await)
    }

    /// Waits until a SecretStore is not Ready and says all `parts`. Returns the message.
    pub(crate) async fn store_fails(&self, name: &str, parts: &[&str]) -> Result<String> {
        let object = told(self.namespace.wait_for_ready("SecretStore", name, "False", parts).await)?;
        message(&object)
    }

    /// All by which one would notice that a Secret was touched.
    pub(crate) async fn bytes(&self, secret: &str) -> Result<Bytes> {
        Ok(Bytes::of(&self.namespace.secrets().get(secret).await?))
    }

    /// Syncs a new ExternalSecret from a store that works: whatever the operator was going to do because of earlier
    /// events, it has done when this returns, and the audit log tells of it.
    pub(crate) async fn fence(&self, name: &str, store: &str) -> Result<()> {
        let mark = self.requests()?;
        self.kv.put("fence", &json!({ "up": "yes" })).await?;
        self.apply(&external_secret(name).store(store).property("up", "fence", "up")).await?;
        self.synced(name).await?;
        let noted = wait::eventually("the audit log shows the fence", wait::DEADLINE, async || {
            let requests = self.requests_since(mark)?;
            let is_status = |request: &Request| request.resource == "externalsecrets/status" && request.name == name;
            Ok(requests.iter().any(is_status).then_some(()))
        })
        .await;
        told(noted)
    }

    /// The end of the control plane's audit log as of now.
    pub(crate) fn requests(&self) -> Result<Mark> {
        self.audit_log.mark()
    }

    /// What this team's operator asked of the API server since `mark`.
    pub(crate) fn requests_since(&self, mark: Mark) -> Result<Vec<Request>> {
        let user = self.user();
        let requests = self.audit_log.since(mark)?;
        Ok(requests.into_iter().filter(|request| request.user == user).collect())
    }

    /// The end of OpenBao's audit log as of now.
    pub(crate) fn reads(&self) -> Result<Mark> {
        self.bao.mark()
    }

    /// How often a secret of this team was read since `mark`, with and without success.
    pub(crate) fn reads_since(&self, mark: Mark, secret: &str) -> Result<Vec<Call>> {
        let calls = self.bao.calls_since(mark, &self.kv.path(secret))?;
        Ok(calls.into_iter().filter(|call| call.operation == "read").collect())
    }

    /// Waits until a secret of this team was read so many times more, as it is on every tick.
    pub(crate) async fn ticks(&self, secret: &str, count: usize) -> Result<()> {
        let mark = self.reads()?;
        let what = format!("{secret} is read {count} times");
        let read = wait::eventually(&what, wait::DEADLINE, async || {
            Ok((self.reads_since(mark, secret)?.len() >= count).then_some(()))
        })
        .await;
        told(read)
    }

    /// The events in the namespace, as JSON.
    pub(crate) async fn events(&self) -> Result<Vec<Value>> {
        let events: Api<Event> = Api::namespaced(self.client(), self.name());
        let list = events.list(&ListParams::default()).await?;
        list.iter().map(|event| serde_json::to_value(event).context("an event is not JSON")).collect()
    }

    /// Waits for an event about an object.
    pub(crate) async fn tells(&self, kind: &str, name: &str, reason: &str, message: &str) -> Result<()> {
        let what = format!("an event {reason} with {message:?} about {kind} {name}");
        let seen = wait::eventually(&what, wait::DEADLINE, async || {
            let found = self.events().await?.iter().any(|event| {
                let about = &event["involvedObject"];
                about["kind"] == kind
                    && about["name"] == name
                    && event["reason"] == reason
                    && event["message"].as_str().unwrap_or_default().contains(message)
            });
            Ok(found.then_some(()))
        })
        .await;
        told(seen)
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> Client {
        self.namespace.client().clone()
    }
}

/// Says what was waited for in vain before the test's programs end and show their logs, so that whoever sees only the
/// beginning of its output sees why it failed.
#[expect(clippy::print_stderr, reason = "the test harness captures it and shows it with a failure")]
fn told<T>(outcome: Result<T>) -> Result<T> {
    outcome.inspect_err(|error| eprintln!("{error:#}"))
}

/// Fails if any sync of an ExternalSecret failed so far.
pub(crate) async fn never_failed(operator: &Operator, name: &str) -> Result<()> {
    let failures = operator.metrics().await?.sum("externalsecret_sync_calls_error", &[("name", name)]);
    ensure!(failures.is_none_or(|failures| failures < 0.5), "{failures:?} syncs of {name} failed");
    Ok(())
}

/// The message of the condition `Ready`.
fn message(object: &DynamicObject) -> Result<String> {
    let ready = condition(object, "Ready").context("there is no condition Ready")?;
    Ok(ready["message"].as_str().unwrap_or_default().to_owned())
}

/// One account per team, so that the audit log tells them apart.
fn operator_account(namespace: &str) -> String {
    format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: keyferry }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{ name: keyferry-{namespace} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: keyferry }}
subjects: [{{ kind: ServiceAccount, name: keyferry, namespace: {namespace} }}]
"
    )
}
