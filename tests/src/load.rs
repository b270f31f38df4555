//! A steady load on a Service, from inside a node.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

/// How long one request may take before it counts as failed.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// Requests under way at once; more than this is a failure of its own.
const WORKERS: usize = 32;

/// Asks `GET /` at a steady rate until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    pacer: JoinHandle<Outcome>,
}

/// What became of the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many were sent.
    pub requests: usize,
    /// Why some failed, and when after the start.
    pub failures: Vec<(Duration, String)>,
    /// How many each body, by its text, was the answer.
    pub answers: BTreeMap<String, usize>,
}

impl Outcome {
    /// How many requests each value of a field in the answers' JSON got.
    pub fn by(&self, field: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (body, count) in &self.answers {
            let document: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            *counts.entry(document[field].as_str().unwrap_or_default().to_owned()).or_default() += count;
        }
        counts
    }
}

type Answer = (Duration, Result<String, String>);

impl Load {
    /// Asks `target` `rate` times per second from inside the network namespace at `netns`, each request on a
    /// connection of its own.
    pub fn start(netns: PathBuf, target: SocketAddr, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let pacer = std::thread::spawn(move || pace(&netns, target, rate, &stopping));
        Self { stop, pacer }
    }

    /// Stops asking and waits for the answers that are under way.
    pub fn finish(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.pacer.join().expect("the load's thread")
    }
}

fn pace(netns: &Path, target: SocketAddr, rate: u32, stop: &AtomicBool) -> Outcome {
    let begin = Instant::now();
    let (answered, answers) = channel::<Answer>();
    let (tickets, work) = channel::<Instant>();
    let work = Arc::new(std::sync::Mutex::new(work));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (netns, work, answered) = (netns.to_owned(), Arc::clone(&work), answered.clone());
            std::thread::spawn(move || worker(&netns, target, begin, &work, &answered))
        })
        .collect();
    drop(answered);
    let interval = Duration::from_secs(1) / rate;
    let mut next = begin;
    while !stop.load(Ordering::Relaxed) {
        if tickets.send(next).is_err() {
            break;
        }
        next += interval;
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    drop(tickets);
    let outcome = collect(answers);
    for worker in workers {
        worker.join().expect("a worker of the load");
    }
    outcome
}

fn collect(answers: Receiver<Answer>) -> Outcome {
    let mut outcome = Outcome::default();
    for (at, answer) in answers {
        outcome.requests += 1;
        match answer {
            Ok(body) => *outcome.answers.entry(body).or_default() += 1,
            Err(reason) => outcome.failures.push((at, reason)),
        }
    }
    outcome
}

fn worker(
    netns: &Path,
    target: SocketAddr,
    begin: Instant,
    work: &std::sync::Mutex<Receiver<Instant>>,
    answered: &Sender<Answer>,
) {
    // A thread has namespaces of its own, so only its sockets are in the node.
    let namespace = File::open(netns).unwrap_or_else(|error| panic!("{netns:?}: {error}"));
    setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap_or_else(|error| panic!("{netns:?}: {error}"));
    loop {
        let ticket = work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok(due) = ticket else { return };
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        let answer = ask(target).map_err(|error| error.to_string());
        if answered.send((begin.elapsed(), answer)).is_err() {
            return;
        }
    }
}

fn ask(target: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target, REQUEST_LIMIT)?;
    stream.set_read_timeout(Some(REQUEST_LIMIT))?;
    stream.set_write_timeout(Some(REQUEST_LIMIT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(format!("not a whole answer: {text:?}"))),
    }
}
