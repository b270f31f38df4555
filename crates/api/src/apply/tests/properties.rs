//! What holds for every configuration.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Element, Path, Scalar, Set};
use super::{Written, config_map, pod};

fn element() -> impl Strategy<Value = Element> {
    let text = "[a-z\"\\\\/.{}:äß]{0,6}";
    let scalar = prop_oneof![
        any::<i32>().prop_map(|number| Scalar::Int(number.into())),
        text.prop_map(|text| Scalar::String(text.into())),
        any::<bool>().prop_map(Scalar::Bool),
    ];
    prop_oneof![
        text.prop_map(|name| Element::Field(name.into())),
        scalar.clone().prop_map(Element::Value),
        (0..100i64).prop_map(Element::Index),
        prop::collection::btree_map("[a-z]{1,4}", scalar, 1..3).prop_map(|fields| Element::Key(
            fields.into_iter().map(|(name, value)| (name.into(), value)).collect()
        )),
    ]
}

fn set() -> impl Strategy<Value = Set> {
    prop::collection::vec(prop::collection::vec(element(), 1..4).prop_map(Path), 0..8).prop_map(Set::of)
}

/// Containers by their names, with an image and environment variables.
fn containers() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[A-C]", "[0-2]", 0..3);
    prop::collection::btree_map("[a-d]", ("[x-z]", env), 1..4).prop_map(|all| {
        let one = |(name, (image, env)): (String, (String, BTreeMap<String, String>))| {
            let env: Vec<Value> =
                env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            json!({"name": name, "image": image, "env": env})
        };
        json!({"containers": all.into_iter().map(one).collect::<Vec<_>>()})
    })
}

fn data() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-e]", "[0-2]", 0..5).prop_map(|data| json!(data))
}

proptest! {
    #[test]
    fn sets_are_read_as_they_were_written(set in set()) {
        prop_assert_eq!(Set::from_json(&set.to_json()).unwrap(), set);
    }

    #[test]
    fn sets_are_sets(a in set(), b in set()) {
        let both = a.union(&b);
        prop_assert!(a.paths().iter().chain(&b.paths()).all(|path| both.has(path)));
        let common = a.intersection(&b);
        prop_assert!(common.paths().iter().all(|path| a.has(path) && b.has(path)));
        prop_assert_eq!(&a.difference(&b).union(&common), &a);
        prop_assert!(a.difference(&b).paths().iter().all(|path| !b.has(path)));
        prop_assert_eq!(both.paths().len() + common.paths().len(), a.paths().len() + b.paths().len());
        let mut nothing = a.clone();
        nothing.exclude(&a);
        prop_assert!(nothing.is_empty());
    }

    #[test]
    fn applying_twice_changes_nothing(one in containers(), two in containers()) {
        let mut written = Written::new("", "Pod");
        written.apply("one", &pod(one.clone()), false).unwrap();
        written.apply("two", &pod(two), true).unwrap();
        written.apply("one", &pod(one.clone()), true).unwrap();
        let (content, fields) = (written.content(), written.fields("one", "Apply"));
        written.apply("one", &pod(one), false).unwrap();
        prop_assert_eq!(written.content(), content);
        prop_assert_eq!(written.fields("one", "Apply"), fields);
    }

    #[test]
    fn what_is_applied_is_there_and_owned(one in data(), two in data(), three in data()) {
        let mut written = Written::new("", "ConfigMap");
        for (manager, data) in [("one", &one), ("two", &two), ("one", &three)] {
            written.apply(manager, &config_map(data.clone()), true).unwrap();
            for (key, value) in data.as_object().unwrap() {
                prop_assert_eq!(&written.content()["data"][key], value);
                let field = format!("f:{key}");
                prop_assert!(written.fields(manager, "Apply")["f:data"].get(field).is_some());
            }
        }
        // What "one" does not apply any more is there only if "two" applies it.
        for key in one.as_object().unwrap().keys() {
            let wanted = three.get(key).is_some() || two.get(key).is_some();
            prop_assert_eq!(written.content()["data"].get(key).is_some(), wanted, "{}", key);
        }
    }

    #[test]
    fn a_refused_configuration_conflicts_with_somebody_elses_field(one in data(), two in data()) {
        let mut written = Written::new("", "ConfigMap");
        written.apply("one", &config_map(one.clone()), false).unwrap();
        let differs = two.as_object().unwrap().iter().any(|(key, value)| one.get(key).is_some_and(|one| one != value));
        prop_assert_eq!(written.apply("two", &config_map(two), false).is_err(), differs);
    }
}
