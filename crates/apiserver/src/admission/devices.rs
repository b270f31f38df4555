//! When devices got their taints.

use gantry_api::resource::v1::{DeviceTaint, ResourceSlice};
use gantry_api::scalars::Time;

/// A taint without a time is new, or one that was there before.
pub(super) fn stamp(slice: &mut ResourceSlice, old: Option<&ResourceSlice>, now: Time) {
    let before: Vec<(&str, &DeviceTaint)> = old
        .and_then(|old| old.spec.as_ref())
        .iter()
        .flat_map(|spec| &spec.devices)
        .flat_map(|device| device.taints.iter().map(|taint| (device.name.as_str(), taint)))
        .collect();
    for device in slice.spec.iter_mut().flat_map(|spec| &mut spec.devices) {
        for taint in device.taints.iter_mut().filter(|taint| taint.time_added.is_none()) {
            let same = |(name, old): &&(&str, &DeviceTaint)| {
                *name == device.name && DeviceTaint { time_added: None, ..(*old).clone() } == *taint
            };
            taint.time_added = before.iter().find(same).and_then(|(_, old)| old.time_added).or(Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(effects: &[&str]) -> ResourceSlice {
        let taints: Vec<_> =
            effects.iter().map(|effect| serde_json::json!({"key": "k", "effect": effect})).collect();
        let devices = serde_json::json!([{"name": "a", "taints": taints}]);
        serde_json::from_value(serde_json::json!({"spec": {"devices": devices}})).unwrap()
    }

    #[test]
    fn a_taint_keeps_its_time() {
        let time = |seconds| Time { seconds, nanos: 0 };
        let mut first = slice(&["NoSchedule"]);
        stamp(&mut first, None, time(1));
        let mut second = slice(&["NoSchedule", "NoExecute"]);
        stamp(&mut second, Some(&first), time(2));
        let taints = &second.spec.unwrap().devices[0].taints;
        assert_eq!((taints[0].time_added, taints[1].time_added), (Some(time(1)), Some(time(2))));
    }
}
