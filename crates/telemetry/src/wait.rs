//! Waits that end: every wait has a deadline and says what it waited for.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// A deadline passed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: not within {limit:?}{}", last.as_ref().map(|l| format!(" (last: {l})")).unwrap_or_default())]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub limit: Duration,
    /// What the last attempt said, where there were attempts.
    pub last: Option<String>,
}

/// Runs `future` for at most `limit`.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> Result<T, Timeout> {
    tokio::time::timeout(limit, future).await.map_err(|_| Timeout {
        what: what.to_owned(),
        limit,
        last: None,
    })
}

/// Calls `attempt` every `interval` until it succeeds, for at most `limit`.
///
/// An attempt that hangs is abandoned at the deadline. The timeout carries the last attempt's error.
pub async fn until<T, E, F, Fut>(
    limit: Duration,
    interval: Duration,
    what: &str,
    mut attempt: F,
) -> Result<T, Timeout>
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + limit;
    let mut last = None;
    loop {
        match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = Some(error.to_string()),
            Err(_) => return Err(Timeout { what: what.to_owned(), limit, last }),
        }
        if Instant::now() + interval >= deadline {
            return Err(Timeout { what: what.to_owned(), limit, last });
        }
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn until_returns_the_first_success() {
        let mut calls = 0;
        let value = until(Duration::from_secs(1), Duration::from_millis(10), "third call", || {
            calls += 1;
            let now = calls;
            async move { if now == 3 { Ok(now) } else { Err("not yet") } }
        })
        .await;
        assert_eq!(value.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn until_says_what_it_waited_for_and_the_last_error() {
        let result: Result<(), _> =
            until(Duration::from_secs(1), Duration::from_millis(100), "etcd to answer", || async {
                Err::<(), _>("connection refused")
            })
            .await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "etcd to answer: not within 1s (last: connection refused)"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn until_abandons_an_attempt_that_hangs() {
        let result: Result<(), _> =
            until(Duration::from_secs(1), Duration::from_millis(100), "an answer", || {
                std::future::pending::<Result<(), String>>()
            })
            .await;
        assert_eq!(result.unwrap_err().to_string(), "an answer: not within 1s");
    }
}
