use super::*;

fn pod(spec: &str) -> Pod {
    let text = format!(r#"{{"metadata":{{"name":"p","namespace":"ns"}},"spec":{spec}}}"#);
    serde_json::from_str(&text).unwrap()
}

fn build(spec: &str, objects: &Objects) -> Result<Vec<(String, String)>, EnvError> {
    let pod = pod(spec);
    let container = pod.spec.as_ref().unwrap().containers.first().unwrap();
    environment(&pod, container, objects, &[], &FieldContext::default())
}

fn objects() -> Objects {
    let map: ConfigMap = serde_json::from_str(r#"{"data":{"k":"v","other":"w"}}"#).unwrap();
    let secret: Secret = serde_json::from_str(r#"{"data":{"s":"c2VjcmV0","bin":"/w=="}}"#).unwrap();
    Objects {
        config_maps: [("m".to_owned(), Arc::new(map))].into(),
        secrets: [("s".to_owned(), Arc::new(secret))].into(),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn values_refer_to_earlier_ones() {
    let spec = r#"{"containers":[{"name":"c","env":[
        {"name":"A","value":"1"},{"name":"B","value":"$(A)$(C)$$(A)"},{"name":"C","value":"3"},
        {"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}"#;
    let expected = pairs(&[("A", "1"), ("B", "1$(C)$(A)"), ("C", "3"), ("N", "p")]);
    assert_eq!(build(spec, &Objects::default()).unwrap(), expected);
}

#[test]
fn objects_are_read_and_own_variables_win() {
    let spec = r#"{"containers":[{"name":"c",
        "envFrom":[{"prefix":"P_","configMapRef":{"name":"m"}},{"configMapRef":{"name":"none","optional":true}}],
        "env":[{"name":"P_k","value":"mine"},
               {"name":"X","valueFrom":{"configMapKeyRef":{"name":"m","key":"k"}}},
               {"name":"S","valueFrom":{"secretKeyRef":{"name":"s","key":"s"}}},
               {"name":"O","valueFrom":{"secretKeyRef":{"name":"s","key":"none","optional":true}}}]}]}"#;
    let expected = pairs(&[("P_k", "mine"), ("P_other", "w"), ("X", "v"), ("S", "secret")]);
    assert_eq!(build(spec, &objects()).unwrap(), expected);
}

#[test]
fn what_is_missing_is_named() {
    let variable = |source: &str| {
        format!(r#"{{"containers":[{{"name":"c","env":[{{"name":"X","valueFrom":{source}}}]}}]}}"#)
    };
    for (source, message) in [
        (r#"{"configMapKeyRef":{"name":"no","key":"k"}}"#, "configmap \"no\" not found"),
        (r#"{"configMapKeyRef":{"name":"m","key":"no"}}"#, "couldn't find key no in ConfigMap m"),
        (r#"{"secretKeyRef":{"name":"no","key":"k"}}"#, "secret \"no\" not found"),
        (r#"{"secretKeyRef":{"name":"s","key":"no"}}"#, "couldn't find key no in Secret s"),
        (
            r#"{"secretKeyRef":{"name":"s","key":"bin"}}"#,
            "secret s key bin is not valid UTF-8 and cannot be an environment variable",
        ),
        (r#"{"fieldRef":{"fieldPath":"a.b"}}"#, "variable X: fieldPath \"a.b\" is not supported"),
    ] {
        assert_eq!(build(&variable(source), &objects()).unwrap_err().to_string(), message);
    }
}

#[test]
fn services_are_found_as_upstream_names_them() {
    let service: Service = serde_json::from_str(
        r#"{"metadata":{"name":"my-web","namespace":"ns"},
            "spec":{"clusterIP":"10.96.0.7","ports":[{"name":"http","port":80,"protocol":"TCP"}]}}"#,
    )
    .unwrap();
    let api: Service = serde_json::from_str(
        r#"{"metadata":{"name":"kubernetes","namespace":"default"},
            "spec":{"clusterIP":"10.96.0.1","ports":[{"name":"https","port":443}]}}"#,
    )
    .unwrap();
    let services = [Arc::new(service), Arc::new(api)];
    let all = service_variables("ns", &services, true);
    for (name, value) in [
        ("MY_WEB_SERVICE_HOST", "10.96.0.7"),
        ("MY_WEB_SERVICE_PORT", "80"),
        ("MY_WEB_SERVICE_PORT_HTTP", "80"),
        ("MY_WEB_PORT", "tcp://10.96.0.7:80"),
        ("MY_WEB_PORT_80_TCP", "tcp://10.96.0.7:80"),
        ("MY_WEB_PORT_80_TCP_PROTO", "tcp"),
        ("MY_WEB_PORT_80_TCP_PORT", "80"),
        ("MY_WEB_PORT_80_TCP_ADDR", "10.96.0.7"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ] {
        assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
    }
    let without = service_variables("ns", &services, false);
    assert!(!without.contains_key("MY_WEB_PORT") && without.contains_key("KUBERNETES_PORT"));
}
