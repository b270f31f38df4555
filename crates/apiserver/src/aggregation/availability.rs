//! Whether an APIService is available, as far as its Service tells, and what its status says of it.

use gantry_api::Resource as _;
use gantry_api::apiregistration::v1::{ApiService, ApiServiceCondition, ServiceReference};
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;
use gantry_api::scalars::Time;

use super::place::is_ready;

pub(super) const AVAILABLE: &str = "Available";

/// What is found about an APIService.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) available: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn local() -> Self {
        let message = "Local APIServices are always available".to_owned();
        Self { available: true, reason: "Local", message }
    }

    pub(super) fn passed() -> Self {
        Self { available: true, reason: "Passed", message: "all checks passed".to_owned() }
    }

    /// The server did not answer as it must.
    pub(super) fn failed(why: String) -> Self {
        Self::not("FailedDiscoveryCheck", why)
    }

    fn not(reason: &'static str, message: String) -> Self {
        Self { available: false, reason, message }
    }

    /// Writes it into the status; the time of the transition is kept where there was none.
    pub(super) fn write(&self, object: &mut ApiService, now: Time) {
        let conditions = &mut object.status.get_or_insert_default().conditions;
        let status = if self.available { "True" } else { "False" };
        let index = conditions.iter().position(|condition| condition.r#type == AVAILABLE);
        let condition = match index {
            Some(index) => &mut conditions[index],
            None => {
                let new = ApiServiceCondition { r#type: AVAILABLE.to_owned(), ..Default::default() };
                conditions.push(new);
                let last = conditions.len() - 1;
                &mut conditions[last]
            }
        };
        if condition.status != status {
            status.clone_into(&mut condition.status);
            condition.last_transition_time = Some(now);
        }
        self.reason.clone_into(&mut condition.reason);
        condition.message.clone_from(&self.message);
    }
}

/// Whether an APIService says that it is available.
pub(super) fn is_available(object: &ApiService) -> bool {
    let mut conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|condition| condition.r#type == AVAILABLE && condition.status == "True")
}

/// What the Service and its endpoints say; nothing where the server itself is to be asked.
pub(super) fn of_service(
    reference: &ServiceReference,
    service: Option<&Service>,
    slices: &[EndpointSlice],
) -> Option<Verdict> {
    let named = format!("service/{} in {:?}", reference.name, reference.namespace);
    let Some(service) = service else {
        return Some(Verdict::not("ServiceNotFound", format!("{named} is not present")));
    };
    let spec = service.spec.clone().unwrap_or_default();
    if !matches!(spec.r#type.as_str(), "" | "ClusterIP") {
        return None;
    }
    let port = reference.port.unwrap_or(443);
    let Some(found) = spec.ports.iter().find(|one| one.port == port) else {
        return Some(Verdict::not("ServicePortError", format!("{named} is not listening on port {port}")));
    };
    if slices.is_empty() {
        return Some(Verdict::not("EndpointsNotFound", format!("cannot find endpointslices for {named}")));
    }
    let has = |slice: &EndpointSlice| {
        slice.endpoints.iter().any(is_ready)
            && slice.ports.iter().any(|port| port.name.as_ref() == Some(&found.name) && port.port.is_some())
    };
    if !slices.iter().any(has) {
        let message = format!("endpointslices for {named} have no addresses with port name {:?}", found.name);
        return Some(Verdict::not("MissingEndpoints", message));
    }
    None
}

/// Counted when it becomes unavailable: why, as its status tells.
pub(super) fn became_unavailable(before: &ApiService, after: &ApiService) -> Option<String> {
    if !is_available(before) || is_available(after) {
        return None;
    }
    let mut conditions = after.status.iter().flat_map(|status| &status.conditions);
    let found = conditions.find(|condition| condition.r#type == AVAILABLE);
    Some(found.map_or_else(|| "UnknownReason".to_owned(), |condition| condition.reason.clone()))
}

/// The name of an object's Service and its namespace.
pub(super) fn reference(object: &ApiService) -> Option<&ServiceReference> {
    object.spec.as_ref()?.service.as_ref()
}

/// Whether the APIService is about a group and version that another server may serve.
pub(super) fn is_remote(object: &ApiService) -> bool {
    reference(object).is_some() && !object.name().ends_with('.')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judge(service: Option<Value>, slices: Value) -> Option<(&'static str, String)> {
        let reference: ServiceReference =
            serde_json::from_value(json!({"namespace": "n", "name": "s", "port": 443})).unwrap();
        let service: Option<Service> =
            service.map(|spec| serde_json::from_value(json!({"spec": spec})).unwrap());
        let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
        let verdict = of_service(&reference, service.as_ref(), &slices)?;
        assert!(!verdict.available);
        Some((verdict.reason, verdict.message))
    }

    #[test]
    fn what_is_missing_is_told() {
        let found = judge(None, json!([]));
        assert_eq!(found, Some(("ServiceNotFound", "service/s in \"n\" is not present".to_owned())));
        let service =
            |port: i32| Some(json!({"type": "ClusterIP", "ports": [{"name": "web", "port": port}]}));
        let text = "service/s in \"n\" is not listening on port 443".to_owned();
        assert_eq!(judge(service(80), json!([])), Some(("ServicePortError", text)));
        let text = "cannot find endpointslices for service/s in \"n\"".to_owned();
        assert_eq!(judge(service(443), json!([])), Some(("EndpointsNotFound", text)));
        let slice = |port: &str, ready: bool| {
            json!([{
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
                "ports": [{"name": port, "port": 1}],
            }])
        };
        let text =
            "endpointslices for service/s in \"n\" have no addresses with port name \"web\"".to_owned();
        for slices in [slice("web", false), slice("x", true)] {
            assert_eq!(judge(service(443), slices), Some(("MissingEndpoints", text.clone())));
        }
        assert_eq!(judge(service(443), slice("web", true)), None);
        assert_eq!(judge(Some(json!({"type": "ExternalName", "externalName": "a"})), json!([])), None);
    }

    #[test]
    fn a_transition_has_its_time() {
        let (mut object, at) = (ApiService::default(), |seconds| Time { seconds, nanos: 0 });
        Verdict::failed("x".to_owned()).write(&mut object, at(1));
        let before = object.clone();
        Verdict::failed("y".to_owned()).write(&mut object, at(2));
        let condition = object.status.clone().unwrap().conditions[0].clone();
        assert_eq!((condition.last_transition_time, condition.message.as_str()), (Some(at(1)), "y"));
        assert_eq!(became_unavailable(&before, &object), None);
        Verdict::passed().write(&mut object, at(3));
        let conditions = object.status.clone().unwrap().conditions;
        assert_eq!((conditions.len(), conditions[0].last_transition_time), (1, Some(at(3))));
        assert!(is_available(&object));
        assert_eq!(became_unavailable(&object, &before).as_deref(), Some("FailedDiscoveryCheck"));
    }
}
