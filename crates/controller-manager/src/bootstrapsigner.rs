//! Signs the ConfigMap `cluster-info` with each bootstrap token, so that a machine that joins can tell that it is right.
//!
//! A signature is a JWS without its payload: the machine has that from the ConfigMap, and the key is the token.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantry_api::core::v1::{ConfigMap, Secret};
use gantry_client::{Informer, ObjectKey, WorkQueue, controller};
use jiff::Timestamp;
use ring::hmac;

use crate::bootstraptoken::{self, Lifetime, lifetime, signing};
use crate::{Context, Error};

const WORKERS: usize = 1;
const NAMESPACE: &str = "kube-public";
const NAME: &str = "cluster-info";
/// What is signed, and how the keys of signatures begin.
const CONTENT: &str = "kubeconfig";
const SIGNATURE: &str = "jws-kubeconfig-";

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("bootstrap_signer");
    let key = ObjectKey::new(NAMESPACE, NAME);
    let secrets = bootstraptoken::secrets(context);
    let maps = Informer::<ConfigMap>::builder(&context.client)
        .namespace(NAMESPACE)
        .field_selector(&format!("metadata.name={NAME}"))
        .spawn(context.stop.clone());
    let (tokens, one) = (queue.clone(), key.clone());
    secrets.on_event(move |_| tokens.add(one.clone()));
    let written = queue.clone();
    maps.on_event(move |_| written.add(key.clone()));
    if !(secrets.synced().await && maps.synced().await) {
        return;
    }
    let shutdown = queue.clone();
    tokio::join!(controller::run(queue, WORKERS, |key| sync(context, &secrets, &maps, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(
    context: &Context,
    secrets: &Informer<Secret>,
    maps: &Informer<ConfigMap>,
    key: ObjectKey,
) -> Result<Option<Duration>, Error> {
    let Some(map) = maps.store().get_key(&key) else { return Ok(None) };
    let now = Timestamp::now();
    let secrets = secrets.store().list();
    let tokens: Vec<(&str, &str)> = secrets.iter().filter_map(|secret| signing(secret, now)).collect();
    if let Some(data) = signed(&map.data, &tokens) {
        let new = ConfigMap { data, ..(*map).clone() };
        match context.client.api::<ConfigMap>(NAMESPACE).update(&new).await {
            Ok(written) => maps.note(written),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The signature goes with its token.
    let ends = secrets.iter().filter_map(|secret| match lifetime(secret, now) {
        Lifetime::Until(end) => Some(end.duration_since(now).unsigned_abs()),
        Lifetime::Endless | Lifetime::Over => None,
    });
    Ok(ends.min())
}

/// The data with a signature of each token and no other; none where it has them.
fn signed(data: &BTreeMap<String, String>, tokens: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    let content = data.get(CONTENT)?;
    let mut new: BTreeMap<String, String> = data
        .iter()
        .filter(|(key, _)| !key.starts_with(SIGNATURE))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    new.extend(tokens.iter().map(|(id, secret)| (format!("{SIGNATURE}{id}"), sign(content, id, secret))));
    (new != *data).then_some(new)
}

/// The signature: head and seal, with nothing between them.
fn sign(content: &str, id: &str, secret: &str) -> String {
    // An id is plain letters and digits: nothing of it needs quotes of its own.
    let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{id}"}}"#));
    let payload = URL_SAFE_NO_PAD.encode(content);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let seal = hmac::sign(&key, format!("{head}.{payload}").as_bytes());
    format!("{head}..{}", URL_SAFE_NO_PAD.encode(seal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_no_payload() {
        // As another implementation of RFC 7515 makes it.
        let wanted = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9\
                      ..vP6yp00c2BYj5HJYUDAL4DWv3ARRNERQYFDkC15SWnY";
        assert_eq!(sign("foobar", "abcdef", "0123456789abcdef"), wanted);
    }

    #[test]
    fn signatures_follow_tokens_and_content() {
        let mut data = BTreeMap::from([
            (CONTENT.to_owned(), "one".to_owned()),
            (format!("{SIGNATURE}gone00"), "x".to_owned()),
            ("other".to_owned(), "y".to_owned()),
        ]);
        let tokens = [("abcdef", "0123456789abcdef")];
        let first = signed(&data, &tokens).unwrap();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["jws-kubeconfig-abcdef", CONTENT, "other"]);
        assert_eq!(signed(&first, &tokens), None);
        data = first.clone();
        data.insert(CONTENT.to_owned(), "two".to_owned());
        let second = signed(&data, &tokens).unwrap();
        assert_ne!(second["jws-kubeconfig-abcdef"], first["jws-kubeconfig-abcdef"]);
        assert_eq!(signed(&second, &[]).unwrap().len(), 2);
        assert_eq!(signed(&BTreeMap::new(), &tokens), None, "there is nothing to sign");
    }
}
