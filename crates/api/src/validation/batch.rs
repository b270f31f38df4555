//! Jobs and cron jobs.

mod failure;
mod success;
#[cfg(test)]
mod tests;
mod update;

use std::collections::BTreeMap;

use super::{
    common::{check, enumerated, non_negative, one_of, required, shown},
    cron, names, pod, selector,
};
use crate::Resource as _;
use crate::batch::v1::{CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec};
use crate::core::v1::PodTemplateSpec;
use crate::field::{Error, ErrorList, Path};
use crate::prepare::job::{NAME_LABELS, UID_LABELS};

pub(crate) use update::{job_status_update, job_update};

type Labels = BTreeMap<String, String>;

static NO_LABELS: Labels = Labels::new();

const INDEXED: &str = "Indexed";
/// What a cron job's controller appends to its name leaves so much of a label.
const CRON_JOB_NAME_MAX: usize = 52;
/// So many pods of a job with indexes run at the same time, and so many indexes may fail.
const MANY: i32 = 100_000;
/// The same for a job with more than [`MANY`] indexes that fail one by one.
const FEW: i32 = 10_000;

fn labels_of(template: Option<&PodTemplateSpec>) -> &Labels {
    template.and_then(|template| template.metadata.as_ref()).map_or(&NO_LABELS, |meta| &meta.labels)
}

fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some(INDEXED)
}

pub(crate) fn job(job: &Job) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = JobSpec::default();
    let spec = job.spec.as_ref().unwrap_or(&empty);
    generated_selector(&mut errors, job, spec);
    let path = Path::new("spec");
    job_spec(&mut errors, spec, &path);
    match &spec.selector {
        None => errors.push(Error::required(path.child("selector"), "")),
        Some(own) => selector::validate(&mut errors, own, &path.child("selector")),
    }
    let labels = labels_of(spec.template.as_ref());
    if let Ok(selector) = crate::selector::LabelSelector::from_meta(spec.selector.as_ref())
        && !selector.matches(labels)
    {
        let path = path.child("template").child("metadata").child("labels");
        errors.push(Error::invalid(path, shown(labels), "`selector` does not match template `labels`"));
    }
    if let Some(last) = spec.completions.filter(|count| is_indexed(spec) && *count > 0) {
        let host = format!("{}-{}", job.name(), last - 1);
        if !names::dns1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS hostname: {host}");
            errors.push(Error::invalid(Path::new("metadata").child("name"), job.name(), detail));
        }
    }
    errors
}

/// Where the server writes the selector, it selects by name and uid, which the template carries.
fn generated_selector(errors: &mut ErrorList, job: &Job, spec: &JobSpec) {
    let Some(own) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true)) else { return };
    let (name, uid) = (job.name(), job.meta().uid.as_str());
    required(errors, &Path::new("metadata").child("uid"), uid);
    let labels = labels_of(spec.template.as_ref());
    let path = Path::new("spec").child("template").child("metadata").child("labels");
    let expected =
        UID_LABELS.map(|label| (label, uid)).into_iter().chain(NAME_LABELS.map(|label| (label, name)));
    for (label, value) in expected.clone() {
        let detail = format!("must be '{value}'");
        match labels.get(label) {
            None => errors.push(Error::required(path.key(label), detail)),
            Some(found) if found != value => {
                errors.push(Error::invalid(path.key(label), shown(labels), detail));
            }
            Some(_) => {}
        }
    }
    let expected: Labels = expected.map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    let matches = crate::selector::LabelSelector::from_meta(Some(own)).map(|own| own.matches(&expected));
    if matches == Ok(false) {
        let path = Path::new("spec").child("selector");
        errors.push(Error::invalid(path, shown(own), "`selector` not auto-generated"));
    }
}

