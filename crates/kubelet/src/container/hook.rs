//! Lifecycle hooks: what runs after a container's start and before its end.

use std::time::Duration;

use gantry_api::core::v1::LifecycleHandler;

use crate::probe::{Target, http_get};

/// Most of a command's output that is kept to tell why it failed.
const OUTPUT_LIMIT: usize = 10 * 1024;

/// Runs a hook to its end, for at most `limit`.
pub async fn run(target: &Target, hook: &LifecycleHandler, limit: Duration) -> Result<(), String> {
    match tokio::time::timeout(limit, call(target, hook, limit)).await {
        Ok(result) => result,
        Err(_) => Err(format!("not done within {limit:?}")),
    }
}

async fn call(target: &Target, hook: &LifecycleHandler, limit: Duration) -> Result<(), String> {
    if let Some(action) = &hook.exec {
        let output = target.runtime.exec_sync(&target.id, &action.command, limit, OUTPUT_LIMIT).await;
        let output = output.map_err(|error| error.to_string())?;
        if output.exit_code == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("command {:?} exited with {}: {text}", action.command, output.exit_code));
    }
    if let Some(action) = &hook.http_get {
        let port = target.port(action.port.as_ref())?;
        let host = target.host(&action.host)?;
        // Whatever is answered, the hook has been called.
        return http_get(action, &host, port).await.map(drop).map_err(|error| error.to_string());
    }
    if let Some(action) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(action.seconds).unwrap_or_default())).await;
        return Ok(());
    }
    Err("the hook has no action that is supported".to_owned())
}
