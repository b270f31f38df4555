//! Network configurations: a list of plugins, each with its own settings, which pass through untouched.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{Error, file};

/// What a configuration describes: plugins that are called one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NetworkList {
    pub(super) name: String,
    version: String,
    pub(super) plugins: Vec<Plugin>,
}

/// One plugin and its settings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plugin {
    pub(super) kind: String,
    settings: Map<String, Value>,
}

impl Plugin {
    /// What the plugin reads: its settings, the network's name and version, and the result so far.
    pub(super) fn input(&self, list: &NetworkList, previous: Option<&Value>) -> Value {
        let mut input = self.settings.clone();
        // Capabilities say what the runtime may pass on request; this one passes nothing.
        input.remove("capabilities");
        input.insert("name".to_owned(), list.name.clone().into());
        input.insert("cniVersion".to_owned(), list.version.clone().into());
        if let Some(previous) = previous {
            input.insert("prevResult".to_owned(), previous.clone());
        }
        Value::Object(input)
    }
}

/// The first configuration of the directory, in the order of file names.
pub(super) fn first(dir: &Path) -> Result<Option<NetworkList>, Error> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(file("list", dir))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(file("list", dir))?.path();
        let known = ["conflist", "conf", "json"];
        if path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| known.contains(&kind)) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    paths.first().map(read).transpose()
}

fn read(path: &PathBuf) -> Result<NetworkList, Error> {
    let text = fs::read_to_string(path).map_err(file("read", path))?;
    parse(&text).map_err(|reason| Error::Configuration { path: path.clone(), reason })
}

/// Reads a list of plugins, or the older form of a single one.
fn parse(text: &str) -> Result<NetworkList, String> {
    let top: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let plugins = match top.get("plugins") {
        None => vec![Value::Object(top.clone())],
        Some(Value::Array(plugins)) => plugins.clone(),
        Some(_) => return Err("\"plugins\" must be a list".to_owned()),
    };
    if plugins.is_empty() {
        return Err("\"plugins\" must name at least one plugin".to_owned());
    }
    Ok(NetworkList {
        name: text_of(&top, "name")?,
        version: text_of(&top, "cniVersion").unwrap_or_else(|_| "0.2.0".to_owned()),
        plugins: plugins.into_iter().map(plugin).collect::<Result<_, _>>()?,
    })
}

fn plugin(value: Value) -> Result<Plugin, String> {
    let Value::Object(settings) = value else { return Err("a plugin must be an object".to_owned()) };
    let kind = text_of(&settings, "type")?;
    // The name becomes a path below the plugin directories and must not leave them.
    if kind.contains('/') || kind.starts_with('.') {
        return Err(format!("\"type\" must be the name of a program, not {kind:?}"));
    }
    Ok(Plugin { kind, settings })
}

fn text_of(map: &Map<String, Value>, key: &str) -> Result<String, String> {
    match map.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("{key:?} is missing")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_single_plugins_are_read() {
        let list = parse(
            r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [
                {"type": "bridge", "bridge": "cni0", "capabilities": {"portMappings": true}}, {"type": "tuning"}]}"#,
        )
        .unwrap();
        assert_eq!(
            list.plugins.iter().map(|plugin| plugin.kind.as_str()).collect::<Vec<_>>(),
            ["bridge", "tuning"]
        );
        assert_eq!(
            list.plugins[0].input(&list, Some(&json!({"ips": []}))),
            json!({"type": "bridge", "bridge": "cni0", "name": "net", "cniVersion": "1.0.0", "prevResult": {"ips": []}})
        );
        let single = parse(r#"{"cniVersion": "0.4.0", "name": "old", "type": "ptp"}"#).unwrap();
        assert_eq!((single.name.as_str(), single.plugins.len()), ("old", 1));
    }

    #[test]
    fn unusable_configurations_are_refused() {
        for (text, part) in [
            ("{", "EOF"),
            (r#"{"plugins": [{"type": "bridge"}]}"#, "\"name\" is missing"),
            (r#"{"name": "n", "plugins": []}"#, "at least one"),
            (r#"{"name": "n", "plugins": {}}"#, "must be a list"),
            (r#"{"name": "n", "plugins": [{}]}"#, "\"type\" is missing"),
            (r#"{"name": "n", "plugins": [{"type": "../sh"}]}"#, "name of a program"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