/// What holds for a job wherever it is described.
fn job_spec(errors: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let counts = [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ];
    for (field, count) in counts {
        non_negative(errors, &path.child(field), count.unwrap_or(0));
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        errors
            .push(Error::required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
    }
    if let Some(manager) = &spec.managed_by {
        let path = path.child("managedBy");
        domain_prefixed_path(errors, manager, &path);
        if manager.len() > names::LABEL_MAX {
            errors.push(Error::too_long(path, names::LABEL_MAX));
        }
    }
    completion(errors, spec, path);
    failure::policy(errors, spec, &path.child("podFailurePolicy"));
    success::policy(errors, spec, &path.child("successPolicy"));
    if let Some(policy) = &spec.pod_replacement_policy {
        let path = path.child("podReplacementPolicy");
        if spec.pod_failure_policy.is_some() {
            one_of(errors, &path, policy, &["Failed"]);
        } else {
            enumerated(errors, &path, policy, "batch.v1.JobSpec.podReplacementPolicy");
        }
    }
    pod::template(errors, spec.template.as_ref(), &path.child("template"));
    restart_policy(errors, spec, path);
}

/// A domain and a path below it, such as `example.com/runner`.
fn domain_prefixed_path(errors: &mut ErrorList, text: &str, path: &Path) {
    required(errors, path, text);
    let Some((domain, rest)) =
        text.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
    else {
        if !text.is_empty() {
            let detail = r#"must be a domain-prefixed path (such as "acme.io/foo")"#;
            errors.push(Error::invalid(path.clone(), text, detail));
        }
        return;
    };
    check(errors, path, domain, names::dns1123_subdomain(domain));
    if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        let detail = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
        errors.push(Error::invalid(path.clone(), rest, detail));
    }
}

fn restart_policy(errors: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let pod = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let policy = pod.map(|pod| pod.restart_policy.as_str()).unwrap_or_default();
    let path = path.child("template").child("spec").child("restartPolicy");
    match policy {
        "" | "Always" => errors.push(Error::required(path, r#"valid values: "OnFailure", "Never""#)),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            let detail = r#"only "Never" is supported when podFailurePolicy is specified"#;
            errors.push(Error::invalid(path, policy, detail));
        }
        "OnFailure" | "Never" => {}
        other => errors.push(Error::not_supported(path, other, &["OnFailure", "Never"])),
    }
}

/// What the completion mode asks of the other fields.
fn completion(errors: &mut ErrorList, spec: &JobSpec, path: &Path) {
    if let Some(mode) = &spec.completion_mode {
        enumerated(errors, &path.child("completionMode"), mode, "batch.v1.JobSpec.completionMode");
    }
    if is_indexed(spec) {
        indexed(errors, spec, path);
    } else if matches!(spec.completion_mode.as_deref(), None | Some("NonIndexed")) {
        let alone = [
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
        ];
        for (field, value) in alone {
            if let Some(value) = value {
                errors.push(Error::invalid(path.child(field), value, "requires indexed completion mode"));
            }
        }
    }
}

fn indexed(errors: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let most = |errors: &mut ErrorList, field: &str, value: Option<i32>, max: i32, detail: &str| {
        if let Some(value) = value.filter(|value| *value > max) {
            errors.push(Error::invalid(path.child(field), value, detail));
        }
    };
    if spec.completions.is_none() {
        errors.push(Error::required(path.child("completions"), "when completion mode is Indexed"));
    }
    let detail = format!("must be less than or equal to {MANY} when completion mode is Indexed");
    most(errors, "parallelism", spec.parallelism, MANY, &detail);
    if let Some(completions) = spec.completions {
        let detail = "must be less than or equal to completions";
        most(errors, "maxFailedIndexes", spec.max_failed_indexes, completions, detail);
    }
    let detail = format!("must be less than or equal to {MANY}");
    most(errors, "maxFailedIndexes", spec.max_failed_indexes, MANY, &detail);
    if spec.completions.is_some_and(|count| count > MANY) && spec.backoff_limit_per_index.is_some() {
        if spec.max_failed_indexes.is_none() {
            let detail = format!("must be specified when completions is above {MANY}");
            errors.push(Error::required(path.child("maxFailedIndexes"), detail));
        }
        let detail = format!(
            "must be less than or equal to {FEW} when completions are above {MANY} and used with backoff limit per index"
        );
        most(errors, "parallelism", spec.parallelism, FEW, &detail);
        most(errors, "maxFailedIndexes", spec.max_failed_indexes, FEW, &detail);
    }
}

pub(crate) fn cron_job(job: &CronJob) -> ErrorList {
    let mut errors = cron_job_spec(job, None);
    if job.name().len() > CRON_JOB_NAME_MAX {
        let detail = "must be no more than 52 characters";
        errors.push(Error::invalid(Path::new("metadata").child("name"), job.name(), detail));
    }
    errors
}

pub(crate) fn cron_job_update(new: &CronJob, old: &CronJob) -> ErrorList {
    cron_job_spec(new, old.spec.as_ref())
}

fn cron_job_spec(job: &CronJob, old: Option<&CronJobSpec>) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = CronJobSpec::default();
    let spec = job.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let had_zone = old.is_some_and(|old| old.schedule.contains("TZ"));
    schedule(&mut errors, spec, had_zone, &path.child("schedule"));
    non_negative(
        &mut errors,
        &path.child("startingDeadlineSeconds"),
        spec.starting_deadline_seconds.unwrap_or(0),
    );
    if old.is_none_or(|old| old.time_zone != spec.time_zone) {
        time_zone(&mut errors, spec.time_zone.as_deref(), &path.child("timeZone"));
    }
    super::common::required_enumerated(
        &mut errors,
        &path.child("concurrencyPolicy"),
        &spec.concurrency_policy,
        "batch.v1.CronJobSpec.concurrencyPolicy",
    );
    job_template(&mut errors, spec.job_template.as_ref(), &path.child("jobTemplate").child("spec"));
    for (field, count) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        non_negative(&mut errors, &path.child(field), count.unwrap_or(0));
    }
    errors
}

