//! Ports for servers that have to be told theirs.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// What this process has handed out, as a port is free until its server listens.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// The lowest port to choose.
const FIRST: u16 = 10_000;

/// An even port of 127.0.0.1 on which nobody listens and which this process has not handed out before. The odd one above
/// it is never handed out: OpenBao listens on it unasked.
///
/// It lies below the range from which the kernel takes ports for outgoing connections: a client that retries a server
/// which is down could otherwise occupy the server's own port.
pub fn free_port() -> Result<u16> {
    let pairs = first_outgoing_port().saturating_sub(FIRST) / 2;
    // Processes that run side by side start at different places.
    let start = process::id().wrapping_mul(97);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for step in 0..u32::from(pairs) {
        let pair = u16::try_from(start.wrapping_add(step) % u32::from(pairs))?;
        let port = FIRST + 2 * pair;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    bail!("no port of 127.0.0.1 is free")
}

/// The kernel's setting, or Linux's default.
fn first_outgoing_port() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|first| *first > FIRST + 1_000)
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once() {
        assert_ne!(free_port().unwrap(), free_port().unwrap());
    }

    #[test]
    fn a_port_is_free_to_listen_on() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).unwrap();
    }
}
