//! A container's log.

use std::time::Duration;

use futures::StreamExt;
use gantry_api::core::v1::{Pod, PodLogOptions};
use gantry_api::grpc::node::LogsResponse;
use gantry_log_driver::cri;
use gantry_log_driver::reader::{Options, read};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Answers, Found, Service};

pub(super) fn serve(
    service: &Service,
    found: Found,
    options: PodLogOptions,
) -> Result<Answers<LogsResponse>, Status> {
    let instance = if options.previous { &found.view.previous } else { &found.view.latest };
    let Some((id, attempt)) = instance.clone() else {
        let pod = found.pod.metadata.as_ref().map_or("", |meta| meta.name.as_str());
        return Err(Status::failed_precondition(if options.previous {
            format!("previous terminated container {:?} in pod {pod:?} not found", found.name)
        } else {
            format!(
                "container {:?} in pod {pod:?} is waiting to start{}",
                found.name,
                why(&found.pod, &found.name)
            )
        }));
    };
    let meta = found.pod.metadata.clone().unwrap_or_default();
    let path = service.host.paths.pod(&meta.uid, &meta.namespace, &meta.name).log(&found.name, attempt);
    let options = reader_options(&options, Timestamp::now())?;
    let ended = CancellationToken::new();
    // Dropped with the stream, which ends the watch too.
    let guard = ended.clone().drop_guard();
    tokio::spawn(watch_end(found, id, ended.clone(), service.stop.clone()));
    let log = read(path, options, ended).map(move |piece| {
        let _ = &guard;
        piece.map(|data| LogsResponse { data }).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Status::not_found("the container has no log any more"),
            _ => Status::unavailable(format!("the log cannot be read: {error}")),
        })
    });
    Ok(log.take_until(service.stop.clone().cancelled_owned()).boxed())
}

/// Why a container has not started yet, as far as the API has been told.
fn why(pod: &Pod, container: &str) -> String {
    let status = pod.status.as_ref();
    let all = status.into_iter().flat_map(|status| {
        let statuses = [&status.container_statuses, &status.init_container_statuses];
        statuses.into_iter().chain([&status.ephemeral_container_statuses]).flatten()
    });
    let state =
        all.filter(|status| status.name == container).filter_map(|status| status.state.as_ref()).next();
    let reason = state.and_then(|state| state.waiting.as_ref()).map(|waiting| waiting.reason.as_str());
    match reason {
        Some("ErrImagePull") => ": image can't be pulled".to_owned(),
        Some("ImagePullBackOff") => ": trying and failing to pull image".to_owned(),
        Some(reason) => format!(": {reason}"),
        None => " - no logs yet".to_owned(),
    }
}

/// Cancels `ended` once the instance does not run any more.
async fn watch_end(found: Found, id: String, ended: CancellationToken, stop: CancellationToken) {
    let mut view = found.handle.view();
    let gone = view.wait_for(|view| {
        let container = view.containers.get(&found.name);
        let same = container.and_then(|c| c.latest.as_ref()).is_some_and(|(latest, _)| *latest == id);
        !same || container.is_none_or(|container| !container.running)
    });
    tokio::select! {
        // An actor that has ended says as much.
        _ = gone => {}
        () = stop.cancelled() => {}
        () = ended.cancelled() => {}
    }
    ended.cancel();
}

fn reader_options(options: &PodLogOptions, now: Timestamp) -> Result<Options, Status> {
    let number = |name: &str, value: Option<i64>| match value.map(u64::try_from) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(Status::invalid_argument(format!("{name}: must not be negative"))),
    };
    let since = match (options.since_seconds, &options.since_time) {
        (Some(seconds), _) => {
            let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            Some(now.checked_sub(seconds).unwrap_or(Timestamp::UNIX_EPOCH))
        }
        (None, Some(time)) => time.timestamp(),
        (None, None) => None,
    };
    let stream = match options.stream.as_str() {
        "" | "All" => None,
        "Stdout" => Some(cri::Stream::Stdout),
        "Stderr" => Some(cri::Stream::Stderr),
        other => {
            return Err(Status::invalid_argument(format!("stream: {other:?} is not All, Stdout or Stderr")));
        }
    };
    Ok(Options {
        follow: options.follow,
        tail_lines: number("tailLines", options.tail_lines)?,
        since,
        timestamps: options.timestamps,
        limit_bytes: number("limitBytes", options.limit_bytes)?,
        stream,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_that_waits_says_why() {
        let pod = |reason: &str| -> Pod {
            let state = json!({"waiting": {"reason": reason}});
            serde_json::from_value(json!({"status": {"containerStatuses": [{"name": "c", "state": state}]}}))
                .unwrap()
        };
        assert_eq!(why(&pod("ContainerCreating"), "c"), ": ContainerCreating");
        assert_eq!(why(&pod("ErrImagePull"), "c"), ": image can't be pulled");
        assert_eq!(why(&pod("ImagePullBackOff"), "c"), ": trying and failing to pull image");
        assert_eq!(why(&pod("x"), "other"), " - no logs yet");
    }
}
