//! Tables: a pod as it is, and what is to be done about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use gantry_api::core::v1::Pod;

use super::*;
use crate::pod::snapshot::{ContainerRecord, Failure, Health, Instance};

/// All tests happen at this second.
const NOW: i64 = 10_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn system(second: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(second).unwrap())
}

fn pod(spec: &str) -> Pod {
    let text = format!(r#"{{"metadata":{{"name":"p","namespace":"n","uid":"u"}},"spec":{spec}}}"#);
    serde_json::from_str(&text).unwrap()
}

/// A pod whose sandbox and volumes are there.
fn snapshot(spec: &str) -> PodSnapshot {
    PodSnapshot {
        pod: Arc::new(pod(spec)),
        now: at(NOW),
        removed: None,
        sandbox: Step::Done,
        volumes: Step::Done,
        teardown: TearDown::None,
        addresses: Vec::new(),
        host_addresses: Vec::new(),
        started_at: at(NOW - 100),
        containers: BTreeMap::new(),
        resize: Default::default(),
        status_sent: true,
    }
}

fn instance(attempt: u32, crashes: u32, state: ContainerState) -> Instance {
    Instance {
        id: format!("id{attempt}"),
        attempt,
        crashes,
        image: "i".into(),
        image_id: "sha256:i".into(),
        created_at: at(0),
        state,
        message: None,
        start_error: false,
    }
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 1, started_at: system(NOW - 50) }
}

fn exited(code: i32, started: i64, finished: i64) -> ContainerState {
    ContainerState::Exited {
        exit_code: code,
        started_at: system(started),
        finished_at: system(finished),
        oom_killed: false,
    }
}

impl PodSnapshot {
    fn with(mut self, name: &str, latest: Instance) -> Self {
        let health = Health { started: true, ready: true, failed: None };
        let record = ContainerRecord { latest: Some(latest), health, ..ContainerRecord::default() };
        self.containers.insert(name.to_owned(), record);
        self
    }

    fn change(mut self, name: &str, change: impl FnOnce(&mut ContainerRecord)) -> Self {
        change(self.containers.entry(name.to_owned()).or_default());
        self
    }

    fn deleted(mut self, deadline: i64) -> Self {
        let mut pod = (*self.pod).clone();
        let meta = pod.metadata.get_or_insert_default();
        meta.deletion_timestamp = Some(at(deadline).into());
        self.pod = Arc::new(pod);
        self
    }
}

/// Actions in short: `start c/1`, `stop c@10030 Deleted`, ...
fn shown(snapshot: &PodSnapshot) -> Vec<String> {
    decide(snapshot)
        .into_iter()
        .map(|action| match action {
            Action::SetUpSandbox => "sandbox".to_owned(),
            Action::SetUpVolumes => "volumes".to_owned(),
            Action::Start { container, attempt, crashes } => format!("start {container}/{attempt}+{crashes}"),
            Action::Stop { container, deadline, why } => {
                format!("stop {container}@{} {why:?}", deadline.as_second())
            }
            Action::Resize { containers } => format!("resize {}", containers.join(" ")),
            Action::CancelStarts => "cancel".to_owned(),
            Action::TearDown { purge } => format!("teardown purge={purge}"),
            Action::DeleteObject => "delete".to_owned(),
            Action::Forget => "forget".to_owned(),
            Action::WakeAt(time) => format!("wake {}", time.as_second()),
        })
        .collect()
}

const ONE: &str = r#"{"containers":[{"name":"c","image":"i"}]}"#;
const TWO: &str = r#"{"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}"#;
const INITS: &str = r#"{"initContainers":[{"name":"i1","image":"i"},{"name":"side","image":"i","restartPolicy":"Always"},
    {"name":"i2","image":"i"}],"containers":[{"name":"c","image":"i"}]}"#;

