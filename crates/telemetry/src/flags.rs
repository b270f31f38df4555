//! The flags that every component has.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{LogError, LogFormat, health, logs};

/// Flags that every component has; flatten them into the component's own with `#[command(flatten)]`.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonFlags {
    /// What to log: a level (error, warn, info, debug, trace) or a list of `target=level`.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    pub log_level: String,

    /// How log lines look on stderr.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Address for /livez, /readyz, /healthz and /metrics over plain HTTP; "off" for none.
    #[arg(long, value_name = "IP:PORT")]
    pub health_address: Option<String>,

    /// File with the component's configuration (YAML, apiVersion gantry.dev/v1alpha1); flags override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl CommonFlags {
    /// Starts logging as the flags say.
    pub fn init(&self, component: &'static str) -> Result<(), LogError> {
        let level = if self.log_level.is_empty() { "info" } else { &self.log_level };
        logs::init_with(component, level, self.log_format)
    }

    /// The address of the health port: the flag's, else `default`; `None` when it is switched off.
    pub fn health_address(&self, default: &str) -> Result<Option<SocketAddr>, health::Error> {
        match self.health_address.as_deref().unwrap_or(default) {
            "off" => Ok(None),
            text => text.parse().map(Some).map_err(|_| health::Error::Address { value: text.to_owned() }),
        }
    }

    /// Binds the health port and serves it in the background until `stop`.
    ///
    /// Returns the bound address, or `None` when the port is switched off.
    pub async fn serve_health(
        &self,
        default: &str,
        checks: health::Checks,
        stop: CancellationToken,
    ) -> Result<Option<SocketAddr>, health::Error> {
        let Some(address) = self.health_address(default)? else { return Ok(None) };
        let server = health::Server::bind(address, checks).await?;
        let bound = server.address();
        tokio::spawn(server.run(stop));
        Ok(Some(bound))
    }
}
