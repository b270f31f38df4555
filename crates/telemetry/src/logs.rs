//! Structured logs on stderr.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: time, level, target, message, fields.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error(
        "log level {value:?} is not a level or a list of target=level (as in \"info,gantry_kubelet=debug\")"
    )]
    Filter {
        /// What was given.
        value: String,
        /// What the parser says about it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another subscriber is installed already.
    #[error("logging was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging with the filter in `RUST_LOG` (else `info`) as text, and the process' metrics.
pub fn init(component: &'static str) -> Result<(), Error> {
    let filter = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    init_with(component, if filter.is_empty() { "info" } else { &filter }, Format::Text)
}

/// Starts logging with `filter` in `format`, and the process' metrics.
pub fn init_with(component: &'static str, filter: &str, format: Format) -> Result<(), Error> {
    let filter =
        EnvFilter::try_new(filter).map_err(|source| Error::Filter { value: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(Error::Twice)?;
    if let Err(error) = crate::process::register() {
        tracing::warn!(%error, "the process' own metrics are missing from /metrics");
    }
    tracing::info!(component, version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "starting");
    Ok(())
}
