//! Servers that stand in for a cloud's.

use anyhow::Result;
use keyferry_e2e::harness::{Fault, Relay};

/// A server that gives everybody the same answer.
pub(super) async fn always(status: u16, body: &'static str) -> Result<Relay> {
    // It leads nowhere, because it never asks.
    let server = Relay::to("http://127.0.0.1:1").await?;
    server.fail(Fault::Answer { status, headers: &[], body });
    Ok(server)
}
