//! Runs cases.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::case::{Case, Step, User};
use crate::client::{Answer, Client, Request};
use crate::coverage::Coverage;
use crate::expect::{self, Expect};
use crate::protobuf::{self, PROTOBUF};

/// Cases that run side by side. Most of their time they wait for watches to end.
const PARALLEL: usize = 24;
/// How long an answer may take to become what is expected, where it follows by itself.
const UNTIL: Duration = Duration::from_secs(30);
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs all cases; returns what was not as expected, a text for each failed case. What was as expected is covered.
pub async fn all(client: &Client, cases: Vec<Case>, coverage: &Coverage) -> Vec<String> {
    let run = |case: Case| async move {
        let outcome = one(client, &case, coverage).await;
        outcome.err().map(|error| format!("{}\n    {error:#}", case.title))
    };
    let (alone, beside): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.alone);
    let mut outcomes: Vec<_> = stream::iter(alone).then(run).collect().await;
    outcomes.extend(stream::iter(beside).map(run).buffered(PARALLEL).collect::<Vec<_>>().await);
    outcomes.into_iter().flatten().collect()
}

/// Runs a case in a namespace of its own.
pub async fn one(client: &Client, case: &Case, coverage: &Coverage) -> anyhow::Result<()> {
    let namespace = format!("battery-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let made = client.send(User::Admin, &request("POST", "/api/v1/namespaces", Some(&body))).await?;
    ensure!(made.status == 201, "the namespace is not created: {}", made.text());
    let mut kept = Kept::default();
    kept.texts.insert("ns".to_owned(), namespace.clone());
    let mut outcome = Ok(());
    for (index, step) in case.steps.iter().enumerate() {
        outcome = run_step(client, step, &mut kept, coverage).await;
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

/// What earlier steps have kept.
#[derive(Debug, Default)]
struct Kept {
    texts: BTreeMap<String, String>,
    bodies: BTreeMap<String, Vec<u8>>,
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

async fn run_step(client: &Client, step: &Step, kept: &mut Kept, coverage: &Coverage) -> anyhow::Result<()> {
    let request = prepare(step, kept)?;
    let expected = fill_expect(&step.expect, &kept.texts)?;
    let deadline = Instant::now() + UNTIL;
    let answer = loop {
        let answer = client.send_taking(step.user, &request, step.take).await?;
        let problems = expect::problems(&expected, &answer);
        if problems.is_empty() {
            break answer;
        }
        if !step.until || Instant::now() > deadline {
            bail!("{}\n    the answer: {}", problems.join("\n    "), shortened(&answer));
        }
        tokio::time::sleep(PAUSE).await;
    };
    coverage.saw(&request, &answer);
    for (name, path) in &step.keep {
        if path == "body:" {
            kept.bodies.insert(name.clone(), answer.body.clone());
        } else {
            kept.texts.insert(name.clone(), find(&answer, path)?);
        }
    }
    Ok(())
}

fn prepare(step: &Step, kept: &Kept) -> anyhow::Result<Request> {
    let send = fill(&step.send, &kept.texts)?;
    let (method, path) = send.split_once(' ').context("`send` is a method and a path")?;
    let media_type = step.media_type.clone().unwrap_or_else(|| "application/json".to_owned());
    let body = match (&step.body, &step.text, &step.again, step.large) {
        (Some(body), None, None, None) => Some(encoded(&fill_value(body, &kept.texts)?, &media_type)?),
        (None, Some(text), None, None) => Some(fill(text, &kept.texts)?.into_bytes()),
        (None, None, Some(name), None) => {
            Some(kept.bodies.get(name).with_context(|| format!("no body is kept as {name:?}"))?.clone())
        }
        (None, None, None, Some(length)) => Some(vec![b' '; length]),
        (None, None, None, None) => None,
        _ => bail!("more than one of `body`, `text`, `again` and `large`"),
    };
    let headers = step.headers.iter().map(|(name, value)| Ok((name.clone(), fill(value, &kept.texts)?)));
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.collect::<anyhow::Result<_>>()?,
        body: body.map(|body| (media_type, body)),
    })
}

/// A body in the form that its media type says.
fn encoded(body: &Value, media_type: &str) -> anyhow::Result<Vec<u8>> {
    Ok(match media_type {
        PROTOBUF => protobuf::encode(body)?,
        "application/yaml" => gantry_api::yaml::to_string(body)?.into_bytes(),
        _ => body.to_string().into_bytes(),
    })
}

fn shortened(answer: &Answer) -> String {
    answer.text().chars().take(2000).collect()
}

/// A value of the answer as text: a header as `header:NAME`, or what a path leads to in the body.
fn find(answer: &Answer, path: &str) -> anyhow::Result<String> {
    if let Some(name) = path.strip_prefix("header:") {
        return answer.headers(name).into_iter().next().with_context(|| format!("no header {name}"));
    }
    let body = answer.value()?;
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

    #[test]
    fn a_step_has_one_body() {
        let step = Step {
            send: "POST /x".into(),
            text: Some("a".into()),
            again: Some("b".into()),
            ..Step::default()
        };
        assert!(prepare(&step, &Kept::default()).is_err());
        let step = Step { send: "POST /x".into(), again: Some("b".into()), ..Step::default() };
        assert!(prepare(&step, &Kept::default()).is_err());
        let mut kept = Kept::default();
        kept.bodies.insert("b".into(), b"c".to_vec());
        let body = prepare(&step, &kept).unwrap().body.unwrap();
        assert_eq!(body, ("application/json".to_owned(), b"c".to_vec()));
    }
}
