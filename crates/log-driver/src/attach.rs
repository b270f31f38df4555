//! A container's output as it comes, from its driver.

use std::io;
use std::path::Path;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::cri::Stream;
use crate::tap::{END, HEAD, STDERR, STDOUT, place};

/// No driver reads more at once.
const MAX_PIECE: u32 = 1 << 20;

/// The output of a container that runs, from now on.
#[derive(Debug)]
pub struct Attached(UnixStream);

impl Attached {
    /// Listens to the output that goes to the log at `log`.
    ///
    /// # Errors
    /// Where no driver writes that log.
    pub async fn to(log: &Path) -> io::Result<Self> {
        let (directory, path) = place(log)?;
        let socket = UnixStream::connect(&path).await;
        drop(directory);
        Ok(Self(socket?))
    }

    /// The next piece; none once the container has ended.
    ///
    /// # Errors
    /// Where the driver has cut us off, because we were too far behind, or is gone.
    pub async fn next(&mut self) -> io::Result<Option<(Stream, Bytes)>> {
        let mut head = [0; HEAD];
        self.0.read_exact(&mut head).await?;
        let [first, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        let stream = match first {
            END => return Ok(None),
            STDOUT => Stream::Stdout,
            STDERR => Stream::Stderr,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        if length > MAX_PIECE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
        self.0.read_exact(&mut data).await?;
        Ok(Some((stream, data.into())))
    }
}