/// A zone within the schedule is an old habit: what has one may keep it.
fn schedule(errors: &mut ErrorList, spec: &CronJobSpec, had_zone: bool, path: &Path) {
    let schedule = spec.schedule.as_str();
    if schedule.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    check(errors, path, schedule, cron::problem(schedule).into_iter().collect());
    let detail = match (schedule.contains("TZ"), had_zone) {
        (true, true) if spec.time_zone.is_some() => {
            "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        }
        (true, false) => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        _ => return,
    };
    errors.push(Error::invalid(path.clone(), schedule, detail));
}

fn time_zone(errors: &mut ErrorList, zone: Option<&str>, path: &Path) {
    let Some(zone) = zone else { return };
    let part = |part: &str| {
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
        !matches!(part, "" | "." | "..") && !part.starts_with('-') && part.bytes().all(valid)
    };
    let detail = if zone.is_empty() {
        "timeZone must be nil or non-empty string".to_owned()
    } else if !zone.split('/').all(part) {
        format!("unknown time zone {zone}")
    } else if zone.eq_ignore_ascii_case("local") {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
    } else if !cron::is_time_zone(zone) {
        format!("unknown time zone {zone}")
    } else {
        return;
    };
    errors.push(Error::invalid(path.clone(), zone, detail));
}

fn job_template(errors: &mut ErrorList, template: Option<&JobTemplateSpec>, path: &Path) {
    let empty = JobSpec::default();
    let spec = template.and_then(|template| template.spec.as_ref()).unwrap_or(&empty);
    job_spec(errors, spec, path);
    if let Some(own) = &spec.selector {
        let detail = "`selector` will be auto-generated";
        errors.push(Error::invalid(path.child("selector"), shown(own), detail));
    }
    if spec.manual_selector == Some(true) {
        errors.push(Error::not_supported(path.child("manualSelector"), true, &["nil", "false"]));
    }
}