fn policy(policy: &str) -> String {
    format!(r#"{{"restartPolicy":"{policy}","containers":[{{"name":"c","image":"i"}}]}}"#)
}

#[test]
fn preparation_comes_first_and_side_by_side() {
    let mut new = snapshot(ONE);
    (new.sandbox, new.volumes) = (Step::Absent, Step::Absent);
    assert_eq!(shown(&new), ["sandbox", "volumes"]);
    new.sandbox = Step::Busy;
    new.volumes = Step::Failed(Failure {
        reason: "FailedMount".into(),
        message: String::new(),
        at: at(NOW),
        retry_at: at(NOW + 3),
        count: 1,
    });
    assert_eq!(shown(&new), ["wake 10003"]);
    new.now = at(NOW + 3);
    assert_eq!(shown(&new), ["volumes"]);
}

#[test]
fn containers_start_side_by_side() {
    assert_eq!(shown(&snapshot(TWO)), ["start a/0+0", "start b/0+0"]);
    let half = snapshot(TWO).with("a", instance(0, 0, running()));
    assert_eq!(shown(&half), ["start b/0+0"]);
    let busy = half.change("b", |b| b.work = Some(Work::Starting));
    assert!(shown(&busy).is_empty());
}

#[test]
fn a_container_that_was_created_and_not_started_goes_on() {
    let created = snapshot(ONE).with("c", instance(2, 1, ContainerState::Created));
    assert_eq!(shown(&created), ["start c/2+1"]);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let done = || instance(0, 0, exited(0, 1, 2));
    let table = [
        (snapshot(INITS), vec!["start i1/0+0"]),
        (snapshot(INITS).with("i1", instance(0, 0, running())), vec![]),
        (snapshot(INITS).with("i1", done()), vec!["start side/0+0"]),
        (snapshot(INITS).with("i1", done()).with("side", instance(0, 0, running())), vec!["start i2/0+0"]),
        (
            snapshot(INITS).with("i1", done()).with("side", instance(0, 0, running())).with("i2", done()),
            vec!["start c/0+0"],
        ),
    ];
    for (snapshot, actions) in table {
        assert_eq!(shown(&snapshot), actions);
    }
}

#[test]
fn an_ephemeral_container_waits_for_nobody_and_runs_once() {
    const DEBUGGED: &str = r#"{"restartPolicy":"Always","containers":[{"name":"c","image":"i"}],
        "initContainers":[{"name":"i1","image":"i"}],"ephemeralContainers":[{"name":"d","image":"i"}]}"#;
    let begun = || snapshot(DEBUGGED).with("i1", instance(0, 0, running()));
    assert_eq!(shown(&begun()), ["start d/0+0"]);
    assert!(shown(&begun().with("d", instance(0, 0, running()))).is_empty());
    assert!(shown(&begun().with("d", instance(0, 0, exited(1, 1, 2)))).is_empty());
    let ending = begun().with("d", instance(0, 0, running())).deleted(NOW + 30);
    assert_eq!(shown(&ending), ["stop i1@10030 Deleted", "stop d@10030 Deleted"]);
}

#[test]
fn a_sidecar_holds_up_the_others_until_it_has_started_and_is_restarted_for_ever() {
    let done = || instance(0, 0, exited(0, 1, 2));
    let unstarted = snapshot(INITS).with("i1", done()).with("side", instance(0, 0, running()));
    let unstarted = unstarted.change("side", |side| side.health.started = false);
    assert!(shown(&unstarted).is_empty());
    let ended = snapshot(INITS)
        .with("i1", done())
        .with("i2", done())
        .with("side", done())
        .with("c", instance(0, 0, running()));
    assert_eq!(shown(&ended), ["start side/1+1"]);
}

#[test]
fn a_failed_init_container_is_tried_again_unless_the_pod_is_never_restarted() {
    let failed = || instance(0, 0, exited(1, 1, 2));
    assert_eq!(shown(&snapshot(INITS).with("i1", failed())), ["start i1/1+1"]);
    let never = r#"{"restartPolicy":"Never","initContainers":[{"name":"i","image":"i"}],
        "containers":[{"name":"c","image":"i"}]}"#;
    assert_eq!(shown(&snapshot(never).with("i", failed())), ["teardown purge=false"]);
}

#[test]
fn restarts_follow_the_policy() {
    for (name, code, actions) in [
        ("Always", 0, vec!["start c/1+1"]),
        ("Always", 1, vec!["start c/1+1"]),
        ("OnFailure", 0, vec!["teardown purge=false"]),
        ("OnFailure", 1, vec!["start c/1+1"]),
        ("Never", 0, vec!["teardown purge=false"]),
        ("Never", 1, vec!["teardown purge=false"]),
    ] {
        let ended = snapshot(&policy(name)).with("c", instance(0, 0, exited(code, 1, 2)));
        assert_eq!(shown(&ended), actions, "{name} after {code}");
    }
}

#[test]
fn crashes_back_off_and_a_long_run_resets_them() {
    // Ended at this very second, after so many crashes before it.
    let crash = |crashes, ran: i64| {
        shown(&snapshot(ONE).with("c", instance(crashes, crashes, exited(1, NOW - ran, NOW))))
    };
    assert_eq!(crash(0, 1), ["start c/1+1"]);
    assert_eq!(crash(1, 1), ["wake 10010"]);
    assert_eq!(crash(2, 1), ["wake 10020"]);
    assert_eq!(crash(3, 1), ["wake 10040"]);
    assert_eq!(crash(9, 1), ["wake 10300"]);
    assert_eq!(crash(9, 600), ["start c/10+1"]);
    let waited = snapshot(ONE).with("c", instance(1, 1, exited(1, NOW - 20, NOW - 10)));
    assert_eq!(shown(&waited), ["start c/2+2"]);
}

