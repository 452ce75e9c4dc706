//! Google Cloud, as far as readers of Secret Manager see it: the secrets themselves, and every service that gives out
//! access tokens, all at one address.
//!
//! It is strict where the real one is: assertions, ServiceAccount tokens and AWS requests are checked with their
//! owners' keys, for their issuer, audience, scope and time; tokens end; a caller gets what its roles allow and is told
//! "not found" only about projects that it may read; page tokens belong to the question that they came from. It knows
//! the filters that readers use, and refuses others, and parameters and members that the API does not have.
//!
//! Operations, as counts and faults name them:
//!
//! | operation | service |
//! |---|---|
//! | `AccessSecretVersion`, `GetSecret`, `ListSecrets`, `ListSecretVersions` | secretmanager |
//! | `RequestToken` | oauth2: assertions of service accounts, refresh tokens of people |
//! | `ExchangeToken` | sts: workload identity federation |
//! | `GenerateIDBindToken` | securetoken: workload identity of GKE |
//! | `GenerateAccessToken` | iamcredentials: acting as a service account |
//! | `GetMetadata`, `GetAwsMetadata` | the metadata servers of Google's machines and of AWS's |
//!
//! What is none counts as `unknown`. Its own paths below `/_fake/` (see [`crate::server`] for the others):
//!
//! | request | does |
//! |---|---|
//! | `PUT /_fake/secrets` | puts in a [`Secret`] or a new version: `{"project": "p-1", "name": "a", "value": "x"}` |
//! | `DELETE /_fake/secrets?project=p-1&name=a` | takes it out |
//! | `PUT /_fake/secrets/state` | `{"project": "p-1", "name": "a", "version": 1, "state": "DISABLED"}` |
//! | `PUT /_fake/accounts` | makes an [`Account`]: `{"email": "a@p-1.iam.gserviceaccount.com"}` |
//! | `DELETE /_fake/accounts?email=…` | takes it out, with its keys |
//! | `POST /_fake/accounts/keys` | gives it a key, and answers with the key file: `{"email": …}` |
//! | `PUT /_fake/grants` | adds a [`Grant`]: `{"member": "serviceAccount:…", "project": "p-1", "role": "accessor"}` |
//! | `PUT /_fake/clusters`, `PUT /_fake/pools`, `PUT /_fake/users` | a [`Cluster`], a [`Pool`], a [`User`] |
//! | `PUT /_fake/machine`, `DELETE /_fake/machine` | the [`Machine`] whose metadata server this is |
//! | `POST /_fake/tokens/expire` | ends all tokens |

use serde::Deserialize;
use serde_json::Value;

mod admin;
mod api;
mod federation;
mod filter;
mod login;
mod machine;
mod people;
mod refusal;
mod secret_manager;
mod secrets;
mod world;

pub use machine::{AwsMachine, Machine};
pub use people::{Account, Cluster, Grant, Pool, Provider, Role, User};
pub use secrets::{Place, Secret, State};
pub use world::Settings;

pub use crate::keys::Keys;
use crate::{fake::Fake, lock::lock};

/// What there is at first; as JSON the content of the file that the program is started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contents {
    /// Service accounts. Their keys are made later.
    pub accounts: Vec<Account>,
    /// GKE clusters with workload identity.
    pub clusters: Vec<Cluster>,
    /// Who may do what.
    pub grants: Vec<Grant>,
    /// Whose metadata server this is.
    pub machine: Option<Machine>,
    /// Providers of workload identity pools.
    pub pools: Vec<Pool>,
    /// What there is to read.
    pub secrets: Vec<Secret>,
    /// People.
    pub users: Vec<User>,
}

/// A running cloud, with all its services at one address.
pub type GoogleCloud = Fake<api::Cloud>;

impl GoogleCloud {
    /// Puts a secret in, or a new version of it; the number of the version.
    pub fn put(&self, secret: Secret) -> u32 {
        lock(&self.vendor.world).secrets.put(secret)
    }

    /// Takes a secret out; whether it was there.
    pub fn remove(&self, place: &Place) -> bool {
        lock(&self.vendor.world).secrets.remove(place)
    }

    /// Enables, disables or destroys a version; whether it was there.
    pub fn set_state(&self, place: &Place, version: u32, state: State) -> bool {
        lock(&self.vendor.world).secrets.set_state(place, version, state)
    }

    /// Gives a service account a key; the key file as Google gives it out, or `None` where there is no such account.
    pub fn make_key(&self, email: &str) -> Option<Value> {
        lock(&self.vendor.world).people.make_key(email)
    }

    /// Makes a service account, or replaces it; its keys stay.
    pub fn make_account(&self, account: Account) {
        lock(&self.vendor.world).people.make_account(account);
    }

    /// Takes a service account out, with its keys and tokens; whether it was there.
    pub fn remove_account(&self, email: &str) -> bool {
        lock(&self.vendor.world).remove_account(email)
    }

    /// Makes a GKE cluster, or replaces it.
    pub fn make_cluster(&self, cluster: Cluster) {
        lock(&self.vendor.world).people.make_cluster(cluster);
    }

    /// Makes a provider of a workload identity pool, or replaces it.
    pub fn make_pool(&self, pool: Pool) {
        lock(&self.vendor.world).people.make_pool(pool);
    }

    /// Lets a person in.
    pub fn make_user(&self, user: User) {
        lock(&self.vendor.world).people.make_user(user);
    }

    /// Lets somebody do something.
    pub fn grant(&self, grant: Grant) {
        lock(&self.vendor.world).people.grant(grant);
    }

    /// From now on nobody may do anything with this secret, whatever its role.
    pub fn deny(&self, place: &Place) {
        lock(&self.vendor.world).people.deny(place.clone());
    }

    /// From now on requests about secrets of this project are taken and never answered. Unlike faults, this leaves other
    /// projects alone.
    pub fn black_hole(&self, project: &str) {
        lock(&self.vendor.world).black_holes.insert(project.to_owned());
    }

    /// From now on the metadata server answers, about this machine.
    pub fn run_on(&self, machine: Machine) {
        lock(&self.vendor.world).machine = Some(machine);
    }

    /// Ends all tokens.
    pub fn expire_tokens(&self) {
        lock(&self.vendor.world).tokens.expire_all();
    }
}
