//! Dependencies point one way: backends know nothing of Kubernetes, the API types do no I/O, and the end-to-end tests see
//! the operator from outside.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// What brings Kubernetes with it.
const KUBERNETES: [&str; 3] = ["k8s-openapi", "kube", "kube-client"];
/// What does I/O.
const IO: [&str; 4] = ["hyper", "kube-client", "reqwest", "tokio"];

#[test]
fn dependencies_point_one_way() {
    for package in packages() {
        let tree = tree(&package);
        let (ours, others): (BTreeSet<_>, BTreeSet<_>) =
            tree.into_iter().filter(|name| *name != package).partition(|name| name.starts_with("keyferry"));
        let rule = rule(&package);
        if let Some(allowed) = rule.allowed {
            let strange: Vec<_> = ours.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
            assert!(strange.is_empty(), "{package} must not depend on {strange:?}");
        }
        let strange: Vec<_> = others.iter().filter(|name| rule.forbidden.contains(&name.as_str())).collect();
        assert!(strange.is_empty(), "{package} must not depend on {strange:?}");
    }
}

struct Rule {
    /// Which packages of this workspace; `None`: any.
    allowed: Option<&'static [&'static str]>,
    /// Which others not.
    forbidden: &'static [&'static str],
}

fn rule(package: &str) -> Rule {
    match package {
        "keyferry" => Rule { allowed: None, forbidden: &[] },
        "keyferry-crds" => Rule { allowed: Some(&[]), forbidden: &IO },
        "keyferry-e2e" => Rule { allowed: Some(&["keyferry-crds", "keyferry-fakes"]), forbidden: &[] },
        "keyferry-core" | "keyferry-fakes" => Rule { allowed: Some(&[]), forbidden: &KUBERNETES },
        "keyferry-clouds" | "keyferry-layers" | "keyferry-rest" | "keyferry-testkit" => {
            Rule { allowed: Some(&["keyferry-core", "keyferry-rest"]), forbidden: &KUBERNETES }
        }
        // A backend.
        _ => Rule { allowed: Some(&["keyferry-clouds", "keyferry-core", "keyferry-rest"]), forbidden: &KUBERNETES },
    }
}

/// All packages of the workspace.
fn packages() -> Vec<String> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version=1", "--locked", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("metadata are JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages.iter().map(|package| package["name"].as_str().expect("it has a name").to_owned()).collect()
}

/// What is built into a package, with its own features alone: those of the others in the workspace add nothing.
fn tree(package: &str) -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--package",
        package,
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
        "--locked",
        "--offline",
    ]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo can be started");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo speaks UTF-8")
}
