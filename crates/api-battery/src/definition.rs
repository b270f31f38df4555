//! A custom resource, so that everything is asked of one, too.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::case::User;
use crate::client::Client;
use crate::run::request;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// How long a definition may take to be served, or to go.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// A definition that is served.
#[derive(Debug)]
pub struct Definition {
    /// The group of what it defines.
    pub group: String,
    path: String,
}

/// Makes a definition of a file, and waits until it is in discovery and among the OpenAPI documents.
pub async fn serve(client: &Client, file: &Path) -> anyhow::Result<Definition> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let body: Value = serde_yaml::from_str(&text).with_context(|| format!("{}", file.display()))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, group) = (text(&body["metadata"]["name"]), text(&body["spec"]["group"]));
    let definition = Definition { path: format!("{DEFINITIONS}/{name}"), group };
    // One may be left from a battery that was cut off.
    definition.remove(client).await?;
    let made = client.send(User::Admin, &request("POST", DEFINITIONS, Some(&body))).await?;
    ensure!(made.status == 201, "{name} is not created: {}", made.text());
    for version in body["spec"]["versions"].as_array().into_iter().flatten() {
        let version = text(&version["name"]);
        for root in ["/apis", "/openapi/v3/apis"] {
            wait(client, &format!("{root}/{}/{version}", definition.group), 200).await?;
        }
    }
    Ok(definition)
}

impl Definition {
    /// Removes it, with everything that it defines.
    pub async fn remove(&self, client: &Client) -> anyhow::Result<()> {
        let deleted = client.send(User::Admin, &request("DELETE", &self.path, None)).await?;
        ensure!(matches!(deleted.status, 200 | 404), "{} stays: {}", self.path, deleted.text());
        wait(client, &self.path, 404).await
    }
}

async fn wait(client: &Client, path: &str, status: u16) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.send(User::Admin, &request("GET", path, None)).await?;
        if answer.status == status {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{path} answers {} and not {status}: {}",
            answer.status,
            answer.text()
        );
        tokio::time::sleep(PAUSE).await;
    }
}
