//! Who serves which group and version.

use jiff::Timestamp;
use serde_json::Value;

use super::Column;
use crate::Resource as _;
use crate::apiregistration::v1::ApiService;
use crate::strategy::age;

pub(in crate::strategy) const API_SERVICE: &[Column] = &[
    Column::NAME,
    Column::new("Service", "string", "The service that serves it"),
    Column::new("Available", "string", "Whether it can be reached"),
    Column::AGE,
];

pub(in crate::strategy) fn api_service(object: &ApiService, now: Timestamp) -> Vec<Value> {
    let service = object.spec.as_ref().and_then(|spec| spec.service.as_ref());
    let service = service.map_or_else(|| "Local".to_owned(), |to| format!("{}/{}", to.namespace, to.name));
    let mut conditions = object.status.iter().flat_map(|status| &status.conditions);
    let available = match conditions.find(|condition| condition.r#type == "Available") {
        None => "Unknown".to_owned(),
        Some(found) if found.status == "True" || found.reason.is_empty() => found.status.clone(),
        Some(found) => format!("{} ({})", found.status, found.reason),
    };
    vec![object.name().into(), service.into(), available.into(), age(object.meta(), now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_shows_who_serves_and_whether() {
        let mut object = json!({ "metadata": { "name": "v1.a" } });
        let cells = |object: &Value| {
            api_service(&serde_json::from_value(object.clone()).unwrap(), Timestamp::UNIX_EPOCH)
        };
        assert_eq!(cells(&object), ["v1.a", "Local", "Unknown", "<unknown>"]);
        object["spec"] = json!({ "service": { "namespace": "n", "name": "s" } });
        for (status, reason, text) in
            [("True", "Passed", "True"), ("False", "", "False"), ("False", "Missing", "False (Missing)")]
        {
            let condition = json!({ "type": "Available", "status": status, "reason": reason });
            object["status"] = json!({ "conditions": [condition] });
            assert_eq!(cells(&object)[1..3], ["n/s", text]);
        }
        assert_eq!(cells(&object).len(), API_SERVICE.len());
    }
}
