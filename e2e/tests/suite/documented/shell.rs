//! A place where the commands of a page are run as they stand there.

use std::env;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::{Bao, tool};
use tempfile::TempDir;
use tokio::process::Command;

/// A directory in which `vault` is the client of an OpenBao that may do everything.
pub(super) struct Shell {
    dir: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Shell {
    pub(super) fn at(bao: &Bao) -> Result<Self> {
        let dir = tempfile::tempdir().context("failed to make a directory")?;
        symlink(tool("bao")?, dir.path().join("vault")).context("failed to link the client")?;
        let path = env::var("PATH").unwrap_or_default();
        let mut variables = vec![
            ("BAO_ADDR", bao.url().to_owned()),
            ("BAO_TOKEN", bao.root_token().to_owned()),
            ("PATH", format!("{}:{path}", dir.path().display())),
        ];
        if let Some(pem) = bao.ca_pem() {
            variables.push(("BAO_CACERT", "server-ca.pem".to_owned()));
            write(dir.path(), "server-ca.pem", pem)?;
        }
        Ok(Self { dir, variables })
    }

    /// Writes a file that commands read, and returns the same shell.
    pub(super) fn with_file(self, name: &str, content: &str) -> Result<Self> {
        write(self.dir.path(), name, content)?;
        Ok(self)
    }

    /// The same shell with a variable that commands use.
    pub(super) fn with_variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Runs commands; the first that fails is the last.
    pub(super) async fn run(&self, commands: &str) -> Result<()> {
        let mut shell = Command::new("sh");
        shell.args(["-euc", commands]).current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        let output = shell.envs(self.variables.clone()).output().await.context("failed to run sh")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "these commands failed with {}: {commands}\n{errors}", output.status);
        Ok(())
    }
}

fn write(dir: &Path, name: &str, content: &str) -> Result<()> {
    std::fs::write(dir.join(name), content).with_context(|| format!("failed to write {name}"))
}
