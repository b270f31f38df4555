//! The server's side of a connection.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::frame::{Cause, Decoder, Frame, encode};
use crate::headers::{Compressor, Decompressor, Headers};
use crate::stream::{Counted, Out, Piece, Stream};

/// Streams that may be open at once.
const MAX_STREAMS: usize = 1000;
/// Streams that may wait to be taken.
const WAITING: usize = 32;
/// Pieces of data that may wait on a stream, and frames that may wait to be written.
const BACKLOG: usize = 8;
const READ: usize = 32 * 1024;
/// As much is written at once.
const BATCH: usize = 64 * 1024;
/// How long the client may take to leave after we did.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How often the client is asked whether it is still there: one that vanished silently is seen only by writing to it.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The streams that the client opens.
#[derive(Debug)]
pub struct Incoming {
    streams: mpsc::Receiver<Stream>,
    out: mpsc::Sender<Out>,
}

impl Incoming {
    /// The next one; none once the connection has ended.
    pub async fn next(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }

    /// Ends the connection.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer(self.out.clone())
    }
}

/// Ends a connection.
#[derive(Debug, Clone)]
pub struct Closer(mpsc::Sender<Out>);

impl Closer {
    /// Ends the connection after what was sent so far.
    pub async fn close(&self) {
        // One that is gone has ended.
        let _ = self.0.send(Out::Close).await;
    }
}

/// Speaks SPDY over `io`: a future that moves the frames and ends with the connection, and the streams.
pub fn accept<T>(io: T) -> (impl Future<Output = Result<(), Error>> + Send, Incoming)
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let (out, queue) = mpsc::channel(BACKLOG);
    let (opened, streams) = mpsc::channel(WAITING);
    let reader = Reader {
        decompressor: Decompressor::default(),
        streams: HashMap::new(),
        last: 0,
        count: Arc::default(),
        opened,
        // The queue ends with its users; the reader alone is none.
        out: out.downgrade(),
    };
    (run(io, reader, queue), Incoming { streams, out })
}

async fn run<T>(io: T, mut reader: Reader, queue: mpsc::Receiver<Out>) -> Result<(), Error>
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut read, mut write) = tokio::io::split(io);
    let outcome = {
        let reading = reader.run(&mut read);
        tokio::pin!(reading);
        tokio::select! {
            outcome = &mut reading => outcome,
            outcome = write_frames(&mut write, queue) => match outcome {
                // What the client still sends is for nobody: it is read so that its leave is seen.
                Ok(()) => timeout(LEAVE_LIMIT, reading).await.unwrap_or(Ok(())),
                Err(error) => Err(error),
            },
        }
    };
    for (_, stream) in reader.streams.drain() {
        stream.reset.cancel();
    }
    outcome
}

async fn write_frames(
    io: &mut (impl AsyncWrite + Unpin),
    mut queue: mpsc::Receiver<Out>,
) -> Result<(), Error> {
    let mut compressor = Compressor::default();
    let mut bytes = BytesMut::with_capacity(BATCH);
    let mut open = true;
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The client's are odd.
    let mut ping = 0u32;
    while open {
        let mut next = tokio::select! {
            next = queue.recv() => next,
            _ = pings.tick() => {
                ping = ping.wrapping_add(2);
                Some(Out::Frame(Frame::Ping(ping)))
            }
        };
        loop {
            match next {
                Some(Out::Frame(frame)) => encode(&frame, &mut bytes),
                Some(Out::Reply(stream)) => {
                    let headers = compressor.write(&Headers::default())?.into();
                    encode(&Frame::Reply { stream, fin: false, headers }, &mut bytes);
                }
                Some(Out::Close) | None => {
                    encode(&Frame::Leave, &mut bytes);
                    open = false;
                    break;
                }
            }
            if bytes.len() >= BATCH {
                break;
            }
            match queue.try_recv() {
                Ok(more) => next = Some(more),
                Err(_) => break,
            }
        }
        io.write_all_buf(&mut bytes).await?;
        io.flush().await?;
    }
    io.shutdown().await?;
    Ok(())
}

