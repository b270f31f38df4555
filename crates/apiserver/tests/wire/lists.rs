//! Lists: selectors, pages and revisions.

use serde_json::{Value, json};

use crate::server::{CONFIG_MAPS, PODS, Server, config_map, pod};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

async fn with_config_maps(count: usize) -> Server {
    let server = Server::start().await;
    for i in 0..count {
        let mut body = config_map(&format!("m{i}"));
        body["metadata"]["labels"] = json!({"parity": if i % 2 == 0 { "even" } else { "odd" }});
        server.post(CONFIG_MAPS, &body).await.ok(201);
    }
    server
}

#[tokio::test]
async fn a_list_says_what_it_is() {
    let server = with_config_maps(2).await;
    let list = server.get(CONFIG_MAPS).await.ok(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(names(&list), ["m0", "m1"]);
    assert!(list["metadata"]["resourceVersion"].as_str().unwrap().parse::<i64>().unwrap() > 0);
    let empty = server.get("/api/v1/namespaces/nowhere/configmaps").await.ok(200);
    assert_eq!(empty["items"], json!([]));
    // The server has one of its own in another namespace.
    let everywhere = server.get("/api/v1/configmaps?labelSelector=parity").await.ok(200);
    assert_eq!(names(&everywhere), ["m0", "m1"]);
}

#[tokio::test]
async fn selectors_select() {
    let server = with_config_maps(4).await;
    for (query, expected) in [
        ("labelSelector=parity%3Deven", vec!["m0", "m2"]),
        ("labelSelector=parity+notin+(even)", vec!["m1", "m3"]),
        ("labelSelector=%21parity", vec![]),
        ("fieldSelector=metadata.name%3Dm3", vec!["m3"]),
        ("fieldSelector=metadata.name%21%3Dm3&labelSelector=parity%3Dodd", vec!["m1"]),
        ("fieldSelector=metadata.namespace%3Dother", vec![]),
    ] {
        assert_eq!(names(&server.get(&format!("{CONFIG_MAPS}?{query}")).await.ok(200)), expected, "{query}");
    }
    server.post(PODS, &pod("p")).await.ok(201);
    assert_eq!(names(&server.get(&format!("{PODS}?fieldSelector=spec.nodeName%3D")).await.ok(200)), ["p"]);
}

#[tokio::test]
async fn wrong_parameters_are_refused_by_name() {
    let server = with_config_maps(0).await;
    for (query, text) in [
        ("labelSelector=a%3D%3D%3Db", "label selector"),
        ("labelSelector=a+in+b", "label selector"),
        ("labelSelector=%2Fx", "label selector"),
        ("fieldSelector=spec.x", "field selector"),
        ("fieldSelector=spec.nodeName%3Dx", "field label not supported: spec.nodeName"),
        ("limit=many", r#"strconv.ParseInt: parsing "many": invalid syntax"#),
        ("resourceVersion=new", "resourceVersion"),
        ("continue=nonsense", "continue"),
        ("timeout=soon", "timeout"),
    ] {
        let answer = server.get(&format!("{CONFIG_MAPS}?{query}")).await;
        answer.fails_with(400, "BadRequest", text);
    }
    for query in [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Roughly&resourceVersion=5",
        "resourceVersionMatch=Exact&resourceVersion=0",
    ] {
        let status = server.get(&format!("{CONFIG_MAPS}?{query}")).await.fails(422, "Invalid");
        assert_eq!(status["details"]["kind"], "ListOptions");
        assert_eq!(status["details"]["causes"][0]["field"], "resourceVersionMatch", "{query}");
    }
    // Go takes these for what they are not.
    for query in ["limit=-1", "pretty=perhaps"] {
        assert_eq!(server.get(&format!("{CONFIG_MAPS}?{query}")).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn pages_are_of_one_revision() {
    let server = with_config_maps(5).await;
    let first = server.get(&format!("{CONFIG_MAPS}?limit=2")).await.ok(200);
    assert_eq!(names(&first), ["m0", "m1"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.post(CONFIG_MAPS, &config_map("m11")).await.ok(201);
    server.delete(&format!("{CONFIG_MAPS}/m4")).await.ok(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{CONFIG_MAPS}?limit=9&continue={token}")).await.ok(200);
    assert_eq!(names(&rest), ["m2", "m3", "m4"]);
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert!(rest["metadata"]["continue"].is_null());
    let both = server.get(&format!("{CONFIG_MAPS}?continue={token}&resourceVersion=3")).await;
    both.fails_with(400, "BadRequest", "continue");
}

#[tokio::test]
async fn a_revision_can_be_asked_for() {
    let server = with_config_maps(1).await;
    let old =
        server.get(CONFIG_MAPS).await.ok(200)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    server.post(CONFIG_MAPS, &config_map("n")).await.ok(201);
    let then = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=Exact");
    assert_eq!(names(&server.get(&then).await.ok(200)), ["m0"]);
    let since = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=NotOlderThan");
    assert_eq!(names(&server.get(&since).await.ok(200)), ["m0", "n"]);
    assert_eq!(names(&server.get(&format!("{CONFIG_MAPS}?resourceVersion=0")).await.ok(200)).len(), 2);
    // The future is waited for a moment, and then said to be that.
    let future = server.get(&format!("{CONFIG_MAPS}?resourceVersion=999999999&timeout=1s")).await;
    let status = future.fails(504, "Timeout");
    assert!(status["message"].as_str().unwrap().contains("Timeout"), "{status}");
}
