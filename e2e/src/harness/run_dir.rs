//! Directories for the data, keys and logs of running processes.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::layout;

/// The name of the file that is locked as long as the directory is in use.
const LOCK: &str = "in-use";

/// A fresh directory below `.cache/run/`, removed when dropped unless the thread panics.
///
/// Nobody removes it when the process is killed or the directory is owned by a static. Therefore creating one removes
/// those that no living process holds; until then the logs of the last run can be read.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Locked; the kernel lets go of it when the process ends.
    _in_use: File,
}

impl RunDir {
    /// Creates a directory whose name starts with `prefix`.
    pub fn create(prefix: &str) -> Result<Self> {
        let root = layout::repository().join(".cache/run");
        fs::create_dir_all(&root).with_context(|| format!("failed to create {}", root.display()))?;

        // One process at a time, so that nobody removes a directory between its creation and its lock.
        let turn = File::create(root.join(".lock")).context("failed to create the lock of .cache/run")?;
        turn.lock().context("failed to lock .cache/run")?;
        remove_abandoned(&root)?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("{prefix}-"))
            .tempdir_in(&root)
            .with_context(|| format!("failed to create a directory in {}", root.display()))?
            .keep();
        let in_use = File::create(dir.join(LOCK)).context("failed to create a lock file")?;
        in_use.lock().context("failed to lock a run directory")?;
        Ok(Self { path: dir, _in_use: in_use })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file into the directory and returns its path.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // What is left behind is swept by the next run.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn remove_abandoned(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).with_context(|| format!("failed to list {}", root.display()))? {
        let dir = entry.context("failed to list .cache/run")?.path();
        if let Ok(lock) = File::open(dir.join(LOCK))
            && lock.try_lock().is_ok()
        {
            match fs::remove_dir_all(&dir) {
                // Its holder was about to remove it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed.with_context(|| format!("failed to remove {}", dir.display()))?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_survives_the_next_one() {
        let first = RunDir::create("test").unwrap();
        let second = RunDir::create("test").unwrap();
        assert!(first.path().exists());
        assert!(second.path().exists());
    }

    #[test]
    fn a_directory_whose_holder_is_gone_is_removed() {
        let first = RunDir::create("test").unwrap();
        let root = first.path().parent().unwrap();
        let abandoned = tempfile::Builder::new().prefix("test-").tempdir_in(root).unwrap().keep();
        File::create(abandoned.join(LOCK)).unwrap();
        let _next = RunDir::create("test").unwrap();
        assert!(!abandoned.exists());
    }
}
