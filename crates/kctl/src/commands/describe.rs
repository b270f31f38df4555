//! `kctl describe`

use std::process::ExitCode;

use clap::Args as ClapArgs;
use gantry_api::core::v1::Event;
use gantry_api::strategy::human_duration;
use gantry_api::{Object, Resource};
use gantry_client::ListOptions;
use serde_json::{Map, Value};

use crate::output;
use crate::session::{Session, Target};

/// Shows everything about objects, and what happened to them.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// TYPE, TYPE NAME..., TYPE/NAME...
    #[arg(required = true, value_name = "TYPE")]
    what: Vec<String>,

    /// Label selector, such as `app=web`
    #[arg(short = 'l', long, default_value = "", hide_default_value = true)]
    selector: String,

    /// Objects of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let mut first = true;
        for selection in session.selections(&args.what).await? {
            let api = session.api(selection.kind, args.all_namespaces);
            let mut objects = Vec::new();
            if selection.names.is_empty() {
                let options = ListOptions { label_selector: args.selector.clone(), ..ListOptions::default() };
                objects = api.list(&options).await?.items;
            }
            for name in &selection.names {
                objects.push(api.get(name).await?);
            }
            for object in objects {
                if !first {
                    output::print("\n\n");
                }
                first = false;
                let events = events(&session, object.as_ref()).await?;
                output::print(&describe(object.as_ref(), &events, jiff::Timestamp::now())?);
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What happened to an object, the oldest first.
pub(super) async fn events(
    session: &Session,
    object: &dyn Object,
) -> Result<Vec<Event>, gantry_client::Error> {
    let meta = object.meta();
    let field_selector = format!("involvedObject.uid={}", meta.uid);
    let options = ListOptions { field_selector, ..ListOptions::default() };
    let namespace = if meta.namespace.is_empty() { "default" } else { &meta.namespace };
    let mut events = session.client.api::<Event>(namespace).list(&options).await?.items;
    events.sort_by_key(|event| event.last_timestamp.or(Resource::meta(event).creation_timestamp));
    Ok(events)
}

fn describe(object: &dyn Object, events: &[Event], now: jiff::Timestamp) -> anyhow::Result<String> {
    let meta = object.meta();
    let mut out = String::new();
    let mut line = |name: &str, value: &str| out.push_str(&format!("{:<15}{value}\n", format!("{name}:")));
    line("Name", &meta.name);
    if !meta.namespace.is_empty() {
        line("Namespace", &meta.namespace);
    }
    line("Kind", &format!("{} ({})", object.kind().kind, object.kind().api_version()));
    line("Labels", &pairs(&meta.labels));
    let annotations = meta.annotations.iter().filter(|(key, _)| *key != crate::manifest::LAST_APPLIED);
    line("Annotations", &pairs(&annotations.map(|(k, v)| (k.clone(), v.clone())).collect()));
    if let Some(created) = meta.creation_timestamp {
        line("Created", &created.to_string());
    }
    if let Some(deleted) = meta.deletion_timestamp {
        line("Terminating", &format!("since {deleted}"));
    }
    for owner in meta.owner_references.iter().filter(|owner| owner.controller == Some(true)) {
        line("Controlled By", &format!("{}/{}", owner.kind, owner.name));
    }
    let mut value = output::value(object)?;
    if object.kind().kind == "Secret" {
        hide(&mut value);
    }
    if let Value::Object(fields) = value {
        let rest: Map<String, Value> = fields
            .into_iter()
            .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "kind" | "apiVersion"))
            .collect();
        tree(&Value::Object(rest), 0, &mut out);
    }
    out.push_str(&event_table(events, now));
    Ok(out)
}

fn pairs(map: &std::collections::BTreeMap<String, String>) -> String {
    if map.is_empty() {
        return "<none>".to_owned();
    }
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(&format!("\n{:15}", ""))
}

