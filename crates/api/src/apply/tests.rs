//! What happens to an object and its owners as managers write it one after the other.

mod cost;
mod ownership;
mod properties;

use serde_json::{Value, json};

use super::{Refusal, Writer, apply, record};
use crate::scalars::Time;
use crate::{Kind, Object, registry};

/// An object that managers write.
struct Written {
    kind: &'static Kind,
    object: Option<Box<dyn Object>>,
    /// Goes on by a second with each write.
    now: i64,
}

impl Written {
    fn new(group: &str, kind: &str) -> Self {
        Self { kind: registry::by_kind(group, "v1", kind).unwrap(), object: None, now: 0 }
    }

    fn writer(&mut self, manager: &str, subresource: &'static str) -> Writer {
        self.now += 1;
        Writer { manager: manager.to_owned(), subresource, time: Time { seconds: self.now, nanos: 0 } }
    }

    fn apply(&mut self, manager: &str, config: &Value, force: bool) -> Result<(), Refusal> {
        let writer = self.writer(manager, "");
        let applied = apply(self.kind, self.object.as_deref(), config, &writer, force)?;
        let mut object = self.kind.decode_value(applied.value).unwrap();
        object.strategy_mut().set_defaults();
        object.meta_mut().managed_fields = applied.managed_fields;
        self.object = Some(object);
        Ok(())
    }

    fn write(&mut self, manager: &str, subresource: &'static str, value: Value) {
        let writer = self.writer(manager, subresource);
        let mut object = self.kind.decode_value(value).unwrap();
        object.strategy_mut().set_defaults();
        record(self.object.as_deref(), &mut *object, &writer);
        self.object = Some(object);
    }

    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        let mut value = self.value();
        change(&mut value);
        self.write(manager, "", value);
    }

    fn value(&self) -> Value {
        self.object.as_ref().unwrap().to_value().unwrap()
    }

    /// Everything but the owners.
    fn content(&self) -> Value {
        let mut value = self.value();
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        value
    }

    /// The fields of a manager; null where it has none.
    fn fields(&self, manager: &str, operation: &str) -> Value {
        let value = self.value();
        let mut entries =
            value["metadata"]["managedFields"].as_array().cloned().unwrap_or_default().into_iter();
        let entry = entries.find(|entry| entry["manager"] == manager && entry["operation"] == operation);
        entry.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
    }

    fn managers(&self) -> Vec<String> {
        let meta = self.object.as_ref().unwrap().meta();
        meta.managed_fields.iter().map(|entry| format!("{} {}", entry.manager, entry.operation)).collect()
    }
}

/// A configuration that says nothing of the data where there is none.
fn config_map(data: Value) -> Value {
    let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    if data != json!({}) {
        map["data"] = data;
    }
    map
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

fn service(ports: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}})
}

