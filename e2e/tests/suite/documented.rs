//! Every manifest of `docs/backends/` works as it stands there, and errors that are provoked read as their page says.
//!
//! A page is tried by one function, section by section (`Stage`): it prepares a backend as the section says, applies the
//! section's manifests with nothing changed but the backend's address, and reads a secret. A section with a manifest
//! that nobody tries fails the test, and so does a page that has no such function.
//! Whoever adds a page writes a function like the others.

mod akeyless;
mod authority;
mod aws;
mod azure;
mod canned;
mod fake;
mod gcp;
mod infisical;
mod kubernetes;
mod mutual_tls;
mod page;
mod readme;
mod reviewer;
mod shell;
mod stage;
mod vault;
mod webhook;

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;

use self::page::{PAGES, Page};
use self::stage::Stage;

/// Pages that are tried here.
const TRIED: [&str; 10] = [
    "README.md",
    "akeyless.md",
    "aws.md",
    "azure.md",
    "fake.md",
    "gcp.md",
    "infisical.md",
    "kubernetes.md",
    "vault.md",
    "webhook.md",
];

#[tokio::test]
async fn what_all_backends_have_in_common() -> Result<()> {
    readme::tries_all().await
}

#[tokio::test]
async fn akeyless() -> Result<()> {
    akeyless::tries_all().await
}

#[tokio::test]
async fn azure() -> Result<()> {
    azure::tries_all().await
}

#[tokio::test]
async fn aws() -> Result<()> {
    aws::tries_all().await
}

#[tokio::test]
async fn fake() -> Result<()> {
    fake::tries_all().await
}

#[tokio::test]
async fn gcp() -> Result<()> {
    gcp::tries_all().await
}

#[tokio::test]
async fn infisical() -> Result<()> {
    infisical::tries_all().await
}

#[tokio::test]
async fn kubernetes() -> Result<()> {
    kubernetes::tries_all().await
}

#[tokio::test]
async fn vault() -> Result<()> {
    vault::tries_all().await
}

#[tokio::test]
async fn webhook() -> Result<()> {
    webhook::tries_all().await
}

#[test]
fn every_page_is_tried_and_listed() -> Result<()> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(keyferry_e2e::harness::repository().join(PAGES))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            files.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    let index = Page::read("README.md")?;
    for file in &files {
        assert!(TRIED.contains(&file.as_str()), "{PAGES}/{file}: no test tries this page");
        assert!(file == "README.md" || index.links_to(file), "{PAGES}/README.md does not list {file}");
    }
    for file in TRIED {
        assert!(files.contains(file), "{PAGES}/{file} does not exist");
    }
    Ok(())
}
