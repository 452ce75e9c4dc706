//! Where the repository keeps the programs that tests start.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir).to_path_buf()
}

/// Where scripts put the programs that tests start.
pub(super) fn tools() -> PathBuf {
    repository().join(".cache/bin")
}

/// A program among those that `make tools` installs: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kubectl`,
/// `bao`, `moto_server` or `vault-auth-methods`.
pub fn tool(name: &str) -> Result<PathBuf> {
    let path = tools().join(name);
    let script = match name {
        "bao" | "moto_server" | "vault-auth-methods" => "e2e/backends/install.sh".to_owned(),
        "kubectl" => "e2e/cluster/build.sh kubectl".to_owned(),
        _ => "e2e/cluster/build.sh".to_owned(),
    };
    ensure!(path.exists(), "{} does not exist: run {script}", path.display());
    Ok(path)
}

/// A program of this workspace, beside the running one in the target directory. The environment variable `KEYFERRY_BIN`
/// names another `keyferry`, for example a release build.
pub fn built_binary(name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os("KEYFERRY_BIN").filter(|_| name == "keyferry") {
        return Ok(path.into());
    }
    let running = env::current_exe().context("failed to find the running program")?;
    let profile_dir = running
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps") && !dir.ends_with("examples"))
        .context("the running program has no directory")?;
    let path = profile_dir.join(name);
    ensure!(path.exists(), "{} does not exist: run cargo build --bin {name}", path.display());
    Ok(path)
}
