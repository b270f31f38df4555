//! Protobuf as JSON and back, so that cases say what they send and expect in one way.

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, Bytes};
use gantry_api::authentication::v1::TokenRequest;
use gantry_api::autoscaling::v1::Scale;
use gantry_api::core::v1::Binding;
use gantry_api::meta::v1::{DeleteOptions, ListMeta, PartialObjectMetadata, Status, WatchEvent};
use gantry_api::policy::v1::Eviction;
use gantry_api::{Kind, registry};
use gantry_store::envelope;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The media type.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A JSON object, which names its kind, as an enveloped message.
pub fn encode(object: &Value) -> anyhow::Result<Vec<u8>> {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let raw = match kind {
        "Binding" => message::<Binding>(object)?,
        "DeleteOptions" => message::<DeleteOptions>(object)?,
        "Eviction" => message::<Eviction>(object)?,
        "Scale" => message::<Scale>(object)?,
        "TokenRequest" => message::<TokenRequest>(object)?,
        _ => {
            let known = known(api_version, kind);
            let known = known.with_context(|| format!("{api_version} {kind} has no message"))?;
            known.decode_value(object.clone())?.encode()
        }
    };
    Ok(envelope::wrap(api_version, kind, &raw).to_vec())
}

fn message<T: Message + DeserializeOwned>(object: &Value) -> anyhow::Result<Bytes> {
    Ok(serde_json::from_value::<T>(object.clone())?.encode_to_vec().into())
}

fn known(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut all = registry::all().iter().chain(registry::reviews());
    all.find(|known| known.kind == kind && known.group == group && known.version == version).copied()
}

/// An enveloped message as JSON.
pub fn decode(bytes: &[u8]) -> anyhow::Result<Value> {
    let envelope = envelope::decode(&Bytes::copy_from_slice(bytes))?;
    let (api_version, kind) = (envelope.api_version.as_str(), envelope.kind.as_str());
    let mut object = match kind {
        "Status" => value::<Status>(&envelope.raw)?,
        "Scale" => value::<Scale>(&envelope.raw)?,
        "TokenRequest" => value::<TokenRequest>(&envelope.raw)?,
        "PartialObjectMetadata" => value::<PartialObjectMetadata>(&envelope.raw)?,
        "PartialObjectMetadataList" => list(&envelope.raw, value::<PartialObjectMetadata>)?,
        _ => match (known(api_version, kind), kind.strip_suffix("List")) {
            (Some(known), _) => known.decode(envelope.raw)?.to_value()?,
            (None, Some(item)) if known(api_version, item).is_some() => {
                let known = known(api_version, item).context("the kind is known")?;
                list(&envelope.raw, |raw| Ok(known.decode(raw.clone())?.to_value()?))?
            }
            _ => other(api_version, kind, &envelope.raw)?,
        },
    };
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    Ok(object)
}

/// What is no kind: the documents of discovery, of which only the beginning is looked at.
fn other(api_version: &str, kind: &str, raw: &Bytes) -> anyhow::Result<Value> {
    ensure!(
        matches!(kind, "APIVersions" | "APIGroup" | "APIGroupList" | "APIResourceList"),
        "{api_version} {kind} is not known"
    );
    Ok(json!({"size": raw.len()}))
}

fn value<T: Message + Default + Serialize>(raw: &Bytes) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(T::decode(raw.clone())?)?)
}

/// Lists have their metadata as field 1 and their items as field 2.
fn list(raw: &Bytes, item: impl Fn(&Bytes) -> anyhow::Result<Value>) -> anyhow::Result<Value> {
    let (mut rest, mut metadata, mut items) = (raw.clone(), json!({}), Vec::new());
    while rest.has_remaining() {
        let (field, wire) = decode_key(&mut rest)?;
        ensure!(wire == WireType::LengthDelimited, "a list has a field that is no message");
        let len = usize::try_from(decode_varint(&mut rest)?)?;
        ensure!(len <= rest.len(), "a list is cut off");
        let part = rest.split_to(len);
        match field {
            1 => metadata = value::<ListMeta>(&part)?,
            2 => items.push(item(&part)?),
            other => bail!("a list has a field {other}"),
        }
    }
    Ok(json!({"metadata": metadata, "items": items}))
}

/// The events of a watch: each with its length in front.
pub fn events(bytes: &[u8]) -> anyhow::Result<Vec<Value>> {
    let (mut rest, mut events) = (Bytes::copy_from_slice(bytes), Vec::new());
    while rest.has_remaining() {
        ensure!(rest.len() >= 4, "an event is cut off");
        let len = usize::try_from(rest.get_u32())?;
        ensure!(len <= rest.len(), "an event is cut off");
        let event = WatchEvent::decode(rest.split_to(len))?;
        let object = decode(&event.object.unwrap_or_default().raw)?;
        events.push(json!({"type": event.r#type, "object": object}));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_back() {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
        assert_eq!(decode(&encode(&object).unwrap()).unwrap(), object);
        assert!(encode(&json!({"apiVersion": "v1", "kind": "Nothing"})).is_err());
        assert!(decode(b"nothing").is_err());
    }

    #[test]
    fn events_come_one_after_the_other() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let raw = gantry_api::scalars::RawExtension { raw: encode(&object).unwrap().into() };
        let event = WatchEvent { r#type: "ADDED".to_owned(), object: Some(raw) }.encode_to_vec();
        let mut framed = u32::try_from(event.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(event);
        let twice = [framed.clone(), framed.clone()].concat();
        assert_eq!(events(&twice).unwrap(), vec![json!({"type": "ADDED", "object": object}); 2]);
        assert!(events(&framed[..framed.len() - 1]).is_err());
    }
}
