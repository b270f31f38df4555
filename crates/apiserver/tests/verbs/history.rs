//! Lists of the past.

use gantry_api::core::v1::Pod;
use gantry_api::meta::v1::ListOptions;
use gantry_apiserver::status::Reason;

use crate::server::{Server, at, pod};

async fn first_page(server: &Server) -> ListOptions {
    for name in ["a", "b", "c", "d"] {
        server.create(pod(name)).await.unwrap();
    }
    let mut options = ListOptions { limit: 2, ..ListOptions::default() };
    let page = server.verbs.list(&at::<Pod>("default", ""), &options).await.unwrap();
    assert_eq!(page.items.len(), 2);
    options.r#continue = page.metadata.r#continue;
    options
}

pub(crate) async fn a_page_survives_changes_and_a_restart(server: Server) {
    let options = first_page(&server).await;
    server.delete::<Pod>("default", "c").await.unwrap();
    server.create(pod("bb")).await.unwrap();
    assert_eq!(server.names::<Pod>("default", options.clone()).await.unwrap(), ["c", "d"]);
    // A server that begins now does not remember, but the store does.
    let late = server.beside().await;
    assert_eq!(late.names::<Pod>("default", options).await.unwrap(), ["c", "d"]);
}

pub(crate) async fn a_compacted_page_offers_a_fresh_token(server: Server) {
    let mut options = first_page(&server).await;
    server.delete::<Pod>("default", "c").await.unwrap();
    let now = server.store.current_revision().await.unwrap();
    server.store.compact(now).await.unwrap();
    let late = server.beside().await;
    let target = at::<Pod>("default", "");
    let error = late.verbs.list(&target, &options).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Expired);
    options.r#continue = error.status().metadata.clone().unwrap().r#continue;
    assert_eq!(late.names::<Pod>("default", options).await.unwrap(), ["d"]);
}
