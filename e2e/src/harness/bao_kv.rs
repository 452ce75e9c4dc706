//! Secrets in OpenBao.

use std::fmt;

use anyhow::Result;
use serde_json::{Value, json};

use super::bao::{Bao, START_DEADLINE};
use super::wait::eventually;

impl Bao {
    /// Makes a KV mount.
    pub async fn mount_kv(&self, path: &str, version: KvVersion) -> Result<Kv<'_>> {
        let body = json!({ "type": "kv", "options": { "version": version.to_string() } });
        self.write(&format!("sys/mounts/{path}"), &body).await?;
        let kv = self.kv(path, version);
        let (what, probe) = (format!("the mount {path} is usable"), kv.path("probe"));
        // A version 2 mount refuses everything until it has set itself up.
        eventually(&what, START_DEADLINE, async || Ok(self.read(&probe).await.ok())).await?;
        Ok(kv)
    }

    /// An existing KV mount.
    pub fn kv(&self, path: &str, version: KvVersion) -> Kv<'_> {
        Kv { bao: self, mount: path.to_owned(), version }
    }
}

/// The two versions of the KV engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KvVersion {
    /// Values only.
    V1,
    /// Versions and metadata.
    V2,
}

impl fmt::Display for KvVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "1",
            Self::V2 => "2",
        })
    }
}

/// A KV mount.
#[derive(Debug)]
pub struct Kv<'a> {
    bao: &'a Bao,
    mount: String,
    version: KvVersion,
}

impl Kv<'_> {
    /// Writes all fields of a secret.
    pub async fn put(&self, name: &str, fields: &Value) -> Result<()> {
        let body = match self.version {
            KvVersion::V1 => fields.clone(),
            KvVersion::V2 => json!({ "data": fields }),
        };
        self.bao.write(&self.path(name), &body).await?;
        Ok(())
    }

    /// Reads the fields of a secret; `None` if it does not exist.
    pub async fn get(&self, name: &str) -> Result<Option<Value>> {
        let answer = self.bao.read(&self.path(name)).await?;
        Ok(answer.map(|mut answer| match self.version {
            KvVersion::V1 => answer["data"].take(),
            KvVersion::V2 => answer["data"]["data"].take(),
        }))
    }

    /// Deletes a secret; of version 2 the latest version, whose metadata stays.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.bao.delete(&self.path(name)).await
    }

    /// The path of a secret, as in [`Call::path`](super::Call::path).
    pub fn path(&self, name: &str) -> String {
        match self.version {
            KvVersion::V1 => format!("{}/{name}", self.mount),
            KvVersion::V2 => format!("{}/data/{name}", self.mount),
        }
    }
}
