//! One question to a container.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::{Container, ProbeHandler};
use gantry_api::scalars::IntOrString;
use gantry_container_runtime::{Error as RuntimeError, Runtime};
use tokio::net::TcpStream;

use super::{grpc, http};

/// Most of a command's output that is kept to tell why it failed.
const OUTPUT_LIMIT: usize = 10 * 1024;

/// Whom to ask.
#[derive(Clone)]
pub struct Target {
    /// Runs commands.
    pub runtime: Arc<dyn Runtime>,
    /// The instance's id.
    pub id: String,
    /// The pod's address.
    pub address: Option<IpAddr>,
    /// The container, whose ports may be named.
    pub container: Arc<Container>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("id", &self.id).field("address", &self.address).finish_non_exhaustive()
    }
}

/// Asks once. An error says what the container answered, or why it did not.
pub async fn check(target: &Target, handler: &ProbeHandler, limit: Duration) -> Result<(), String> {
    match tokio::time::timeout(limit, ask(target, handler, limit)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

async fn ask(target: &Target, handler: &ProbeHandler, limit: Duration) -> Result<(), String> {
    if let Some(action) = &handler.exec {
        return run(target, &action.command, limit).await;
    }
    if let Some(action) = &handler.http_get {
        let port = target.port(action.port.as_ref())?;
        let host = target.host(&action.host)?;
        let answer = http::get(action, &host, port).await.map_err(|error| error.to_string())?;
        let status = answer.status.as_u16();
        return if (200..400).contains(&status) {
            Ok(())
        } else {
            Err(format!("HTTP probe failed with statuscode: {status}"))
        };
    }
    if let Some(action) = &handler.tcp_socket {
        let port = target.port(action.port.as_ref())?;
        let host = target.host(&action.host)?;
        let connected = TcpStream::connect((host.as_str(), port)).await;
        return connected.map(drop).map_err(|error| format!("dial tcp {host}:{port}: {error}"));
    }
    if let Some(action) = &handler.grpc {
        let port = u16::try_from(action.port).map_err(|_| format!("{} is not a port", action.port))?;
        let host = target.host("")?;
        return grpc::check(&host, port, action.service.as_deref().unwrap_or_default()).await;
    }
    Err("the probe has no action that is supported".into())
}

async fn run(target: &Target, command: &[String], limit: Duration) -> Result<(), String> {
    match target.runtime.exec_sync(&target.id, command, limit, OUTPUT_LIMIT).await {
        Ok(output) if output.exit_code == 0 => Ok(()),
        Ok(output) => {
            let text = [output.stdout.as_ref(), output.stderr.as_ref()].concat();
            Err(format!(
                "command exited with {}: {}",
                output.exit_code,
                String::from_utf8_lossy(&text).trim()
            ))
        }
        Err(RuntimeError::Deadline { .. }) => Err(format!("command timed out after {limit:?}")),
        Err(error) => Err(error.to_string()),
    }
}

impl Target {
    /// A port by number, or by the name that the container gives it.
    pub fn port(&self, port: Option<&IntOrString>) -> Result<u16, String> {
        let port = port.ok_or("the probe has no port")?;
        let number = match port.as_str() {
            None => port.int_val,
            Some(name) => match self.container.ports.iter().find(|p| p.name == name) {
                Some(port) => port.container_port,
                None => name.parse().map_err(|_| format!("the container has no port named {name:?}"))?,
            },
        };
        u16::try_from(number).ok().filter(|p| *p > 0).ok_or_else(|| format!("{number} is not a port"))
    }

    /// The given host, else the pod's address.
    pub fn host(&self, host: &str) -> Result<String, String> {
        if !host.is_empty() {
            return Ok(host.to_owned());
        }
        self.address.map(|ip| ip.to_string()).ok_or_else(|| "the pod has no address yet".to_owned())
    }
}
