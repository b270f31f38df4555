//! When a job counts as successful before all its indexes have succeeded.

use super::is_indexed;
use crate::batch::v1::{JobSpec, SuccessPolicyRule};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{non_negative, shown};

const MAX_RULES: usize = 20;
const MAX_INDEXES: usize = 64 << 10;

pub(super) fn policy(errors: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let Some(policy) = &spec.success_policy else { return };
    if !is_indexed(spec) {
        errors.push(Error::invalid(path.clone(), shown(policy), "requires indexed completion mode"));
        return;
    }
    let path = path.child("rules");
    if policy.rules.is_empty() {
        errors.push(Error::required(path.clone(), "at least one rules must be specified"));
    }
    if policy.rules.len() > MAX_RULES {
        errors.push(Error::too_many(path.clone(), policy.rules.len(), MAX_RULES));
    }
    for (i, one) in policy.rules.iter().enumerate() {
        rule(errors, one, spec.completions.unwrap_or(0), &path.index(i));
    }
}

fn rule(errors: &mut ErrorList, rule: &SuccessPolicyRule, completions: i32, path: &Path) {
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(Error::required(path.clone(), detail));
    }
    let mut total = 0;
    if let Some(text) = &rule.succeeded_indexes {
        let path = path.child("succeededIndexes");
        if text.len() > MAX_INDEXES {
            errors.push(Error::too_long(path.clone(), MAX_INDEXES));
        }
        match indexes(text, completions) {
            Ok(count) => total = count,
            Err(problem) => {
                let detail = format!("error parsing succeededIndexes: {problem}");
                errors.push(Error::invalid(path, text.as_str(), detail));
            }
        }
    }
    let Some(count) = rule.succeeded_count else { return };
    let path = path.child("succeededCount");
    non_negative(errors, &path, count);
    let mut most = |max: i32, what: &str| {
        if count > max {
            let detail = format!("must be less than or equal to {max} (the number of {what})");
            errors.push(Error::invalid(path.clone(), count, detail));
        }
    };
    most(completions, "specified completions");
    if rule.succeeded_indexes.is_some() {
        most(total, "indexes in the specified succeededIndexes field");
    }
}

/// How many indexes a text such as `1,3-5` names: each below `completions`, and in ascending order.
pub(super) fn indexes(text: &str, completions: i32) -> Result<i32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = |text: &str| {
        let index: i32 =
            text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= completions { Err(format!("too large index: {text:?}")) } else { Ok(index) }
    };
    let follows = |last: i32, index: i32| {
        if last < index {
            return Ok(());
        }
        Err(format!("non-increasing order, previous: {last}, current: {index}"))
    };
    let (mut total, mut last) = (0, None);
    for interval in text.split(',') {
        let (low, high) = match interval.split('-').collect::<Vec<_>>()[..] {
            [low] => (low, None),
            [low, high] => (low, Some(high)),
            _ => {
                return Err(format!(
                    "the fragment {interval:?} violates the requirement that an index interval can have at most two \
                     parts separated by '-'"
                ));
            }
        };
        let start = number(low)?;
        last.map_or(Ok(()), |last| follows(last, start))?;
        let mut end = start;
        if let Some(high) = high {
            end = number(high)?;
            follows(start, end)?;
        }
        total += end - start + 1;
        last = Some(end);
    }
    Ok(total)
}
