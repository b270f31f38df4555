use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;

use super::*;
use crate::cri::Record;
use crate::{LogFile, RotationPolicy};

const BASE: i64 = 1_767_225_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BASE + second).unwrap()
}

fn record(second: i64, stream: Stream, full: bool, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Record { time: at(second), stream, full, text: text.as_bytes() }.write_to(&mut out);
    out
}

fn write(log: &mut LogFile, second: i64, text: &str) {
    log.append(&record(second, Stream::Stdout, true, text), at(second)).unwrap();
}

/// A log of `count` lines, the line `i` written in second `i`, in files of some lines each.
fn example(directory: &Path, count: i64) -> PathBuf {
    let path = directory.join("0.log");
    let mut log = LogFile::open(&path, RotationPolicy { max_size: 200, max_files: 100 }).unwrap();
    for i in 0..count {
        write(&mut log, i, &format!("line {i}"));
    }
    path
}

async fn collect(path: &Path, options: Options) -> String {
    let ended = CancellationToken::new();
    ended.cancel();
    let chunks = read(path, options, ended).map(Result::unwrap).collect::<Vec<_>>();
    let chunks = tokio::time::timeout(Duration::from_secs(30), chunks).await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

fn lines(range: std::ops::Range<i64>) -> String {
    range.map(|i| format!("line {i}\n")).collect()
}

#[tokio::test]
async fn rotated_files_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = example(dir.path(), 20);
    assert!(crate::files(&path).unwrap().len() > 3);
    assert_eq!(collect(&path, Options::default()).await, lines(0..20));
    for tail in [0, 1, 5, 19, 20, 1000] {
        let options = Options { tail_lines: Some(tail), ..Options::default() };
        assert_eq!(collect(&path, options).await, lines((20 - tail as i64).max(0)..20), "{tail}");
    }
    let options = Options { since: Some(at(7)), limit_bytes: Some(10), ..Options::default() };
    assert_eq!(collect(&path, options).await, "line 7\nlin");
}

#[tokio::test]
async fn streams_and_times_are_shown_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let parts = [
        record(0, Stream::Stdout, false, "a long "),
        record(1, Stream::Stdout, true, "line"),
        b"torn\n".to_vec(),
        record(2, Stream::Stderr, true, "error"),
        record(3, Stream::Stdout, false, "no end"),
    ];
    fs::write(&path, parts.concat()).unwrap();
    assert_eq!(collect(&path, Options::default()).await, "a long line\nerror\nno end");
    let options = Options { stream: Some(Stream::Stderr), timestamps: true, ..Options::default() };
    assert_eq!(collect(&path, options).await, "2026-01-01T00:00:02.000000000Z error\n");
    let options = Options { timestamps: true, tail_lines: Some(5), ..Options::default() };
    let shown = collect(&path, options).await;
    assert!(shown.starts_with("2026-01-01T00:00:00.000000000Z a long line\n"), "{shown}");
}

#[tokio::test]
async fn a_log_that_does_not_exist_is_an_error_or_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let missing = read(&path, Options::default(), CancellationToken::new()).collect::<Vec<_>>().await;
    assert_eq!(missing[0].as_ref().unwrap_err().kind(), io::ErrorKind::NotFound);

    let follow = Options { follow: true, ..Options::default() };
    // The container ended without ever having written.
    assert_eq!(collect(&path, follow.clone()).await, "");
    let reading = tokio::spawn(read(path.clone(), follow, CancellationToken::new()).collect::<Vec<_>>());
    let mut log = LogFile::open(&path, RotationPolicy::default()).unwrap();
    write(&mut log, 0, "late");
    drop(log);
    let chunks = tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap().unwrap();
    let text: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
    assert_eq!(text, b"late\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_loses_nothing_while_it_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let count = 20_000;
    let mut log = LogFile::open(&path, RotationPolicy { max_size: 20_000, max_files: 1000 }).unwrap();
    let follow = Options { follow: true, ..Options::default() };
    let reading = tokio::spawn(read(path.clone(), follow, CancellationToken::new()).collect::<Vec<_>>());
    let written = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&written);
    tokio::task::spawn_blocking(move || {
        for i in 0..count {
            write(&mut log, i / 1000, &format!("line {i}"));
        }
        done.store(true, Ordering::SeqCst);
    });
    // It ends by itself when the writer is gone, and not before.
    let chunks = tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap().unwrap();
    assert!(written.load(Ordering::SeqCst));
    let text: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
    assert_eq!(String::from_utf8(text).unwrap(), lines(0..count));
}

#[tokio::test]
async fn a_writer_that_outlives_the_container_does_not_keep_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let mut log = LogFile::open(&path, RotationPolicy::default()).unwrap();
    write(&mut log, 0, "all");
    let follow = Options { follow: true, ..Options::default() };
    assert_eq!(collect(&path, follow).await, "all\n");
    drop(log);
}
