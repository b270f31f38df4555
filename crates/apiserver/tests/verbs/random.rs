//! Whatever is written in whatever order: the cache has what the store has, now and at every revision before.

use std::collections::BTreeMap;

use gantry_api::core::v1::ConfigMap;
use gantry_api::meta::v1::ListOptions;
use proptest::prelude::*;

use crate::server::{Server, at, meta};

#[derive(Debug, Clone)]
enum Write {
    Put(u8, u8),
    Delete(u8),
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = prop_oneof![
        3 => (0u8..8, any::<u8>()).prop_map(|(name, value)| Write::Put(name, value)),
        1 => (0u8..8).prop_map(Write::Delete),
    ];
    proptest::collection::vec(write, 1..40)
}

type Snapshot = BTreeMap<String, i64>;

async fn listed(server: &Server, options: ListOptions) -> (i64, Snapshot) {
    let list = server.verbs.list(&at::<ConfigMap>("default", ""), &options).await.unwrap();
    let items = list.items.iter().map(|entry| (entry.name().to_owned(), entry.revision())).collect();
    (list.metadata.resource_version.parse().unwrap(), items)
}

async fn stored(server: &Server) -> Snapshot {
    let prefix = "/registry/configmaps/default/";
    let page = server.store.list(prefix, Default::default()).await.unwrap();
    page.items.into_iter().map(|kv| (kv.key[prefix.len()..].to_owned(), kv.mod_revision)).collect()
}

async fn write(server: &Server, write: &Write) {
    match write {
        Write::Put(name, value) => {
            let object = ConfigMap {
                metadata: meta("default", &format!("c{name}")),
                data: [("v".to_owned(), value.to_string())].into(),
                ..ConfigMap::default()
            };
            if server.create(object.clone()).await.is_err() {
                server.update(object).await.unwrap();
            }
        }
        Write::Delete(name) => {
            // It may not be there.
            let _ = server.delete::<ConfigMap>("default", &format!("c{name}")).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_cache_has_what_the_store_has(writes in writes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::in_memory().await;
            let mut history = Vec::new();
            for one in &writes {
                write(&server, one).await;
                let (revision, items) = listed(&server, ListOptions::default()).await;
                assert_eq!(items, stored(&server).await);
                history.push((revision, items));
            }
            for (revision, items) in history {
                let exactly = ListOptions {
                    resource_version: revision.to_string(),
                    resource_version_match: "Exact".into(),
                    ..ListOptions::default()
                };
                assert_eq!(listed(&server, exactly).await, (revision, items));
            }
        });
    }
}
