//! How much of a capacity can be asked for, where claims share a device.

use std::cmp::Ordering;

use super::items;
use crate::field::{Error, ErrorList, Path};
use crate::resource::v1::{CapacityRequestPolicy, CapacityRequestPolicyRange};
use crate::scalars::Quantity;

const VALUES_MAX: usize = 10;
const NOT_VALID: &str = "default value is not valid according to the requestPolicy";

fn is_more(left: &Quantity, right: &Quantity) -> bool {
    left.compare(right) == Some(Ordering::Greater)
}

pub(super) fn policy(errors: &mut ErrorList, policy: &CapacityRequestPolicy, whole: &Quantity, path: &Path) {
    let mut needed = |field: &str| {
        let detail = format!("required when {field} is defined");
        errors.push(Error::required(path.child("default"), detail));
    };
    match (policy.valid_values.as_slice(), &policy.valid_range, &policy.default) {
        ([], None, _) => {}
        ([], Some(_), None) => needed("validRange"),
        ([], Some(valid), Some(default)) => range(errors, valid, default, whole, &path.child("validRange")),
        (_, None, None) => needed("validValues"),
        (valid, None, Some(default)) => values(errors, valid, default, whole, &path.child("validValues")),
        (_, Some(_), _) => {
            let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at \
                          the same time";
            errors.push(Error::forbidden(path.clone(), detail));
        }
    }
}

fn values(errors: &mut ErrorList, valid: &[Quantity], default: &Quantity, whole: &Quantity, path: &Path) {
    for (i, pair) in valid.windows(2).enumerate() {
        if let [before, after] = pair
            && is_more(before, after)
        {
            let detail = "values must be sorted in ascending order";
            errors.push(Error::invalid(path.index(i + 1), after.to_string(), detail));
        }
    }
    items(errors, valid, VALUES_MAX, path, |errors, value, path| {
        if is_more(value, whole) {
            let detail = format!("option is larger than capacity value: {whole}");
            errors.push(Error::invalid(path.clone(), value.to_string(), detail));
        }
    });
    let same = |left: &Quantity, right: &Quantity| left.compare(right) == Some(Ordering::Equal);
    let twice =
        valid.iter().enumerate().filter(|(i, value)| valid[..*i].iter().any(|other| same(other, value)));
    errors.extend(twice.map(|(i, value)| Error::duplicate(path.index(i), value.to_string())));
    if !valid.iter().any(|value| same(value, default)) {
        errors.push(Error::invalid(path.clone(), default.to_string(), NOT_VALID));
    }
}

fn range(
    errors: &mut ErrorList,
    valid: &CapacityRequestPolicyRange,
    default: &Quantity,
    whole: &Quantity,
    path: &Path,
) {
    let Some(min) = &valid.min else {
        errors.push(Error::required(path.child("min"), "required when validRange is defined"));
        return;
    };
    let mut check = |field: &str, shown: &Quantity, wrong: bool, detail: String| {
        if wrong {
            errors.push(Error::invalid(path.child(field), shown.to_string(), detail));
        }
    };
    check("min", min, is_more(min, whole), format!("min is larger than capacity value: {whole}"));
    check("default", default, is_more(min, default), format!("default is less than min: {min}"));
    if let Some(max) = &valid.max {
        check("max", min, is_more(min, max), format!("min is larger than max: {max}"));
        check("max", max, is_more(max, whole), format!("max is larger than capacity value: {whole}"));
        check("default", default, is_more(default, max), format!("default is more than max: {max}"));
    }
    if let Some(step) = &valid.step {
        steps(errors, valid, (min, step, default), whole, path);
    }
}

/// Every amount is as many steps away from the smallest.
fn steps(
    errors: &mut ErrorList,
    valid: &CapacityRequestPolicyRange,
    (min, step, default): (&Quantity, &Quantity, &Quantity),
    whole: &Quantity,
    path: &Path,
) {
    let path = path.child("step");
    let (Ok(first), Ok(by), Ok(most)) = (min.nanos(), step.nanos(), whole.nanos()) else { return };
    if by <= 0 {
        errors.push(Error::invalid(path, step.to_string(), "must be greater than zero"));
        return;
    }
    if first.saturating_add(by) > most {
        let detail = format!("one step {step} is larger than capacity value: {whole}");
        errors.push(Error::invalid(path.clone(), step.to_string(), detail));
    }
    for value in [Some(default), valid.max.as_ref()].into_iter().flatten() {
        if value.nanos().is_ok_and(|value| value.saturating_sub(first) % by != 0) {
            let detail = format!("value is not a multiple of a given step ({step}) from ({min})");
            errors.push(Error::invalid(path.clone(), value.to_string(), detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(request: Value) -> Vec<String> {
        let mut errors = ErrorList::new();
        let whole: Quantity = serde_json::from_value(json!("10Gi")).unwrap();
        policy(&mut errors, &serde_json::from_value(request).unwrap(), &whole, &Path::new("p"));
        texts(&errors)
    }

    #[test]
    fn values_are_in_order_and_have_the_default() {
        assert_eq!(of(json!({})), Vec::<String>::new());
        assert_eq!(of(json!({ "default": "1Gi", "validValues": ["1Gi", "2Gi"] })), Vec::<String>::new());
        assert_eq!(
            of(json!({ "validValues": ["1Gi"] })),
            ["p.default: Required value: required when validValues is defined"]
        );
        assert_eq!(
            of(json!({ "default": "3Gi", "validValues": ["2Gi", "1Gi", "1024Mi", "11Gi"] })),
            [
                "p.validValues[1]: Invalid value: \"1Gi\": values must be sorted in ascending order",
                "p.validValues[3]: Invalid value: \"11Gi\": option is larger than capacity value: 10Gi",
                "p.validValues[2]: Duplicate value: \"1Gi\"",
                "p.validValues: Invalid value: \"3Gi\": default value is not valid according to the requestPolicy",
            ]
        );
        assert_eq!(
            of(json!({ "default": "1", "validValues": ["1"], "validRange": { "min": "1" } })).len(),
            1
        );
    }

    #[test]
    fn a_range_has_a_smallest_and_steps() {
        let range = |default: &str, range: Value| of(json!({ "default": default, "validRange": range }));
        assert_eq!(range("2Gi", json!({ "min": "1Gi", "max": "5Gi", "step": "1Gi" })), Vec::<String>::new());
        assert_eq!(
            range("1Gi", json!({})),
            ["p.validRange.min: Required value: required when validRange is defined"]
        );
        assert_eq!(
            range("1Gi", json!({ "min": "2Gi", "max": "11Gi" })),
            [
                "p.validRange.default: Invalid value: \"1Gi\": default is less than min: 2Gi",
                "p.validRange.max: Invalid value: \"11Gi\": max is larger than capacity value: 10Gi",
            ]
        );
        assert_eq!(
            range("1536Mi", json!({ "min": "1Gi", "step": "1Gi" })),
            [
                "p.validRange.step: Invalid value: \"1536Mi\": value is not a multiple of a given step (1Gi) from (1Gi)"
            ]
        );
        assert_eq!(
            range("1Gi", json!({ "min": "1Gi", "step": "0" })),
            ["p.validRange.step: Invalid value: \"0\": must be greater than zero"]
        );
        assert_eq!(range("1Gi", json!({ "min": "1Gi", "step": "10Gi" })).len(), 1);
    }
}
