//! Where log lines go and what they look like.

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The least urgent lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Debug,
    #[value(alias = "dpanic", alias = "panic", alias = "fatal")]
    Error,
    Info,
    Warn,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line, for log collectors.
    Json,
    /// For people.
    Text,
}

/// Starts logging to standard error. `RUST_LOG` says more than `level` can, for those who look for a fault.
pub(crate) fn start(level: Level, format: Option<Format>) {
    let level = match level {
        Level::Debug => "info,keyferry=debug,keyferry_layers=debug,keyferry_rest=debug",
        Level::Error => "error",
        Level::Info => "info",
        Level::Warn => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::registry().with(filter);
    match format.unwrap_or(if stderr().is_terminal() { Format::Text } else { Format::Json }) {
        Format::Json => lines.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).init(),
        Format::Text => {
            lines.with(fmt::layer().with_ansi(stderr().is_terminal()).with_writer(stderr)).init();
        }
    }
}
