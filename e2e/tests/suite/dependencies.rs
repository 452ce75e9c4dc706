//! Which crate may depend on which: backends know nothing of Kubernetes, the API types do no I/O, and these tests see
//! the operator from outside only.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::repository;

/// Crates below `providers/` that are no backend.
const SHARED: [&str; 5] = ["clouds", "core", "layers", "rest", "testkit"];

/// Crates that do I/O.
const IO: [&str; 7] = ["axum", "h2", "hyper", "mio", "reqwest", "socket2", "tokio"];

#[test]
fn no_provider_knows_of_kubernetes() -> Result<()> {
    for name in providers()? {
        let dependencies = dependencies(&name)?;
        let kubernetes = dependencies.iter().filter(|name| name.starts_with("kube") || name.starts_with("k8s-"));
        let operator = dependencies.iter().filter(|name| ["keyferry", "keyferry-crds"].contains(&name.as_str()));
        let forbidden: Vec<_> = kubernetes.chain(operator).collect();
        ensure!(forbidden.is_empty(), "{name} depends on {forbidden:?}");
    }
    Ok(())
}

#[test]
fn a_backend_depends_on_the_contract_and_no_other_backend() -> Result<()> {
    let backends = backends()?;
    ensure!(backends.contains(&"keyferry-vault".to_owned()), "where are the backends? {backends:?}");
    for name in backends {
        only(&name, &["keyferry-clouds", "keyferry-core", "keyferry-rest"])?;
    }
    Ok(())
}

#[test]
fn the_contract_depends_on_nothing_of_ours() -> Result<()> {
    only("keyferry-clouds", &["keyferry-core", "keyferry-rest"])?;
    only("keyferry-core", &[])?;
    only("keyferry-layers", &["keyferry-core"])?;
    only("keyferry-rest", &["keyferry-core"])
}

#[test]
fn the_api_types_do_no_io() -> Result<()> {
    let dependencies = dependencies("keyferry-crds")?;
    let io: Vec<_> = dependencies.iter().filter(|name| IO.contains(&name.as_str())).collect();
    ensure!(io.is_empty(), "keyferry-crds depends on {io:?}");
    only("keyferry-crds", &[])
}

#[test]
fn the_tests_see_the_operator_from_outside() -> Result<()> {
    only("keyferry-e2e", &["keyferry-crds", "keyferry-fakes"])?;
    only("keyferry-fakes", &[])
}

/// The rules must be able to fail.
#[test]
fn the_operator_is_made_of_what_the_others_must_not_use() -> Result<()> {
    let dependencies = dependencies("keyferry")?;
    for expected in ["keyferry-core", "keyferry-crds", "keyferry-vault", "kube-client", "tokio"] {
        ensure!(dependencies.contains(expected), "{expected} is not among {dependencies:?}");
    }
    Ok(())
}

/// Fails if a crate depends on any other crate of ours than these.
fn only(name: &str, allowed: &[&str]) -> Result<()> {
    let dependencies = dependencies(name)?;
    let is_ours = |name: &&String| *name == "keyferry" || name.starts_with("keyferry-");
    let others: Vec<_> = dependencies.iter().filter(is_ours).filter(|name| !allowed.contains(&name.as_str())).collect();
    ensure!(others.is_empty(), "{name} depends on {others:?}");
    Ok(())
}

/// The crates below `providers/` that speak to a backend.
fn backends() -> Result<Vec<String>> {
    let shared = SHARED.map(|name| format!("keyferry-{name}"));
    Ok(providers()?.into_iter().filter(|name| !shared.contains(name)).collect())
}

/// All crates below `providers/`, which are named after their folders.
fn providers() -> Result<Vec<String>> {
    let folders = fs::read_dir(repository().join("providers")).context("failed to list providers/")?;
    let names = folders.map(|folder| Ok(format!("keyferry-{}", folder?.file_name().to_string_lossy())));
    names.collect::<Result<_>>()
}

/// The names of everything that a crate is built from, at any depth, with the features that it asks for itself.
fn dependencies(name: &str) -> Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none", "--format={p}", "--package", name])
        .current_dir(repository())
        .output()
        .context("failed to run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).context("cargo tree wrote something else than text")?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|found| *found != name).map(str::to_owned).collect())
}
