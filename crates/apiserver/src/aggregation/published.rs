//! What servers behind this one have to know to believe it and its clients: the ConfigMap
//! `kube-system/extension-apiserver-authentication`.

use std::collections::BTreeMap;

use gantry_api::Resource;
use gantry_api::core::v1::ConfigMap;
use x509_parser::pem::Pem;

use crate::bootstrap::creating;
use crate::pipeline::RequestHeaders;
use crate::status::{ApiError, Reason};
use crate::verbs::{Next, Target, Verbs};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

type Data = BTreeMap<String, String>;

/// What they have to know.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// The authority of clients (PEM).
    pub(crate) client_ca: String,
    /// The authority of front proxies (PEM), of which this server is one, and how they speak.
    pub(crate) front_proxies: Option<(String, RequestHeaders)>,
}

impl Published {
    /// Writes it where it is not there.
    pub(crate) async fn ensure(&self, verbs: &Verbs) -> Result<(), ApiError> {
        let target =
            Target { kind: ConfigMap::kind(), namespace: NAMESPACE.to_owned(), name: NAME.to_owned() };
        let changed = verbs.modify(&target, false, |old| {
            let Some(old) = old.downcast_ref::<ConfigMap>() else { return Ok(Next::Keep) };
            let data = self.added_to(&old.data);
            if data == old.data {
                return Ok(Next::Keep);
            }
            Ok(Next::Put(Box::new(ConfigMap { data, ..old.clone() })))
        });
        match changed.await {
            Err(error) if error.reason() == Reason::NotFound => {}
            changed => return changed.map(drop),
        }
        let mut new = ConfigMap { data: self.added_to(&Data::new()), ..ConfigMap::default() };
        NAMESPACE.clone_into(&mut new.meta_mut().namespace);
        NAME.clone_into(&mut new.meta_mut().name);
        match verbs.create(&target, Box::new(new), &creating()).await {
            // Another server was faster; the next time it is looked at what it wrote.
            Err(error) if error.reason() == Reason::AlreadyExists => Ok(()),
            created => created.map(drop),
        }
    }

    /// Added to what is there: other servers may know more, such as the authority that comes next.
    fn added_to(&self, present: &Data) -> Data {
        let mut data = present.clone();
        let mut put = |key: &str, merge: &dyn Fn(&str) -> String| {
            let before = present.get(key).map(String::as_str).unwrap_or_default();
            data.insert(key.to_owned(), merge(before));
        };
        put("client-ca-file", &|before| certificates(before, &self.client_ca));
        if let Some((authority, headers)) = &self.front_proxies {
            put("requestheader-client-ca-file", &|before| certificates(before, authority));
            for (key, own) in [
                ("requestheader-allowed-names", &headers.allowed_names),
                ("requestheader-username-headers", &headers.username),
                ("requestheader-uid-headers", &headers.uid),
                ("requestheader-group-headers", &headers.group),
                ("requestheader-extra-headers-prefix", &headers.extra_prefix),
            ] {
                put(key, &|before| list(before, own));
            }
        }
        data
    }
}

/// A list with what is added to it, as JSON.
fn list(before: &str, own: &[String]) -> String {
    // What is no list is nothing that anybody could have read.
    let mut all: Vec<String> = serde_json::from_str(before).unwrap_or_default();
    for one in own {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    serde_json::Value::from(all).to_string()
}

/// Certificates with what is added to them. Those whose time is over go.
fn certificates(before: &str, own: &str) -> String {
    let mut all = Vec::new();
    for block in blocks(before).into_iter().filter(|block| is_valid(block)).chain(blocks(own)) {
        if !all.contains(&block) {
            all.push(block);
        }
    }
    all.concat()
}

fn blocks(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(BEGIN) {
        let Some((inside, behind)) = behind.split_once(END) else { break };
        all.push(format!("{BEGIN}{}{END}\n", inside.replace('\r', "")));
        rest = behind;
    }
    all
}

fn is_valid(block: &str) -> bool {
    let pem = Pem::iter_from_buffer(block.as_bytes()).next().and_then(Result::ok);
    pem.is_some_and(|pem| pem.parse_x509().is_ok_and(|certificate| certificate.validity().is_valid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str, year: i32) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.not_before = rcgen::date_time_ymd(1999, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        parameters.self_signed(&key).unwrap().pem().replace('\r', "")
    }

    fn published(ca: &str) -> Published {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let headers = RequestHeaders {
            allowed_names: list(&["front"]),
            username: list(&["X-Remote-User"]),
            ..RequestHeaders::default()
        };
        Published { client_ca: ca.to_owned(), front_proxies: Some((ca.to_owned(), headers)) }
    }

    #[test]
    fn what_is_needed_is_added() {
        let ca = certificate("ca", 2999);
        let data = published(&ca).added_to(&Data::new());
        assert_eq!((&data["client-ca-file"], &data["requestheader-client-ca-file"]), (&ca, &ca));
        assert_eq!(data["requestheader-allowed-names"], r#"["front"]"#);
        assert_eq!(data["requestheader-username-headers"], r#"["X-Remote-User"]"#);
        assert_eq!(data["requestheader-uid-headers"], "[]");
        assert_eq!(data.len(), 7);
        assert_eq!(published(&ca).added_to(&data), data);
        let plain = Published { front_proxies: None, ..published(&ca) };
        assert_eq!(plain.added_to(&Data::new()).into_keys().collect::<Vec<_>>(), ["client-ca-file"]);
    }

    #[test]
    fn what_others_need_stays_as_long_as_it_is_valid() {
        let (ours, theirs, old) =
            (certificate("ours", 2999), certificate("theirs", 2999), certificate("old", 2000));
        let mut present = published(&format!("{theirs}{old}")).added_to(&Data::new());
        present.insert("requestheader-allowed-names".to_owned(), r#"["other"]"#.to_owned());
        let data = published(&ours).added_to(&present);
        assert_eq!(data["client-ca-file"], format!("{theirs}{ours}"));
        assert_eq!(data["requestheader-allowed-names"], r#"["other","front"]"#);
    }
}
