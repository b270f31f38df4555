//! Reading a log as `logs` shows it: the texts of its records, across rotated files, now or as they come.

mod cursor;
mod tail;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream as FutureStream;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cri::Stream;
use cursor::{Cursor, Step};

/// How often a followed log is looked at: soon after something came, more rarely when nothing does.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long after the container's end its log driver may still be writing.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Which part of a log to read, and how to show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Go on with what comes later, until the container has ended.
    pub follow: bool,
    /// Only so many of the records that there are at first.
    pub tail_lines: Option<u64>,
    /// Only records of this time or later.
    pub since: Option<Timestamp>,
    /// Begin each line with its time.
    pub timestamps: bool,
    /// Stop after so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only records of this stream.
    pub stream: Option<Stream>,
}

/// Reads the log at `path` (the current file; rotated ones are found beside it).
///
/// `ended` is to be cancelled when the container has ended. A followed log ends when its writer is gone, which is told
/// by the writer's lock and so never cuts off what is still on its way; `ended` only covers what the lock cannot: a log
/// that was never written, or a writer that something else keeps alive.
///
/// # Errors
/// The stream yields an error, and ends, when a file cannot be read. A log that is not followed and does not exist is
/// [`io::ErrorKind::NotFound`].
pub fn read(
    path: impl Into<PathBuf>,
    options: Options,
    ended: CancellationToken,
) -> impl FutureStream<Item = io::Result<Bytes>> + Send {
    let path = path.into();
    async_stream::try_stream! {
        let mut pauses = Pauses { next: SHORTEST_PAUSE, left: DRAIN_LIMIT, ended };
        let mut cursor = loop {
            let (path, options) = (path.clone(), options.clone());
            let follow = options.follow;
            match blocking(move || Cursor::open(path, options)).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound && follow => {
                    if pauses.ended.is_cancelled() {
                        return;
                    }
                    pauses.pause().await;
                }
                other => break other?,
            }
        };
        loop {
            let (moved, step) = blocking(move || {
                let step = cursor.step()?;
                Ok((cursor, step))
            }).await?;
            cursor = moved;
            match step {
                Step::Read(bytes) => {
                    pauses.reset();
                    if !bytes.is_empty() {
                        yield bytes;
                    }
                }
                Step::Idle if pauses.left.is_zero() => return,
                Step::Idle => pauses.pause().await,
                Step::End => return,
            }
        }
    }
}

/// The waits between looks at a log.
struct Pauses {
    next: Duration,
    /// How long to go on after the container has ended.
    left: Duration,
    ended: CancellationToken,
}

impl Pauses {
    fn reset(&mut self) {
        self.next = SHORTEST_PAUSE;
    }

    async fn pause(&mut self) {
        if self.ended.is_cancelled() {
            tokio::time::sleep(SHORTEST_PAUSE).await;
            self.left = self.left.saturating_sub(SHORTEST_PAUSE);
            return;
        }
        tokio::select! {
            () = self.ended.cancelled() => {}
            () = tokio::time::sleep(self.next) => self.next = (self.next * 2).min(LONGEST_PAUSE),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