#[test]
fn a_failure_to_start_waits_for_its_retry() {
    let failed = |retry| {
        snapshot(ONE).change("c", |c| {
            c.failure = Some(Failure {
                reason: "ErrImagePull".into(),
                message: String::new(),
                at: at(NOW - 5),
                retry_at: at(retry),
                count: 1,
            });
        })
    };
    assert_eq!(shown(&failed(NOW + 5)), ["wake 10005"]);
    assert_eq!(shown(&failed(NOW)), ["start c/0+0"]);
}

#[test]
fn a_condemned_container_is_stopped_with_its_grace() {
    let spec = r#"{"terminationGracePeriodSeconds":7,"containers":[{"name":"c","image":"i",
        "livenessProbe":{"terminationGracePeriodSeconds":3}}]}"#;
    let condemned = |kind| {
        let running = snapshot(spec).with("c", instance(0, 0, running()));
        shown(&running.change("c", |c| c.health.failed = Some(kind)))
    };
    assert_eq!(condemned(ProbeKind::Liveness), ["stop c@10003 Probe(Liveness)"]);
    assert_eq!(condemned(ProbeKind::Startup), ["stop c@10007 Probe(Startup)"]);
}

#[test]
fn a_new_image_replaces_the_container() {
    let mut old = instance(0, 0, running());
    old.image = "other".into();
    assert_eq!(shown(&snapshot(ONE).with("c", old)), ["stop c@10030 Changed"]);
}

#[test]
fn deletion_stops_everything_and_then_takes_it_down() {
    let up = || snapshot(TWO).with("a", instance(0, 0, running())).with("b", instance(0, 0, running()));
    assert_eq!(shown(&up().deleted(NOW + 9)), ["stop a@10009 Deleted", "stop b@10009 Deleted"]);
    let stopping = |deadline| up().change("a", |a| a.work = Some(Work::Stopping(at(deadline))));
    assert_eq!(shown(&stopping(NOW + 9).deleted(NOW + 9)), ["stop b@10009 Deleted"]);
    // A second, more urgent deletion shortens the first.
    let urgent = shown(&stopping(NOW + 30).deleted(NOW + 1));
    assert_eq!(urgent, ["stop a@10001 Deleted", "stop b@10001 Deleted"]);

    let mut down = snapshot(TWO).deleted(NOW);
    for name in ["a", "b"] {
        down = down.with(name, instance(0, 0, exited(0, 1, 2)));
    }
    assert_eq!(shown(&down), ["teardown purge=true"]);
    down.teardown = TearDown::Busy;
    assert!(shown(&down).is_empty());
    down.teardown = TearDown::Failed(at(NOW + 1));
    assert_eq!(shown(&down), ["wake 10001"]);
    down.teardown = TearDown::Purged;
    assert_eq!(shown(&down), ["delete"]);
    down.status_sent = false;
    assert!(shown(&down).is_empty(), "the last status comes before the end");
    down.removed = Some(at(NOW));
    assert_eq!(shown(&down), ["forget"]);
}

#[test]
fn deletion_while_starting_cancels_and_waits() {
    let starting = snapshot(ONE).change("c", |c| c.work = Some(Work::Starting)).deleted(NOW + 9);
    assert_eq!(shown(&starting), ["cancel"]);
    let mut preparing = snapshot(ONE).deleted(NOW + 9);
    preparing.sandbox = Step::Busy;
    assert_eq!(shown(&preparing), ["cancel"]);
    preparing.sandbox = Step::Absent;
    assert_eq!(shown(&preparing), ["teardown purge=true"]);
}

#[test]
fn sidecars_end_last_and_in_reverse() {
    let spec = r#"{"initContainers":[{"name":"s1","image":"i","restartPolicy":"Always"},
        {"name":"s2","image":"i","restartPolicy":"Always"}],"containers":[{"name":"c","image":"i"}]}"#;
    let up = |names: &[&str]| {
        names.iter().fold(snapshot(spec).deleted(NOW), |all, name| all.with(name, instance(0, 0, running())))
    };
    assert_eq!(shown(&up(&["s1", "s2", "c"])), ["stop c@10000 Deleted"]);
    assert_eq!(shown(&up(&["s1", "s2"])), ["stop s2@10000 Deleted"]);
    assert_eq!(shown(&up(&["s1"])), ["stop s1@10000 Deleted"]);
    // A pod whose main containers have ended for good does not live on for its sidecars.
    let spec = spec.replacen('{', r#"{"restartPolicy":"Never","#, 1);
    let ended =
        snapshot(&spec).with("s1", instance(0, 0, running())).with("c", instance(0, 0, exited(0, 1, 2)));
    assert_eq!(shown(&ended), ["stop s1@10030 PodEnded"]);
}