/// Shows the size of each secret in its place.
fn hide(secret: &mut Value) {
    for map in ["data", "stringData"] {
        let Some(Value::Object(data)) = secret.get_mut(map) else { continue };
        for value in data.values_mut() {
            let text = value.as_str().unwrap_or_default();
            let bytes =
                text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2);
            *value = format!("{bytes} bytes").into();
        }
    }
}

fn tree(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let title = title(name);
                match value {
                    Value::Object(_) | Value::Array(_) if is_empty(value) => {
                        out.push_str(&format!("{indent}{title}:  <none>\n"));
                    }
                    Value::Object(_) | Value::Array(_) => {
                        out.push_str(&format!("{indent}{title}:\n"));
                        tree(value, depth + 1, out);
                    }
                    scalar => out.push_str(&format!("{indent}{title}:  {}\n", text(scalar, &indent))),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if item.is_object() || item.is_array() {
                    let mut below = String::new();
                    tree(item, depth + 1, &mut below);
                    // The first line of an item carries its mark.
                    out.push_str(&format!("{indent}- {}", below.trim_start()));
                } else {
                    out.push_str(&format!("{indent}- {}\n", text(item, &indent)));
                }
            }
        }
        scalar => out.push_str(&format!("{indent}{}\n", text(scalar, &indent))),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn text(scalar: &Value, indent: &str) -> String {
    match scalar {
        Value::String(text) => text.trim_end().replace('\n', &format!("\n{indent}  ")),
        other => other.to_string(),
    }
}

/// `podCIDR` → `Pod CIDR`, `restartCount` → `Restart Count`.
fn title(name: &str) -> String {
    // Keys of maps, such as labels, are no field names.
    if name.contains(['.', '/', '-', '_']) {
        return name.to_owned();
    }
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let starts = c.is_ascii_uppercase() && i > 0 && !chars[i - 1].is_ascii_uppercase();
        if starts {
            out.push(' ');
        }
        out.push(if i == 0 { c.to_ascii_uppercase() } else { *c });
    }
    out
}

/// The events of an object as a table.
pub(super) fn event_table(events: &[Event], now: jiff::Timestamp) -> String {
    if events.is_empty() {
        return "Events:  <none>\n".to_owned();
    }
    let mut rows = vec![["Type", "Reason", "Age", "From", "Message"].map(str::to_owned)];
    for event in events {
        let last = event
            .last_timestamp
            .or(Resource::meta(event).creation_timestamp)
            .and_then(|time| time.timestamp());
        let age =
            last.map_or("<unknown>".to_owned(), |last| human_duration(now.as_second() - last.as_second()));
        let age = if event.count > 1 { format!("{age} (x{})", event.count) } else { age };
        let from = event.source.as_ref().map(|source| source.component.clone()).unwrap_or_default();
        rows.push([event.r#type.clone(), event.reason.clone(), age, from, event.message.replace('\n', " ")]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut out = "Events:\n".to_owned();
    for [r#type, reason, age, from, message] in &rows {
        out.push_str(&format!(
            "  {:<a$}  {:<b$}  {:<c$}  {:<d$}  {message}\n",
            r#type,
            reason,
            age,
            from,
            a = widths[0],
            b = widths[1],
            c = widths[2],
            d = widths[3]
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn fields_become_readable() {
        assert_eq!(super::title("restartCount"), "Restart Count");
        assert_eq!(super::title("podIP"), "Pod IP");
        assert_eq!(super::title("kubernetes.io/hostname"), "kubernetes.io/hostname");
        let mut out = String::new();
        super::tree(
            &json!({"spec": {"containers": [{"image": "x", "name": "a"}], "volumes": []}}),
            0,
            &mut out,
        );
        assert_eq!(out, "Spec:\n  Containers:\n    - Image:  x\n      Name:  a\n  Volumes:  <none>\n");
    }

    #[test]
    fn secrets_stay_secret() {
        let mut secret = json!({"data": {"password": "aHVudGVyMg=="}});
        super::hide(&mut secret);
        assert_eq!(secret, json!({"data": {"password": "7 bytes"}}));
    }
}
