use bytes::Bytes;
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::stream::Gone;

/// A client that writes and reads frames.
struct Client {
    io: DuplexStream,
    compressor: Compressor,
    decoder: Decoder,
    bytes: BytesMut,
}

impl Client {
    fn start() -> (Self, Incoming, tokio::task::JoinHandle<Result<(), Error>>) {
        let (ours, theirs) = duplex(1 << 16);
        let (run, incoming) = accept(theirs);
        let (compressor, decoder) = (Compressor::default(), Decoder::default());
        let client = Self { io: ours, compressor, decoder, bytes: BytesMut::new() };
        (client, incoming, tokio::spawn(run))
    }

    async fn send(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        encode(&frame, &mut bytes);
        self.io.write_all(&bytes).await.unwrap();
    }

    async fn open(&mut self, stream: u32, fin: bool) {
        let headers = Headers::default().with("streamType", "data").with("port", stream.to_string());
        let headers = self.compressor.write(&headers).unwrap().into();
        self.send(Frame::Open { stream, fin, headers }).await;
    }

    async fn data(&mut self, stream: u32, fin: bool, data: &'static str) {
        self.send(Frame::Data { stream, fin, data: data.into() }).await;
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next(&mut self.bytes).unwrap() {
                return Some(frame);
            }
            if self.io.read_buf(&mut self.bytes).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn replied(&mut self, wanted: u32) {
        let frame = self.next().await;
        assert!(
            matches!(frame, Some(Frame::Reply { stream, fin: false, .. }) if stream == wanted),
            "{frame:?}"
        );
    }
}

fn sent(stream: u32, fin: bool, data: &'static str) -> Option<Frame> {
    Some(Frame::Data { stream, fin, data: Bytes::from_static(data.as_bytes()) })
}

#[tokio::test]
async fn data_goes_both_ways_until_both_sides_have_finished() {
    let (mut client, mut incoming, _run) = Client::start();
    client.open(1, false).await;
    client.open(3, true).await;
    client.data(1, false, "he").await;
    client.data(1, true, "llo").await;
    let first = incoming.next().await.unwrap();
    assert_eq!(
        (first.id(), first.headers().get("streamtype"), first.headers().get("port")),
        (1, Some("data"), Some("1"))
    );
    let (mut input, mut output) = first.accept().await.unwrap();
    client.replied(1).await;
    assert_eq!(input.next().await, Ok(Some("he".into())));
    assert_eq!(input.next().await, Ok(Some("llo".into())));
    assert_eq!((input.next().await, input.next().await), (Ok(None), Ok(None)));
    output.send("world".into()).await.unwrap();
    output.finish().await.unwrap();
    assert_eq!(client.next().await, sent(1, false, "world"));
    assert_eq!(client.next().await, sent(1, true, ""));
    let (mut input, output) = incoming.next().await.unwrap().accept().await.unwrap();
    client.replied(3).await;
    assert_eq!(input.next().await, Ok(None));
    drop(output);
    assert_eq!(client.next().await, Some(Frame::Reset { stream: 3, cause: 5 }));
}

#[tokio::test]
async fn pings_come_back_and_a_reset_ends_both_ways() {
    let (mut client, mut incoming, _run) = Client::start();
    client.send(Frame::Ping(5)).await;
    client.send(Frame::Ping(6)).await;
    client.open(1, false).await;
    assert_eq!(client.next().await, Some(Frame::Ping(5)));
    let (mut input, mut output) = incoming.next().await.unwrap().accept().await.unwrap();
    client.replied(1).await;
    client.send(Frame::Reset { stream: 1, cause: 5 }).await;
    output.gone().await;
    assert_eq!((input.next().await, output.send("x".into()).await), (Err(Gone), Err(Gone)));
    client.open(3, false).await;
    incoming.next().await.unwrap().refuse(Cause::Refused).await;
    assert_eq!(client.next().await, Some(Frame::Reset { stream: 3, cause: 3 }));
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_asked_whether_it_is_there() {
    let (mut client, _incoming, _run) = Client::start();
    let begin = Instant::now();
    assert_eq!(client.next().await, Some(Frame::Ping(2)));
    client.send(Frame::Ping(2)).await;
    assert_eq!(client.next().await, Some(Frame::Ping(4)));
    assert!(begin.elapsed() >= 2 * PING_INTERVAL);
}

#[tokio::test]
async fn streams_that_nobody_takes_any_more_are_refused() {
    let (mut client, incoming, _run) = Client::start();
    let _closer = incoming.closer();
    drop(incoming);
    client.open(1, true).await;
    assert_eq!(client.next().await, Some(Frame::Reset { stream: 1, cause: 3 }));
}

#[tokio::test]
async fn each_side_may_take_leave() {
    let (mut client, mut incoming, run) = Client::start();
    client.open(1, false).await;
    let (_input, mut output) = incoming.next().await.unwrap().accept().await.unwrap();
    output.send("last".into()).await.unwrap();
    incoming.closer().close().await;
    client.replied(1).await;
    assert_eq!(client.next().await, sent(1, false, "last"));
    assert_eq!((client.next().await, client.next().await), (Some(Frame::Leave), None));
    drop(client);
    run.await.unwrap().unwrap();

    let (mut client, mut incoming, run) = Client::start();
    client.open(1, false).await;
    let (mut input, output) = incoming.next().await.unwrap().accept().await.unwrap();
    drop(client);
    // Whether that was the end or an error depends on what was on its way.
    drop(run.await.unwrap());
    output.gone().await;
    assert_eq!((input.next().await, incoming.next().await.is_none()), (Err(Gone), true));
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection() {
    for ids in [[2, 0], [3, 3], [5, 1]] {
        let (mut client, _incoming, run) = Client::start();
        for id in ids {
            client.open(id, false).await;
        }
        assert!(matches!(run.await.unwrap(), Err(Error::Protocol(_))), "{ids:?}");
    }
    let (mut client, _incoming, run) = Client::start();
    client.send(Frame::Open { stream: 1, fin: false, headers: "no headers".into() }).await;
    assert!(run.await.unwrap().is_err());
}

#[tokio::test]
async fn too_many_streams_are_refused() {
    let (mut client, mut incoming, _run) = Client::start();
    let mut held = Vec::new();
    let take = async {
        while held.len() < MAX_STREAMS {
            held.push(incoming.next().await.unwrap());
        }
    };
    let open = async {
        for id in 0..MAX_STREAMS {
            client.open(1 + 2 * u32::try_from(id).unwrap(), false).await;
        }
    };
    tokio::join!(take, open);
    client.open(9001, false).await;
    assert_eq!(client.next().await, Some(Frame::Reset { stream: 9001, cause: 3 }));
    held.clear();
    client.open(9003, false).await;
    assert_eq!(incoming.next().await.unwrap().id(), 9003);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_keep_others_from_sending() {
    let (mut client, mut incoming, _run) = Client::start();
    client.open(1, false).await;
    client.open(3, false).await;
    let (_silent, _one) = incoming.next().await.unwrap().accept().await.unwrap();
    let (_other, mut output) = incoming.next().await.unwrap().accept().await.unwrap();
    client.replied(1).await;
    client.replied(3).await;
    for _ in 0..BACKLOG * 4 {
        client.data(1, false, "more").await;
    }
    for _ in 0..BACKLOG * 4 {
        output.send("out".into()).await.unwrap();
        assert_eq!(client.next().await, sent(3, false, "out"));
    }
}
