//! The named checks of a component, and a report of what they say now.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

/// How long one check may take before it counts as failed.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

type Run = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Which question a check answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Should the process be restarted?
    Live,
    /// Should it get traffic? Everything that liveness asks is asked here too.
    Ready,
}

#[derive(Clone)]
struct Check {
    name: String,
    kind: Kind,
    run: Run,
}

impl Check {
    /// Whether it is asked for `kind`.
    fn answers(&self, kind: Kind) -> bool {
        kind == Kind::Ready || self.kind == Kind::Live
    }
}

/// A component's checks. Clones share the same list; checks can be added while it is served.
#[derive(Clone, Default)]
pub struct Checks {
    list: Arc<RwLock<Vec<Check>>>,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.snapshot().iter().map(|check| &check.name)).finish()
    }
}

impl Checks {
    /// No checks but `ping`, which every process that answers passes.
    pub fn new() -> Self {
        let checks = Self::default();
        checks.livez("ping", || Ok(()));
        checks
    }

    /// Adds a check to `/livez` (and so to `/readyz`), answered from memory at once.
    pub fn livez(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.add(name, Kind::Live, Arc::new(move || std::future::ready(check()).boxed()));
    }

    /// Adds a check to `/readyz`, answered from memory at once.
    pub fn readyz(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.add(name, Kind::Ready, Arc::new(move || std::future::ready(check()).boxed()));
    }

    /// Adds a check that has to ask something; it counts as failed after two seconds.
    pub fn ask<F, Fut>(&self, name: &str, kind: Kind, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, kind, Arc::new(move || check().boxed()));
    }

    /// Runs the checks of `kind`, side by side, save those named in `exclude`, which count as passed.
    pub async fn report(&self, kind: Kind, exclude: &[String]) -> Report {
        let selected: Vec<Check> = self.snapshot().into_iter().filter(|check| check.answers(kind)).collect();
        let unknown = exclude.iter().filter(|name| !selected.iter().any(|check| check.name == **name));
        let unknown = unknown.cloned().collect();
        let runs = selected.into_iter().map(|check| async move {
            if exclude.contains(&check.name) {
                return (check.name, Outcome::Excluded);
            }
            let outcome = match tokio::time::timeout(CHECK_LIMIT, (check.run)()).await {
                Ok(Ok(())) => Outcome::Passed,
                Ok(Err(reason)) => Outcome::Failed(reason),
                Err(_) => Outcome::Failed(format!("no answer within {CHECK_LIMIT:?}")),
            };
            (check.name, outcome)
        });
        Report { kind, results: futures::future::join_all(runs).await, unknown }
    }

    /// Runs the one check of this name; `None` where `kind` has no such check.
    pub async fn report_one(&self, kind: Kind, name: &str) -> Option<Report> {
        let (named, others): (Vec<Check>, Vec<Check>) = self
            .snapshot()
            .into_iter()
            .filter(|check| check.answers(kind))
            .partition(|check| check.name == name);
        let others: Vec<String> = others.into_iter().map(|check| check.name).collect();
        if named.is_empty() {
            return None;
        }
        let mut report = self.report(kind, &others).await;
        report.results.retain(|(_, outcome)| *outcome != Outcome::Excluded);
        Some(report)
    }

    fn add(&self, name: &str, kind: Kind, run: Run) {
        let check = Check { name: name.to_owned(), kind, run };
        // A panic while the list is held cannot leave it half changed: it is one push or one assignment.
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        match list.iter_mut().find(|known| known.name == name && known.kind == kind) {
            Some(known) => *known = check,
            None => list.push(check),
        }
    }

    fn snapshot(&self) -> Vec<Check> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    /// Not asked.
    Excluded,
}

/// What the checks said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    kind: Kind,
    results: Vec<(String, Outcome)>,
    /// What should be left out and is no check.
    unknown: Vec<String>,
}

impl Report {
    /// Whether every check passed.
    pub fn ok(&self) -> bool {
        !self.results.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// The answer's body: `ok`, or one line per check when something fails or `verbose` asks for it.
    pub fn text(&self, verbose: bool) -> String {
        if self.ok() && !verbose {
            return "ok".to_owned();
        }
        let mut text = String::new();
        for (name, outcome) in &self.results {
            // Writing to a string cannot fail.
            let _ = match outcome {
                Outcome::Passed => writeln!(text, "[+]{name} ok"),
                Outcome::Excluded => writeln!(text, "[+]{name} excluded: ok"),
                Outcome::Failed(reason) => writeln!(text, "[-]{name} failed: {reason}"),
            };
        }
        if !self.unknown.is_empty() {
            let names: Vec<String> = self.unknown.iter().map(|name| format!("{name:?}")).collect();
            let names = names.join(",");
            let _ = writeln!(text, "warn: some health checks cannot be excluded: no matches for {names}");
        }
        let path = if self.kind == Kind::Live { "livez" } else { "readyz" };
        text.push_str(path);
        text.push_str(if self.ok() { " check passed\n" } else { " check failed\n" });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_includes_liveness_but_not_the_reverse() {
        let checks = Checks::new();
        checks.readyz("synced", || Err("pods: not listed yet".to_owned()));
        assert!(checks.report(Kind::Live, &[]).await.ok());
        let ready = checks.report(Kind::Ready, &[]).await;
        assert!(!ready.ok());
        assert_eq!(
            ready.text(false),
            "[+]ping ok\n[-]synced failed: pods: not listed yet\nreadyz check failed\n"
        );
        let without = checks.report(Kind::Ready, &["synced".to_owned(), "x".to_owned()]).await;
        assert_eq!(
            without.text(true),
            "[+]ping ok\n[+]synced excluded: ok\nwarn: some health checks cannot be excluded: no matches for \
             \"x\"\nreadyz check passed\n"
        );
        let one = checks.report_one(Kind::Ready, "ping").await.unwrap();
        assert_eq!(one.text(true), "[+]ping ok\nreadyz check passed\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_fails_and_delays_no_other() {
        let checks = Checks::new();
        checks.ask("etcd", Kind::Live, std::future::pending);
        let report = checks.report(Kind::Live, &[]).await;
        assert_eq!(
            report.text(false),
            "[+]ping ok\n[-]etcd failed: no answer within 2s\nlivez check failed\n"
        );
    }

    #[tokio::test]
    async fn a_check_of_the_same_name_replaces_the_old_one() {
        let checks = Checks::new();
        checks.readyz("synced", || Err("no".to_owned()));
        checks.readyz("synced", || Ok(()));
        assert_eq!(
            checks.report(Kind::Ready, &[]).await.text(true),
            "[+]ping ok\n[+]synced ok\nreadyz check passed\n"
        );
    }
}
