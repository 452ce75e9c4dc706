//! A small Vault: AppRole logins and one KV mount, as strict as the real one about tokens.

use std::collections::{BTreeMap, BTreeSet};

use keyferry_testkit::{Fault, Reply, Request};
use keyferry_vault::KvVersion;
use serde_json::{Value, json};

/// What the server knows and counts.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Secrets whose value no policy lets anybody read.
    pub(crate) denied: BTreeSet<String>,
    pub(crate) fault: Option<Fault>,
    pub(crate) tokens: BTreeSet<String>,
    pub(crate) refuses_logins: bool,
    pub(crate) logins: usize,
    pub(crate) reads: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Secret {
    pub(crate) versions: Vec<Value>,
    pub(crate) tags: BTreeMap<String, String>,
}

pub(crate) const ROLE_ID: &str = "role-7f3a";
pub(crate) const SECRET_ID: &str = "secret-id-92c1";

impl Server {
    pub(crate) fn answer(&mut self, engine: KvVersion, request: &Request) -> Reply {
        let path = request.path.trim_start_matches("/v1/");
        let is_read = path.starts_with("kv/") && request.query != "list=true";
        self.reads += usize::from(is_read);
        if let Some(fault) = self.fault {
            return broken(fault);
        }
        if path == "auth/approle/login" {
            return self.login(request);
        }
        if !self.tokens.contains(request.header("x-vault-token")) {
            return refused(403, &["permission denied"]);
        }
        match (path, engine) {
            ("auth/token/lookup-self", _) => data(&json!({"ttl": 3000})),
            ("auth/token/revoke-self", _) => Reply::text(204, ""),
            (path, KvVersion::V1) => match path.strip_prefix("kv/") {
                Some(name) if is_read => self.value(name, |secret| secret.versions.last().map(data)),
                Some(folder) => self.list(folder),
                None => refused(404, &["no handler for route"]),
            },
            (path, KvVersion::V2) => match (path.strip_prefix("kv/data/"), path.strip_prefix("kv/metadata/")) {
                (Some(name), _) => self.value(name, |secret| secret.version(&request.query)),
                (_, Some(name)) if is_read => self.found(name, |secret| Some(secret.metadata())),
                (_, Some(folder)) => self.list(folder),
                _ => refused(404, &["no handler for route"]),
            },
        }
    }

    fn login(&mut self, request: &Request) -> Reply {
        self.logins += 1;
        if self.refuses_logins || request.json() != json!({"role_id": ROLE_ID, "secret_id": SECRET_ID}) {
            return refused(400, &["invalid role or secret ID"]);
        }
        let token = format!("hvs.token-{}", self.logins);
        self.tokens.insert(token.clone());
        let auth = json!({"client_token": token, "lease_duration": 3600, "renewable": true, "token_type": "service"});
        Reply::json(200, &json!({"auth": auth}))
    }

    fn value(&self, name: &str, read: impl FnOnce(&Secret) -> Option<Reply>) -> Reply {
        if self.denied.contains(name) {
            return refused(403, &["1 error occurred:\n\t* permission denied\n\n"]);
        }
        self.found(name, read)
    }

    fn found(&self, name: &str, read: impl FnOnce(&Secret) -> Option<Reply>) -> Reply {
        self.secrets.get(name).and_then(read).unwrap_or_else(|| refused(404, &[]))
    }

    fn list(&self, folder: &str) -> Reply {
        let below = self.secrets.keys().filter_map(|name| name.strip_prefix(folder));
        let keys: BTreeSet<&str> = below.map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash])).collect();
        if keys.is_empty() { refused(404, &[]) } else { data(&json!({"keys": keys})) }
    }
}

impl Secret {
    fn version(&self, query: &str) -> Option<Reply> {
        let number = match query.strip_prefix("version=") {
            Some(number) => number.parse().ok()?,
            None => self.versions.len(),
        };
        let value = self.versions.get(number.checked_sub(1)?)?;
        let metadata =
            json!({"version": number, "deletion_time": "", "destroyed": false, "custom_metadata": self.tags});
        Some(data(&json!({"data": value, "metadata": metadata})))
    }

    fn metadata(&self) -> Reply {
        data(&json!({"current_version": self.versions.len(), "custom_metadata": self.tags}))
    }
}

fn data(data: &Value) -> Reply {
    Reply::json(200, &json!({"request_id": "q", "data": data, "warnings": null, "auth": null}))
}

fn refused(status: u16, errors: &[&str]) -> Reply {
    Reply::json(status, &json!({"errors": errors}))
}

fn broken(fault: Fault) -> Reply {
    match fault {
        Fault::BlackHole => Reply::hang(),
        Fault::EmptyAnswer => Reply::text(200, ""),
        Fault::HalfAnswer => data(&json!({"data": {"value": "half of it"}, "metadata": {"version": 1}})).truncated(),
        Fault::ServerError => refused(500, &["internal error"]),
        Fault::Throttled { after } => refused(429, &["quota"]).header("Retry-After", &after.as_secs().to_string()),
    }
}