/// A stream as the reader knows it.
struct Known {
    /// Absent once the client's half has ended.
    pieces: Option<mpsc::Sender<Piece>>,
    reset: CancellationToken,
    /// To know when nobody holds it any more.
    counted: std::sync::Weak<Counted>,
}

struct Reader {
    decompressor: Decompressor,
    streams: HashMap<u32, Known>,
    /// The newest stream: their numbers grow.
    last: u32,
    count: Arc<AtomicUsize>,
    opened: mpsc::Sender<Stream>,
    out: mpsc::WeakSender<Out>,
}

impl Reader {
    async fn run(&mut self, io: &mut (impl AsyncRead + Unpin)) -> Result<(), Error> {
        let mut decoder = Decoder::default();
        let mut bytes = BytesMut::with_capacity(READ);
        loop {
            while let Some(frame) = decoder.next(&mut bytes)? {
                self.take(frame).await?;
            }
            bytes.reserve(READ);
            if io.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::Open { stream, fin, headers } => {
                let headers = self.decompressor.read(&headers)?;
                self.open(stream, fin, headers).await?;
            }
            Frame::Data { stream, fin, data } => self.data(stream, fin, data).await,
            Frame::Headers { stream, fin, headers } => {
                self.decompressor.read(&headers)?;
                self.data(stream, fin, bytes::Bytes::new()).await;
            }
            Frame::Reply { headers, .. } => drop(self.decompressor.read(&headers)?),
            Frame::Reset { stream, .. } => {
                if let Some(known) = self.streams.remove(&stream) {
                    known.reset.cancel();
                }
            }
            // The even ones are ours, that come back: all they are for is to be written.
            Frame::Ping(id) if id % 2 == 1 => self.answer(Frame::Ping(id)).await,
            Frame::Ping(_) | Frame::Leave | Frame::Other => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) -> Result<(), Error> {
        if id.is_multiple_of(2) || id <= self.last {
            return Err(Error::Protocol("the number of a new stream is not odd and higher than the others"));
        }
        self.last = id;
        self.streams.retain(|_, known| known.counted.strong_count() > 0);
        let Some(out) = self.out.upgrade() else { return Ok(()) };
        if self.count.load(Ordering::Relaxed) >= MAX_STREAMS {
            self.answer(Frame::Reset { stream: id, cause: Cause::Refused as u32 }).await;
            return Ok(());
        }
        let (pieces, input) = mpsc::channel(BACKLOG);
        let (reset, counted) = (CancellationToken::new(), Arc::new(Counted::new(&self.count)));
        let known = Known { pieces: Some(pieces), reset: reset.clone(), counted: Arc::downgrade(&counted) };
        self.streams.insert(id, known);
        let stream = Stream { id, headers, input, out, reset, counted };
        if let Err(unwanted) = self.opened.send(stream).await {
            // Nobody wants any more.
            unwanted.0.refuse(Cause::Refused).await;
        }
        if fin {
            self.data(id, true, bytes::Bytes::new()).await;
        }
        Ok(())
    }

    /// Hands data to its stream, and waits for it if it is behind. What nobody wants is thrown away.
    async fn data(&mut self, stream: u32, fin: bool, data: bytes::Bytes) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let Some(pieces) = &known.pieces else { return };
        if !data.is_empty() {
            let _ = pieces.send(Piece::Data(data)).await;
        }
        if fin {
            let _ = pieces.send(Piece::End).await;
            known.pieces = None;
        }
    }

    async fn answer(&self, frame: Frame) {
        if let Some(out) = self.out.upgrade() {
            // A connection that is gone needs no answer.
            let _ = out.send(Out::Frame(frame)).await;
        }
    }
}

#[cfg(test)]
mod tests;
