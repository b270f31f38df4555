//! Claims of devices.

use super::text;
use crate::resource::v1::{
    DeviceClaim, DeviceToleration, ResourceClaim, ResourceClaimSpec, ResourceClaimTemplate,
};

pub(crate) fn claim(claim: &mut ResourceClaim) {
    spec(claim.spec.get_or_insert_default());
    let results = claim.status.iter_mut().filter_map(|status| status.allocation.as_mut()?.devices.as_mut());
    results.flat_map(|devices| &mut devices.results).for_each(|result| tolerations(&mut result.tolerations));
}

pub(crate) fn template(template: &mut ResourceClaimTemplate) {
    spec(template.spec.get_or_insert_default().spec.get_or_insert_default());
}

fn spec(spec: &mut ResourceClaimSpec) {
    let devices: &mut DeviceClaim = spec.devices.get_or_insert_default();
    for request in &mut devices.requests {
        if let Some(exactly) = &mut request.exactly {
            amount(&mut exactly.allocation_mode, &mut exactly.count);
            tolerations(&mut exactly.tolerations);
        }
        for sub in &mut request.first_available {
            amount(&mut sub.allocation_mode, &mut sub.count);
            tolerations(&mut sub.tolerations);
        }
    }
}

/// One device, where it is not said that all are wanted.
fn amount(mode: &mut String, count: &mut i64) {
    text(mode, "ExactCount");
    if mode == "ExactCount" && *count == 0 {
        *count = 1;
    }
}

fn tolerations(tolerations: &mut [DeviceToleration]) {
    tolerations.iter_mut().for_each(|toleration| text(&mut toleration.operator, "Equal"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_wants_one_device() {
        let requests = json!([
            { "exactly": { "tolerations": [{}] } },
            { "firstAvailable": [{ "allocationMode": "All" }, { "count": 2 }] },
        ]);
        let spec = json!({ "devices": { "requests": requests } });
        let mut of = serde_json::from_value(json!({ "spec": spec })).unwrap();
        claim(&mut of);
        let requests = of.spec.unwrap().devices.unwrap().requests;
        let exactly = requests[0].exactly.clone().unwrap();
        assert_eq!((exactly.allocation_mode.as_str(), exactly.count), ("ExactCount", 1));
        assert_eq!(exactly.tolerations[0].operator, "Equal");
        let counts: Vec<i64> = requests[1].first_available.iter().map(|sub| sub.count).collect();
        assert_eq!(counts, [0, 2]);
        let mut of = ResourceClaimTemplate::default();
        template(&mut of);
        assert!(of.spec.unwrap().spec.is_some());
    }
}
