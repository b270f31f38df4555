//! Many watchers at once, which count what comes and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use crate::events::{self, Events, Format};
use crate::rest::{Ask, Connection, JSON, MERGE_PATCH, PROTOBUF, Rest};
use crate::sample::Sample;

/// How many watches are begun at once.
const BEGINNINGS: usize = 64;
/// How many writes may be under way at once.
const WRITES: usize = 64;
const POLL: Duration = Duration::from_millis(1);

/// What all watchers have seen together.
#[derive(Debug)]
pub struct Board {
    epoch: Instant,
    events: AtomicUsize,
    delays: std::sync::Mutex<Vec<Duration>>,
    fault: std::sync::Mutex<Option<String>>,
}

impl Board {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            events: AtomicUsize::new(0),
            delays: Default::default(),
            fault: Default::default(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn saw(&self, count: usize, delays: &mut Vec<Duration>) {
        self.delays.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(delays);
        self.events.fetch_add(count, Ordering::Relaxed);
    }

    fn failed(&self, error: &anyhow::Error) {
        let mut fault = self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        fault.get_or_insert_with(|| format!("{error:#}"));
    }

    /// How many events have come so far.
    pub fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    /// The time from sending a write to the arrival of its event, for every event since this was asked last.
    pub fn delays(&self) -> Sample {
        let delays =
            std::mem::take(&mut *self.delays.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        delays.into_iter().collect()
    }

    /// Waits until `count` events have come in all.
    ///
    /// # Errors
    /// Where a watch ends, or they have not come after `limit`.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        let begin = Instant::now();
        while self.events() < count {
            if let Some(fault) = &*self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
                bail!("{fault}");
            }
            ensure!(
                begin.elapsed() < limit,
                "only {} of {count} events came within {limit:?}",
                self.events()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

/// Watches that are read until this is dropped.
#[derive(Debug)]
pub struct Watchers {
    board: Arc<Board>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    /// Begins a watch of each path, over so many connections.
    ///
    /// # Errors
    /// Where one does not begin.
    pub async fn open(
        rest: &Rest,
        connections: usize,
        paths: Vec<String>,
        format: Format,
    ) -> anyhow::Result<Self> {
        let connections = rest.connections(connections).await?;
        let accept = match format {
            Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            Format::Json => JSON,
        };
        let begun = paths.into_iter().enumerate().map(|(i, path)| {
            let connection = connections[i % connections.len()].clone();
            async move { connection.open(Ask::get(path, accept)).await }
        });
        let bodies: Vec<_> = futures::stream::iter(begun).buffer_unordered(BEGINNINGS).try_collect().await?;
        let (board, mut tasks) = (Board::new(), JoinSet::new());
        for body in bodies {
            let board = Arc::clone(&board);
            tasks.spawn(async move {
                let Err(error) = follow(body.into_body(), format, &board).await else { return };
                board.failed(&error);
            });
        }
        Ok(Self { board, _tasks: tasks })
    }

    /// What they have seen.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }
}

async fn follow(mut body: Incoming, format: Format, board: &Board) -> anyhow::Result<()> {
    let mut events = Events::new(format);
    let mut delays = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let (now, mut count) = (board.now(), 0);
        events.push(&data, |event| {
            count += 1;
            let sent = events::marked(event);
            delays.extend(sent.map(|sent| Duration::from_micros(now.saturating_sub(sent))));
        })?;
        board.saw(count, &mut delays);
    }
    bail!("a watch ended")
}

/// Writes marks with the present time into an object.
#[derive(Clone)]
pub struct Writer {
    connection: Connection,
    epoch: Instant,
}

impl Writer {
    /// A writer over a connection of its own, whose marks the watchers of `board` understand.
    ///
    /// # Errors
    /// Where the server cannot be reached.
    pub async fn new(rest: &Rest, board: Option<&Board>) -> anyhow::Result<Self> {
        let epoch = board.map_or_else(Instant::now, |board| board.epoch);
        Ok(Self { connection: rest.connect().await?, epoch })
    }

    /// Marks the object at a path.
    ///
    /// # Errors
    /// Where the write fails.
    pub async fn mark(&self, path: &str) -> anyhow::Result<()> {
        let micros = u64::try_from(self.epoch.elapsed().as_micros())?;
        let patch = format!(r#"{{"metadata":{{"annotations":{{"bench":"{}"}}}}}}"#, events::mark(micros));
        let ask = Ask { accept: PROTOBUF, ..Ask::send(Method::PATCH, path, MERGE_PATCH, patch) };
        self.connection.ask(ask).await.map(drop)
    }

    /// Marks `paths` in turn, `count` times in all and `rate` times a second, whatever the writes take; how long they
    /// took.
    ///
    /// # Errors
    /// Where a write fails.
    pub async fn at_rate(&self, paths: &[String], rate: u32, count: usize) -> anyhow::Result<Sample> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let (mut writes, mut took) = (JoinSet::new(), Sample::default());
        for path in paths.iter().cycle().take(count) {
            ticks.tick().await;
            if writes.len() >= WRITES
                && let Some(done) = writes.join_next().await
            {
                took.add(done??);
            }
            let (writer, path) = (self.clone(), path.clone());
            writes.spawn(async move {
                let begin = Instant::now();
                writer.mark(&path).await?;
                anyhow::Ok(begin.elapsed())
            });
        }
        while let Some(done) = writes.join_next().await {
            took.add(done??);
        }
        Ok(took)
    }
}