#[test]
fn an_object_that_is_gone_is_followed() {
    let mut gone = snapshot(ONE).with("c", instance(0, 0, running()));
    gone.removed = Some(at(NOW + 2));
    assert_eq!(shown(&gone), ["stop c@10002 Deleted"]);
}

#[test]
fn the_active_deadline_ends_the_pod() {
    let spec = r#"{"activeDeadlineSeconds":150,"containers":[{"name":"c","image":"i"}]}"#;
    let mut pod = snapshot(spec).with("c", instance(0, 0, running()));
    assert_eq!(shown(&pod), ["wake 10050"]);
    pod.now = at(NOW + 50);
    assert_eq!(shown(&pod), ["stop c@10080 PodEnded"]);
}

#[test]
fn what_the_api_calls_failed_stays_failed() {
    let mut pod = snapshot(ONE);
    let mut object = (*pod.pod).clone();
    object.status.get_or_insert_default().phase = "Failed".into();
    pod.pod = Arc::new(object);
    assert_eq!(shown(&pod), ["teardown purge=false"]);
    pod.teardown = TearDown::Released;
    assert!(shown(&pod).is_empty());
    assert_eq!(shown(&pod.deleted(NOW)), ["teardown purge=true"]);
}

#[test]
fn a_lost_container_is_started_again() {
    let lost = instance(0, 0, ContainerState::Lost { started_at: system(NOW - 50) });
    assert_eq!(shown(&snapshot(ONE).with("c", lost)), ["start c/1+1"]);
}

#[test]
fn probes_run_when_they_ought_to() {
    let spec = r#"{"containers":[{"name":"c","image":"i","startupProbe":{},"readinessProbe":{},"livenessProbe":{}}]}"#;
    let kinds = |snapshot: &PodSnapshot| -> Vec<_> { probes(snapshot).iter().map(|key| key.kind).collect() };
    let up = || snapshot(spec).with("c", instance(0, 0, running()));
    assert_eq!(kinds(&up().change("c", |c| c.health.started = false)), [ProbeKind::Startup]);
    assert_eq!(kinds(&up()), [ProbeKind::Readiness, ProbeKind::Liveness]);
    assert_eq!(kinds(&up().deleted(NOW)), [ProbeKind::Readiness]);
    assert!(kinds(&up().change("c", |c| c.work = Some(Work::Starting))).is_empty());
    assert!(kinds(&snapshot(spec)).is_empty());
}

#[test]
fn resources_are_brought_to_what_runs() {
    let spec = r#"{"containers":[
        {"name":"a","image":"i","resources":{"requests":{"cpu":"2"}}},
        {"name":"b","image":"i","resources":{"requests":{"cpu":"2"}},
            "resizePolicy":[{"resourceName":"cpu","restartPolicy":"RestartContainer"}]},
        {"name":"c","image":"i","resources":{"requests":{"cpu":"2"}}}]}"#;
    let applied = |cpu: &str| {
        let resources = serde_json::from_str(&format!(r#"{{"requests":{{"cpu":"{cpu}"}}}}"#)).unwrap();
        move |record: &mut ContainerRecord| record.applied = Some(resources)
    };
    let all = snapshot(spec)
        .with("a", instance(0, 0, running()))
        .with("b", instance(0, 0, running()))
        .with("c", instance(0, 0, running()));
    let mut all = all.change("a", applied("1")).change("b", applied("1")).change("c", applied("2"));
    assert_eq!(shown(&all), ["stop b@10030 Resized", "resize a"]);
    all.resize.failure = Some(Failure {
        reason: "Error".into(),
        message: String::new(),
        at: at(NOW),
        retry_at: at(NOW + 3),
        count: 1,
    });
    assert_eq!(shown(&all), ["stop b@10030 Resized", "wake 10003"]);
    let busy = all.change("a", |record| record.work = Some(Work::Resizing));
    let busy = busy.change("b", |record| record.work = Some(Work::Stopping(at(NOW + 30))));
    assert_eq!(shown(&busy), [""; 0]);
    assert_eq!(shown(&busy.deleted(NOW + 5))[..1], ["stop a@10005 Deleted"]);
}
