//! Who there is, how each proves it, and who may do what.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secrets::Place;
use crate::keys::{Issuer, Keys};

/// A service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Gets no tokens.
    #[serde(default)]
    pub disabled: bool,
    /// Its address, like `name@project.iam.gserviceaccount.com`.
    pub email: String,
    /// Who may act as it: `serviceAccount:other@…`, `serviceAccount:p-1.svc.id.goog[namespace/name]`,
    /// `principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/…`.
    #[serde(default)]
    pub users: BTreeSet<String>,
}

/// A GKE cluster with workload identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Issuer of its ServiceAccounts' tokens.
    pub issuer: String,
    /// How they are verified.
    pub keys: Keys,
    /// Region or zone.
    pub location: String,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
}

/// A provider of a workload identity pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// Its full name: `//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider`.
    pub audience: String,
    /// Whom it believes.
    pub provider: Provider,
    /// The attribute condition: only these subjects; all, if it is empty.
    #[serde(default)]
    pub subjects: BTreeSet<String>,
}

/// Whom a provider of a workload identity pool believes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Provider {
    /// An AWS account.
    #[serde(rename_all = "camelCase")]
    Aws {
        /// Its number.
        account: String,
        /// Secret access keys by access key id.
        keys: BTreeMap<String, String>,
    },
    /// An issuer of tokens.
    #[serde(rename_all = "camelCase")]
    Oidc {
        /// Audiences of which a token must name one; if there is none, it is the provider's own name.
        #[serde(default)]
        audiences: Vec<String>,
        /// `iss` of the tokens.
        issuer: String,
        /// How they are verified.
        keys: Keys,
    },
}

/// A person, who has logged in with gcloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// OAuth client that she logged in with.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Her address.
    pub email: String,
    /// What gcloud has kept.
    pub refresh_token: String,
}

/// Somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// Who, as [`Account::users`] writes it, or `user:email`.
    pub member: String,
    /// Where.
    pub project: String,
    /// What.
    pub role: Role,
    /// Only with this secret.
    #[serde(default)]
    pub secret: Option<String>,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// `roles/secretmanager.secretAccessor`: read values.
    Accessor,
    /// `roles/secretmanager.viewer`: list, and read everything but values.
    Viewer,
}

/// Everybody.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) clusters: BTreeMap<String, Cluster>,
    denied: BTreeSet<Place>,
    grants: BTreeSet<Grant>,
    /// Public keys by account and key id.
    keys: BTreeMap<(String, String), Keys>,
    pub(super) pools: BTreeMap<String, Pool>,
    projects: BTreeSet<String>,
    pub(super) users: Vec<User>,
}

impl People {
    pub(super) fn make_account(&mut self, account: Account) {
        self.accounts.insert(account.email.clone(), account);
    }

    pub(super) fn remove_account(&mut self, email: &str) -> bool {
        self.keys.retain(|(owner, _), _| owner != email);
        self.accounts.remove(email).is_some()
    }

    pub(super) fn make_key(&mut self, email: &str) -> Option<Value> {
        let account = self.accounts.get(email)?;
        let pair = Issuer::default();
        let id = format!("{:040x}", self.keys.len() + 1);
        self.keys.insert((account.email.clone(), id.clone()), pair.keys());
        Some(json!({
            "type": "service_account",
            "project_id": email.split(['@', '.']).nth(1),
            "private_key_id": id,
            "private_key": pair.private_pem(),
            "client_email": email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "universe_domain": "googleapis.com",
        }))
    }

    /// How assertions of this account that name this key are verified.
    pub(super) fn key(&self, email: &str, id: &str) -> Option<Keys> {
        self.keys.get(&(email.to_owned(), id.to_owned())).cloned()
    }

    pub(super) fn make_cluster(&mut self, cluster: Cluster) {
        self.clusters.insert(cluster.audience(), cluster);
    }

    pub(super) fn make_pool(&mut self, pool: Pool) {
        self.pools.insert(pool.audience.clone(), pool);
    }

    pub(super) fn make_user(&mut self, user: User) {
        self.users.push(user);
    }

    pub(super) fn grant(&mut self, grant: Grant) {
        self.projects.insert(grant.project.clone());
        self.grants.insert(grant);
    }

    pub(super) fn deny(&mut self, place: Place) {
        self.denied.insert(place);
    }

    /// A project is there as soon as somebody may do something in it.
    pub(super) fn has_project(&self, project: &str) -> bool {
        self.projects.contains(project)
    }

    /// Whether `member` has `role` in all of `project`.
    pub(super) fn may(&self, member: &str, role: Role, project: &str) -> bool {
        self.grants.contains(&Grant { member: member.to_owned(), project: project.to_owned(), role, secret: None })
    }

    /// Whether `member` has `role` on the secret at `place`.
    pub(super) fn may_use(&self, member: &str, role: Role, place: &Place) -> bool {
        let on_secret =
            Grant { member: member.to_owned(), project: place.project.clone(), role, secret: Some(place.name.clone()) };
        !self.denied.contains(place) && (self.may(member, role, &place.project) || self.grants.contains(&on_secret))
    }
}

impl Account {
    /// An account with this address, as which nobody else may act.
    pub fn new(email: &str) -> Self {
        Self { email: email.to_owned(), ..Self::default() }
    }

    /// The same account, as which `member` may act.
    #[must_use]
    pub fn used_by(mut self, member: &str) -> Self {
        self.users.insert(member.to_owned());
        self
    }
}

impl Cluster {
    /// What clients name it in requests.
    pub(super) fn audience(&self) -> String {
        let Self { location, name, project, .. } = self;
        format!(
            "identitynamespace:{project}.svc.id.goog:https://container.googleapis.com/v1/projects/{project}/locations/\
             {location}/clusters/{name}"
        )
    }
}

impl Pool {
    /// The member that `subject` of this pool is.
    pub(super) fn member(&self, subject: &str) -> String {
        let pool = self.audience.split("/providers/").next().unwrap_or_default();
        format!("principal:{pool}/subject/{subject}")
    }
}

impl Grant {
    /// The role in all of a project.
    pub fn new(member: &str, role: Role, project: &str) -> Self {
        Self { member: member.to_owned(), project: project.to_owned(), role, secret: None }
    }
}
