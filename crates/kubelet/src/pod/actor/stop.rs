//! Ending one instance of a container.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::Container;
use gantry_container_runtime::Error as RuntimeError;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::message::End;
use super::prepare::Job;
use crate::cluster::Severity;
use crate::container::hook;
use crate::probe::Target;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// How long a killed process may take to be gone before it is killed again.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How often it is killed before the next decision is left to whoever looks at the pod anew.
const KILL_ATTEMPTS: u32 = 3;

/// What a stop under way can be told.
pub(super) struct StopHandle {
    /// When the instance is killed.
    pub(super) deadline: watch::Sender<Timestamp>,
    /// Cancelled once it has ended.
    pub(super) ended: CancellationToken,
}

/// One stop.
pub(super) struct StopJob {
    pub(super) job: Job,
    pub(super) container: Arc<Container>,
    pub(super) id: String,
    pub(super) image_id: String,
    pub(super) address: Option<std::net::IpAddr>,
    pub(super) deadline: watch::Receiver<Timestamp>,
    pub(super) ended: CancellationToken,
}

impl StopJob {
    /// Pre-stop hook, stop signal, and SIGKILL at the deadline; ends when the instance has.
    pub(super) async fn run(mut self) -> End {
        let ended = self.ended.clone();
        if ended.run_until_cancelled(self.end()).await.is_none() {
            return End::Told;
        }
        match self.job.host.runtime.container_status(&self.id).await {
            Ok(status) => End::Asked(status),
            Err(_) => End::Lost,
        }
    }

    async fn end(&mut self) {
        if let Some(hook) = self.container.lifecycle.as_ref().and_then(|l| l.pre_stop.clone()) {
            self.pre_stop(&hook).await;
        }
        let signal = self.signal().await;
        if !self.kill(signal, false).await {
            return;
        }
        self.until_deadline(std::future::pending::<()>()).await;
        for _ in 0..KILL_ATTEMPTS {
            if !self.kill(SIGKILL, true).await {
                return;
            }
            tokio::time::sleep(KILL_LIMIT).await;
            tracing::warn!(id = self.id, "still running after SIGKILL");
        }
    }

    /// Runs `future` up to the deadline, which may move; `None` when it was not done by then.
    async fn until_deadline<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(future);
        loop {
            let left = self.deadline.borrow_and_update().duration_since(Timestamp::now());
            let left = Duration::try_from(left).unwrap_or_default();
            tokio::select! {
                value = &mut future => return Some(value),
                () = tokio::time::sleep(left) => return None,
                changed = self.deadline.changed() => if changed.is_err() { return None },
            }
        }
    }

    async fn pre_stop(&mut self, hook: &gantry_api::core::v1::LifecycleHandler) {
        let target = Target {
            runtime: Arc::clone(&self.job.host.runtime),
            id: self.id.clone(),
            address: self.address,
            container: Arc::clone(&self.container),
        };
        let left = self.deadline.borrow().duration_since(Timestamp::now());
        let left = Duration::try_from(left).unwrap_or_default();
        let result = self.until_deadline(hook::run(&target, hook, left)).await;
        let message = match result {
            Some(Ok(())) => return,
            Some(Err(message)) => message,
            None => "not done within the grace period".to_owned(),
        };
        let text = format!("PreStopHook failed: {message}");
        let container = Some(self.container.name.as_str());
        self.job.host.cluster.event(&self.job.pod, container, Severity::Warning, "FailedPreStopHook", &text);
    }

    /// The signal that asks the container to end: the pod's choice, else the image's, else SIGTERM.
    async fn signal(&self) -> i32 {
        if let Some(signal) =
            self.container.lifecycle.as_ref().and_then(|l| l.stop_signal.as_deref()).and_then(parse)
        {
            return signal;
        }
        match self.job.host.runtime.find_image(&self.image_id).await {
            Ok(Some(image)) => parse(&image.config.stop_signal).unwrap_or(SIGTERM),
            // The image may be gone while its containers run.
            Ok(None) | Err(_) => SIGTERM,
        }
    }

    /// `false` when there is nothing left to kill.
    async fn kill(&self, signal: i32, all: bool) -> bool {
        match self.job.host.runtime.kill(&self.id, signal, all).await {
            Ok(()) => true,
            Err(RuntimeError::NotFound { .. }) => false,
            Err(error) => {
                tracing::warn!(%error, id = self.id, signal, "signal not delivered");
                true
            }
        }
    }
}

/// A signal by name, with or without `SIG`, or by number.
pub(super) fn parse(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = name.to_uppercase();
    let short = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some((base, sign, offset)) = short
        .strip_prefix("RTMIN+")
        .map(|offset| (34, 1, offset))
        .or_else(|| short.strip_prefix("RTMAX-").map(|offset| (64, -1, offset)))
    {
        return offset.parse::<i32>().ok().map(|n| base + sign * n).filter(|n| (34..=64).contains(n));
    }
    match short {
        "RTMIN" => return Some(34),
        "RTMAX" => return Some(64),
        _ => {}
    }
    format!("SIG{short}").parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn signals_have_names_and_numbers() {
        for (name, number) in [
            ("SIGTERM", Some(15)),
            ("quit", Some(3)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("", None),
            ("SIGWHAT", None),
            ("0", None),
            ("99", None),
        ] {
            assert_eq!(parse(name), number, "{name}");
        }
    }
}
