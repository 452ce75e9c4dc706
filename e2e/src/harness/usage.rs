//! What a process costs, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The unit of CPU times in `/proc`: 100 per second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// The cost of a process so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time since its start, to 10 ms.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub rss: u64,
    /// Most resident memory since its start or since [`Usage::reset_peak`], in bytes.
    pub peak_rss: u64,
}

impl Usage {
    /// Reads the cost of a running process.
    pub fn of(process: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        Ok(Self {
            cpu: cpu_time(&stat).context("unexpected content of /proc/<id>/stat")?,
            rss: kilobytes(&status, "VmRSS:").context("no VmRSS in /proc/<id>/status")?,
            peak_rss: kilobytes(&status, "VmHWM:").context("no VmHWM in /proc/<id>/status")?,
        })
    }

    /// Lets the peak of a process begin anew.
    pub fn reset_peak(process: u32) -> Result<()> {
        let path = format!("/proc/{process}/clear_refs");
        fs::write(&path, "5").with_context(|| format!("failed to write {path}"))
    }
}

/// Fields 14 and 15 of `stat`, counted behind the program's name, which may contain anything.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u32> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let [user, system] = ticks[..] else { return None };
    Some(TICK * (user + system))
}

/// A value of `status`, in bytes.
fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_awkward_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 123 45 0 0 20 0 1 0 100 0 0";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1680)));
    }

    #[test]
    fn this_process_has_a_cost() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 0 && usage.peak_rss >= usage.rss);
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        Usage::of(0).unwrap_err();
    }
}
