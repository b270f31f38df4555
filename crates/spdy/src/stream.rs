//! A stream of a connection: its headers, and data both ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::frame::{Cause, Frame, MAX_PIECE};
use crate::headers::Headers;

/// The stream, or its connection, is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream was reset, or its connection is gone")]
pub struct Gone;

/// What comes in on a stream.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    End,
}

/// What goes out on a connection.
#[derive(Debug)]
pub(crate) enum Out {
    Frame(Frame),
    /// A stream is taken; its headers are compressed where frames are written.
    Reply(u32),
    Close,
}

/// Counts a stream for as long as somebody holds a part of it.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that the client has opened and that is not taken yet.
#[derive(Debug)]
pub struct Stream {
    pub(crate) id: u32,
    pub(crate) headers: Headers,
    pub(crate) input: mpsc::Receiver<Piece>,
    pub(crate) out: mpsc::Sender<Out>,
    pub(crate) reset: CancellationToken,
    pub(crate) counted: Arc<Counted>,
}

impl Stream {
    /// Its number, which no other stream of the connection has.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Takes it.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn accept(self) -> Result<(Input, Output), Gone> {
        let Self { id, input, out, reset, counted, .. } = self;
        out.send(Out::Reply(id)).await.map_err(|_| Gone)?;
        let input = Input { pieces: input, reset: reset.clone(), ended: false, _counted: counted.clone() };
        Ok((input, Output { id, out, reset, open: true, _counted: counted }))
    }

    /// Does not take it.
    pub async fn refuse(self, cause: Cause) {
        let frame = Frame::Reset { stream: self.id, cause: cause as u32 };
        // A connection that is gone has no streams either.
        let _ = self.out.send(Out::Frame(frame)).await;
    }
}

/// What the client sends.
#[derive(Debug)]
pub struct Input {
    pieces: mpsc::Receiver<Piece>,
    reset: CancellationToken,
    ended: bool,
    _counted: Arc<Counted>,
}

impl Input {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// Where the stream was reset or the connection broke before the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        if self.ended {
            return Ok(None);
        }
        let piece = tokio::select! {
            biased;
            piece = self.pieces.recv() => piece,
            () = self.reset.cancelled() => None,
        };
        match piece {
            Some(Piece::Data(data)) => Ok(Some(data)),
            Some(Piece::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(Gone),
        }
    }
}

/// What the client gets. Dropped before its end, the stream is reset.
#[derive(Debug)]
pub struct Output {
    id: u32,
    out: mpsc::Sender<Out>,
    reset: CancellationToken,
    open: bool,
    _counted: Arc<Counted>,
}

impl Output {
    /// Sends data.
    ///
    /// # Errors
    /// Where the stream was reset or the connection is gone.
    pub async fn send(&mut self, mut data: Bytes) -> Result<(), Gone> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(MAX_PIECE));
            self.put(Frame::Data { stream: self.id, fin: false, data: piece }).await?;
        }
        Ok(())
    }

    /// Says that nothing follows.
    ///
    /// # Errors
    /// Where the stream was reset or the connection is gone.
    pub async fn finish(mut self) -> Result<(), Gone> {
        self.open = false;
        self.put(Frame::Data { stream: self.id, fin: true, data: Bytes::new() }).await
    }

    /// Returns once the client has reset the stream or the connection is gone.
    pub async fn gone(&self) {
        tokio::select! {
            () = self.reset.cancelled() => {}
            () = self.out.closed() => {}
        }
    }

    async fn put(&self, frame: Frame) -> Result<(), Gone> {
        if self.reset.is_cancelled() {
            return Err(Gone);
        }
        tokio::select! {
            sent = self.out.send(Out::Frame(frame)) => sent.map_err(|_| Gone),
            () = self.reset.cancelled() => Err(Gone),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.open && !self.reset.is_cancelled() {
            let frame = Frame::Reset { stream: self.id, cause: Cause::Cancel as u32 };
            // Where much waits to be written, the client learns it at the connection's end.
            let _ = self.out.try_send(Out::Frame(frame));
        }
    }
}
