//! What a tick costs the backend: as many reads as there are keys, however many ExternalSecrets read them.

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::{Bao, Operator, wait};
use keyferry_fakes::infisical::{Identity, InfisicalServer, Place, Project, Secret};
use serde_json::json;

use crate::support::{Manifest, Tenant, credential, external_secret, secret_store, vault_at};

/// How often everything is refreshed.
const INTERVAL: &str = "3s";

/// How many refreshes of each ExternalSecret are seen.
const TICKS: usize = 4;

/// The names of so many remote secrets.
fn keys(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("KEY_{n:03}"))
}

/// An ExternalSecret that reads all of them.
fn reader(n: usize, store: &str, count: usize) -> Manifest {
    let reader = external_secret(&reader_name(n)).store(store).every(INTERVAL);
    keys(count).fold(reader, |reader, key| reader.key(&key, &key))
}

fn reader_name(n: usize) -> String {
    format!("reader-{n:03}")
}

#[tokio::test]
async fn many_readers_of_the_same_keys_of_vault_cost_one_read_of_each() -> Result<()> {
    const READERS: usize = 200;
    const KEYS: usize = 20;
    let (tenant, bao) = (Tenant::create("sharing").await?, Bao::shared().await?);
    let mount = tenant.name();
    bao.enable_auth(mount, "approle").await?;
    let (role_id, secret_id) = bao.app_role(mount, "reader", &[mount], "1h").await?;
    tenant.apply(&credential("app-role", &[("secret-id", &secret_id)])).await?;
    let secret = json!({ "name": "app-role", "key": "secret-id" });
    let auth = json!({ "appRole": { "path": mount, "roleId": role_id, "secretRef": secret } });
    tenant.apply(&secret_store("shared", vault_at(bao.url(), mount, auth))).await?;
    for key in keys(KEYS) {
        tenant.kv.put(&key, &json!({ "value": key })).await?;
    }
    let begin = tenant.reads()?;
    let operator = tenant.operator().start().await?;
    for n in 0..READERS {
        tenant.apply(&reader(n, "shared", KEYS)).await?;
    }
    for n in 0..READERS {
        tenant.synced(&reader_name(n)).await?;
    }

    let before = Syncs::of(&operator, READERS).await?;
    let mark = tenant.reads()?;
    before.all_go_on(&operator).await?;
    let mut reads = Vec::new();
    for key in keys(KEYS) {
        reads.push(tenant.reads_since(mark, &key)?.len());
    }
    let ticks = before.ticks_since(&operator).await?;

    for reads in reads {
        ticks.ensure_one_call_each(reads)?;
    }
    let logins = bao.calls_since(begin, &format!("auth/{mount}/login"))?;
    assert_eq!(logins.len(), 1, "one login serves all readers");
    Ok(())
}

#[tokio::test]
async fn a_folder_of_infisical_costs_one_call() -> Result<()> {
    const READERS: usize = 20;
    const KEYS: usize = 100;
    let (tenant, server) = (Tenant::create("folder").await?, InfisicalServer::start().context("no server")?);
    server.make_project(Project::new("web", &["prod"]));
    server.grant(Identity::universal("id", "a secret", "web"));
    for key in keys(KEYS) {
        server.put(Secret::new(&Place::new("web", "prod", "/"), &key, "value"));
    }
    tenant.apply(&credential("infisical", &[("id", "id"), ("secret", "a secret")])).await?;
    let selector = |key: &str| json!({ "name": "infisical", "key": key });
    let provider = json!({ "infisical": {
        "hostAPI": server.url(),
        "auth": { "universalAuthCredentials": { "clientId": selector("id"), "clientSecret": selector("secret") } },
        "secretsScope": { "projectSlug": "web", "environmentSlug": "prod" },
    } });
    tenant.apply(&secret_store("folder", provider)).await?;
    let operator = tenant.operator().start().await?;
    for n in 0..READERS {
        tenant.apply(&reader(n, "folder", KEYS)).await?;
    }
    for n in 0..READERS {
        tenant.synced(&reader_name(n)).await?;
    }

    let before = Syncs::of(&operator, READERS).await?;
    let lists = server.counts().of("list-secrets");
    before.all_go_on(&operator).await?;
    let lists = server.counts().of("list-secrets") - lists;
    let ticks = before.ticks_since(&operator).await?;

    ticks.ensure_one_call_each(lists.try_into()?)?;
    assert_eq!(server.counts().of("get-secret"), 0, "keys are read one by one");
    assert_eq!(server.counts().of("login"), 1, "one login serves all readers");
    Ok(())
}

/// How often each reader was synced so far.
struct Syncs(Vec<usize>);

/// How often the readers were synced, at least and at most, while calls were counted.
#[derive(Debug)]
struct Ticks {
    fewest: usize,
    most: usize,
}

impl Syncs {
    async fn of(operator: &Operator, readers: usize) -> Result<Self> {
        let metrics = operator.metrics().await?;
        let count = |n| {
            let syncs = metrics.sum("externalsecret_sync_calls_total", &[("name", &reader_name(n))]);
            let syncs = syncs.with_context(|| format!("{} was never synced", reader_name(n)))?;
            // A counter, which is printed without a fraction.
            Ok(format!("{syncs:.0}").parse()?)
        };
        (0..readers).map(count).collect::<Result<_>>().map(Self)
    }

    /// Waits until each reader was synced some times more.
    async fn all_go_on(&self, operator: &Operator) -> Result<()> {
        wait::eventually("everything is refreshed", 2 * wait::DEADLINE, async || {
            Ok((self.ticks_since(operator).await?.fewest >= TICKS).then_some(()))
        })
        .await
    }

    async fn ticks_since(&self, operator: &Operator) -> Result<Ticks> {
        let now = Self::of(operator, self.0.len()).await?;
        let ticks: Vec<_> = self.0.iter().zip(&now.0).map(|(before, now)| now - before).collect();
        let (fewest, most) = (ticks.iter().min(), ticks.iter().max());
        Ok(Ticks { fewest: *fewest.context("no readers")?, most: *most.context("no readers")? })
    }
}

impl Ticks {
    /// A tick may be under way when the counting begins, and another one when it ends.
    fn ensure_one_call_each(&self, calls: usize) -> Result<()> {
        let expected = self.fewest - 1..=self.most + 1;
        ensure!(expected.contains(&calls), "{calls} calls while {self:?}");
        Ok(())
    }
}
