//! Runs cases.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::case::{Case, Step, User};
use crate::client::{Answer, Client, Request};
use crate::expect::{self, Expect};

/// Cases that run side by side.
const PARALLEL: usize = 8;

/// Runs all cases; returns what was not as expected, a text for each failed case.
pub async fn all(client: &Client, cases: Vec<Case>) -> Vec<String> {
    let run = |case: Case| async move {
        let outcome = one(client, &case).await;
        outcome.err().map(|error| format!("{}\n    {error:#}", case.title))
    };
    let (alone, beside): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.alone);
    let mut outcomes: Vec<_> = stream::iter(alone).then(run).collect().await;
    outcomes.extend(stream::iter(beside).map(run).buffered(PARALLEL).collect::<Vec<_>>().await);
    outcomes.into_iter().flatten().collect()
}

/// Runs a case in a namespace of its own.
pub async fn one(client: &Client, case: &Case) -> anyhow::Result<()> {
    let namespace = format!("battery-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let made = client.send(User::Admin, &request("POST", "/api/v1/namespaces", Some(&body))).await?;
    ensure!(made.status == 201, "the namespace is not created: {}", made.text());
    let mut known = BTreeMap::from([("ns".to_owned(), namespace.clone())]);
    let mut outcome = Ok(());
    for (index, step) in case.steps.iter().enumerate() {
        outcome = run_step(client, step, &mut known).await;
        if let Err(error) = outcome {
            outcome = Err(error.context(format!("step {}: {}", index + 1, step.send)));
            break;
        }
    }
    // On another's server nothing is left behind; what cannot be deleted is told only if nothing else went wrong.
    let path = format!("/api/v1/namespaces/{namespace}");
    let deleted = client.send(User::Admin, &request("DELETE", &path, None)).await;
    outcome?;
    let deleted = deleted?;
    ensure!(matches!(deleted.status, 200 | 202 | 404), "the namespace stays: {}", deleted.text());
    Ok(())
}

/// A request with JSON.
#[must_use]
pub fn request(method: &str, path: &str, body: Option<&Value>) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: body.map(|body| ("application/json".to_owned(), body.to_string().into_bytes())),
    }
}

async fn run_step(client: &Client, step: &Step, known: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let send = fill(&step.send, known)?;
    let (method, path) = send.split_once(' ').context("`send` is a method and a path")?;
    let body = match (&step.body, &step.text) {
        (Some(body), None) => Some(fill_value(body, known)?.to_string()),
        (None, Some(text)) => Some(fill(text, known)?),
        (None, None) => None,
        (Some(_), Some(_)) => bail!("both `body` and `text`"),
    };
    let media_type = step.media_type.clone().unwrap_or_else(|| "application/json".to_owned());
    let headers = step.headers.iter().map(|(name, value)| Ok((name.clone(), fill(value, known)?)));
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.collect::<anyhow::Result<_>>()?,
        body: body.map(|body| (media_type, body.into_bytes())),
    };
    let answer = client.send(step.user, &request).await?;
    let expected = fill_expect(&step.expect, known)?;
    let problems = expect::problems(&expected, &answer);
    ensure!(problems.is_empty(), "{}\n    the answer: {}", problems.join("\n    "), shortened(&answer));
    for (name, path) in &step.keep {
        known.insert(name.clone(), find(&answer, path)?);
    }
    Ok(())
}

fn shortened(answer: &Answer) -> String {
    answer.text().chars().take(2000).collect()
}

/// A value of the answer as text: a header as `header:NAME`, or what a path leads to in the body.
fn find(answer: &Answer, path: &str) -> anyhow::Result<String> {
    if let Some(name) = path.strip_prefix("header:") {
        return answer.headers(name).into_iter().next().with_context(|| format!("no header {name}"));
    }
    let body: Value = serde_json::from_slice(&answer.body)?;
    let pointer = format!("/{}", path.replace('.', "/"));
    match body.pointer(&pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
        None => bail!("nothing to keep at {path}"),
    }
}

fn fill_expect(expect: &Expect, known: &BTreeMap<String, String>) -> anyhow::Result<Expect> {
    let mut filled = expect.clone();
    for pattern in filled.body.iter_mut().chain(&mut filled.contains).chain(filled.lines.iter_mut().flatten())
    {
        *pattern = fill_value(pattern, known)?;
    }
    for text in filled.headers.values_mut().chain(&mut filled.text) {
        *text = fill(text, known)?;
    }
    Ok(filled)
}

fn fill_value(value: &Value, known: &BTreeMap<String, String>) -> anyhow::Result<Value> {
    Ok(match value {
        Value::String(text) => fill(text, known)?.into(),
        Value::Array(values) => {
            values.iter().map(|value| fill_value(value, known)).collect::<anyhow::Result<Vec<_>>>()?.into()
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.clone(), fill_value(value, known)?)));
            Value::Object(fields.collect::<anyhow::Result<_>>()?)
        }
        other => other.clone(),
    })
}

/// Puts what is known in place of `${name}`.
fn fill(text: &str, known: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').with_context(|| format!("no end of a name in {text:?}"))?;
        filled.push_str(known.get(name).with_context(|| format!("nothing is known as {name:?}"))?);
        filled.push_str(rest);
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in() {
        let known = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(fill("x${a}y${a}", &known).unwrap(), "x1y1");
        assert!(fill("${b}", &known).is_err());
        assert!(fill("${a", &known).is_err());
        assert_eq!(fill_value(&json!({"k": ["${a}", 2]}), &known).unwrap(), json!({"k": ["1", 2]}));
    }
}
