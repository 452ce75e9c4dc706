//! Processes that never outlive this one.
//!
//! The kernel can kill a process when its parent dies (`PR_SET_PDEATHSIG`), but only the process itself can ask for it,
//! before it becomes the program that we want. `keyferry-e2e leash` does so: it is started in the program's place, asks,
//! and replaces itself by the program. "Parent" means the thread that started the process, hence one thread starts all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::layout;

/// How many lines of a log are shown when something fails.
const TAIL_LINES: usize = 200;

/// Every server speaks to 127.0.0.1 only; a proxy of the machine must not come between, only one that a test wants.
const PROXY_VARIABLES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// A running program whose output goes to a file. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` on the leash; both output streams are appended to the file `log`.
    pub fn start<A, E>(program: &Path, arguments: A, environment: E, log: PathBuf) -> Result<Self>
    where
        A: IntoIterator<Item: AsRef<OsStr>>,
        E: IntoIterator<Item = (String, String)>,
    {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("failed to open {}", log.display()))?;
        let mut command = Command::new(layout::built_binary("keyferry-e2e")?);
        command
            .args(["leash", "--parent", &std::process::id().to_string(), "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(duplicate(&output)?)
            .stderr(output)
            // Ctrl-C goes to this process alone, which stops the others in order.
            .process_group(0);
        for variable in PROXY_VARIABLES {
            command.env_remove(variable);
        }
        command.envs(environment);
        let child = spawn(command).with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that receives the output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the output under a headline.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("--- the end of {}\n{}\n", self.log.display(), tail.join("\n"))
    }

    /// Fails if the process has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        let status = self.child.try_wait().context("failed to ask for a process")?;
        if let Some(status) = status {
            bail!("{} ended: {}", self.name, describe(status));
        }
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// If the process still runs after `grace`; it is killed then.
    pub async fn terminate(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("failed to ask for a process")? {
                return Ok(status);
            }
            if asked.elapsed() > grace {
                self.kill()?;
                bail!("{} did not end within {grace:?} of SIGTERM\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("failed to kill {}", self.name))?;
        self.child.wait().with_context(|| format!("failed to wait for {}", self.name))?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(id, signal).with_context(|| format!("failed to send {signal} to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and that is as good.
        let _ = self.kill();
    }
}

/// Becomes `program`, which the kernel kills when the process `parent` dies. Returns only on failure.
///
/// # Errors
/// If `parent` is gone already or the program cannot be executed.
pub fn leash(parent: u32, program: &OsStr, arguments: &[OsString]) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("failed to ask for a signal at the parent's death")?;
    // It may have died before we asked.
    ensure!(parent_id() == parent, "the parent process {parent} is gone");
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("failed to execute {}", program.to_string_lossy()))
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a command from the one thread that lives as long as this process.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Whoever asked waits for the answer.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });

    let (reply, answer) = mpsc::channel();
    let orders = SPAWNER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    orders.send((command, reply)).ok().context("the thread that starts processes is gone")?;
    answer.recv().context("the thread that starts processes is gone")?.context("failed to spawn")
}

fn duplicate(file: &File) -> Result<File> {
    file.try_clone().context("failed to duplicate a file handle")
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}