#[test]
fn an_applier_owns_what_it_applies() {
    let mut map = Written::new("", "ConfigMap");
    map.apply("one", &config_map(json!({"a": "1", "b": "2"})), false).unwrap();
    assert_eq!(map.fields("one", "Apply"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    // What it leaves out goes, if nobody else has it.
    map.apply("two", &config_map(json!({"b": "2", "c": "3"})), false).unwrap();
    map.apply("one", &config_map(json!({"a": "1"})), false).unwrap();
    assert_eq!(map.content()["data"], json!({"a": "1", "b": "2", "c": "3"}));
    map.apply("two", &config_map(json!({"c": "3"})), false).unwrap();
    assert_eq!(map.content()["data"], json!({"a": "1", "c": "3"}));
    assert_eq!(map.fields("one", "Apply"), json!({"f:data": {"f:a": {}}}));
    map.apply("two", &config_map(json!({})), false).unwrap();
    assert_eq!(map.content()["data"], json!({"a": "1"}));
}

#[test]
fn another_value_of_what_others_own_is_a_conflict() {
    let mut map = Written::new("", "ConfigMap");
    map.apply("one", &config_map(json!({"a": "1", "b": "2"})), false).unwrap();
    map.write("two", "", {
        let mut value = map.value();
        value["data"]["b"] = json!("3");
        value
    });
    let before = map.value();
    let refused = map.apply("three", &config_map(json!({"a": "x"})), false).unwrap_err();
    assert_eq!(refused.to_string(), r#"Apply failed with 1 conflict: conflict with "one": .data.a"#);
    let refused = map.apply("three", &config_map(json!({"a": "x", "b": "y"})), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\nconflicts with \"two\" using v1:\n- .data.b"
    );
    assert_eq!(map.value(), before);
    // The same value is shared; by force, another one is taken.
    map.apply("three", &config_map(json!({"a": "1"})), false).unwrap();
    assert_eq!(map.fields("one", "Apply"), json!({"f:data": {"f:a": {}}}));
    map.apply("three", &config_map(json!({"a": "x"})), true).unwrap();
    assert_eq!(map.fields("three", "Apply"), json!({"f:data": {"f:a": {}}}));
    assert_eq!(map.fields("one", "Apply"), Value::Null);
    assert_eq!(map.content()["data"], json!({"a": "x", "b": "3"}));
}

#[test]
fn items_are_told_apart_by_their_keys_and_defaults() {
    let mut service_ = Written::new("", "Service");
    service_.apply("one", &service(json!([{"port": 53, "name": "tcp"}])), false).unwrap();
    assert_eq!(
        service_.fields("one", "Apply"),
        json!({"f:spec": {"f:ports": {r#"k:{"port":53,"protocol":"TCP"}"#: {".": {}, "f:name": {}, "f:port": {}}}}})
    );
    service_.apply("two", &service(json!([{"port": 53, "protocol": "UDP", "name": "udp"}])), false).unwrap();
    let ports = |service: &Written| {
        let ports = service.content()["spec"]["ports"].as_array().unwrap().clone();
        ports.iter().map(|port| port["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ports(&service_), ["tcp", "udp"]);
    service_.apply("one", &service(json!([])), false).unwrap();
    assert_eq!(ports(&service_), ["udp"]);
    let twice = service(json!([{"port": 1}, {"port": 1, "protocol": "TCP"}]));
    let refused = service_.apply("one", &twice, false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "failed to create typed patch object (/a; /v1, Kind=Service): .spec.ports: duplicate entries for key \
         [port=1,protocol=\"TCP\"]"
    );
}

#[test]
fn items_keep_the_order_of_the_configuration_among_others() {
    let names = |pod: &Written| -> Vec<String> {
        let containers = pod.content()["spec"]["containers"].as_array().unwrap().clone();
        containers.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let of = |names: &[&str]| {
        let containers: Vec<Value> = names.iter().map(|name| json!({"name": name, "image": "i"})).collect();
        pod(json!({"containers": containers}))
    };
    for (live, config, expected) in [
        (&["a", "b", "c"][..], &["c", "a"][..], &["b", "c", "a"][..]),
        (&["a", "b"], &["x", "b"], &["a", "x", "b"]),
        (&["a"], &["b", "a", "c"], &["b", "a", "c"]),
        (&["a", "b", "c", "d"], &["d", "x", "b"], &["a", "c", "d", "x", "b"]),
    ] {
        let mut pod = Written::new("", "Pod");
        pod.apply("one", &of(live), false).unwrap();
        pod.apply("two", &of(config), false).unwrap();
        assert_eq!(names(&pod), expected, "{live:?} {config:?}");
    }
}

#[test]
fn sets_are_owned_by_value_and_atomic_things_as_a_whole() {
    let finalizers = |all: &[&str]| {
        let mut map = config_map(json!({}));
        map["metadata"]["finalizers"] = json!(all);
        map
    };
    let mut map = Written::new("", "ConfigMap");
    map.apply("one", &finalizers(&["x/a"]), false).unwrap();
    map.apply("two", &finalizers(&["x/b"]), false).unwrap();
    assert_eq!(map.content()["metadata"]["finalizers"], json!(["x/a", "x/b"]));
    assert_eq!(map.fields("two", "Apply")["f:metadata"], json!({"f:finalizers": {r#"v:"x/b""#: {}}}));
    map.apply("one", &finalizers(&[]), false).unwrap();
    assert_eq!(map.content()["metadata"]["finalizers"], json!(["x/b"]));

    let of =
        |selector: Value| pod(json!({"containers": [{"name": "c", "image": "i"}], "nodeSelector": selector}));
    let mut pod = Written::new("", "Pod");
    pod.apply("one", &of(json!({"a": "1"})), false).unwrap();
    assert_eq!(pod.fields("one", "Apply")["f:spec"]["f:nodeSelector"], json!({}));
    let refused = pod.apply("two", &of(json!({"b": "2"})), false).unwrap_err();
    assert!(refused.to_string().ends_with(r#"conflict with "one": .spec.nodeSelector"#), "{refused}");
    pod.apply("two", &of(json!({"b": "2"})), true).unwrap();
    assert_eq!(pod.content()["spec"]["nodeSelector"], json!({"b": "2"}));
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut map = Written::new("", "ConfigMap");
    for (config, text) in [
        (
            json!({"apiVersion": "apps/v1", "kind": "ConfigMap"}),
            "invalid object type: apps/v1, Kind=ConfigMap",
        ),
        (json!({"kind": "ConfigMap"}), "invalid object type: /, Kind=ConfigMap"),
        (json!({"apiVersion": "v1", "kind": "Secret"}), "invalid object type: /v1, Kind=Secret"),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": []}}),
            "metadata.managedFields must be nil",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "extra": 1}),
            "failed to create typed patch object (n/a; /v1, Kind=ConfigMap): .extra: field not declared in schema",
        ),
        (
            config_map(json!({"a": 1})),
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .data.a: expected string, got \
             &value.valueUnstructured{Value:1}",
        ),
        (
            config_map(json!([{"x": "y"}])),
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .data: expected map, got &{[map[x:y]]}",
        ),
    ] {
        assert_eq!(map.apply("one", &config, false).unwrap_err().to_string(), text);
    }
}

#[test]
fn what_nobody_tracked_belongs_to_nobody_known() {
    let mut map = Written::new("", "ConfigMap");
    let kind = map.kind;
    map.object = Some(kind.decode_value(config_map(json!({"a": "1", "b": "2"}))).unwrap());
    let refused = map.apply("one", &config_map(json!({"a": "x"})), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a"#
    );
    map.apply("one", &config_map(json!({"c": "3"})), false).unwrap();
    assert_eq!(map.managers(), ["one Apply", "before-first-apply Update"]);
    assert_eq!(
        map.fields("before-first-apply", "Update"),
        json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})
    );
}

#[test]
fn kubectl_takes_over_from_its_former_self() {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let mut map = Written::new("", "ConfigMap");
    let mut first = config_map(json!({"a": "1", "b": "2"}));
    first["metadata"]["annotations"] = json!({LAST: config_map(json!({"a": "1", "b": "2"})).to_string()});
    map.write("kubectl-client-side-apply", "", first);
    map.update("editor", |value| value["data"]["b"] = json!("edited"));
    // Only what is as it was applied is taken over.
    let config = config_map(json!({"a": "new", "b": "new"}));
    let refused = map.apply("kubectl", &config, false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#"Apply failed with 1 conflict: conflict with "editor" using v1: .data.b"#
    );
    assert!(map.apply("other", &config_map(json!({"a": "new"})), false).is_err());
    let config = config_map(json!({"a": "new"}));
    map.apply("kubectl", &config, false).unwrap();
    assert_eq!(map.content()["data"], json!({"a": "new", "b": "edited"}));
    let annotation = map.content()["metadata"]["annotations"][LAST].as_str().unwrap().to_owned();
    assert_eq!(annotation, format!("{config}\n"));
}
