//! What goes over connections that clients take over: SPDY, WebSockets, and the messages in them.

use std::cell::OnceCell;
use std::io;

use bytes::{Bytes, BytesMut};
use gantry_apiserver::decoders;
use gantry_fuzz::Target;
use gantry_spdy::frame::{self, Frame};
use gantry_spdy::headers::{Compressor, Decompressor, Headers};
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

use super::texts;

/// How much may be on its way in either direction.
const BUFFER: usize = 256 << 10;

pub(super) fn all() -> Vec<Target> {
    vec![
        Target { name: "spdy", corpus: spdy_corpus(), words: &[], grammar: spdy_frames, decode: spdy },
        Target {
            name: "websocket",
            corpus: websocket_corpus(),
            words: &[],
            grammar: websocket_frames,
            decode: websocket,
        },
        Target {
            name: "channels",
            corpus: texts(&["\0hi", "\u{4}{\"Width\":80,\"Height\":24}", "0aGk=", "4eyJXaWR0aCI6ODB9"]),
            words: &["{", "}", "\"Width\":", "\"Height\":", "65536", "-1", "=", "\0", "\u{4}"],
            grammar: noise,
            decode: |bytes| format!("{} protocols", decoders::message(&Bytes::copy_from_slice(bytes))),
        },
    ]
}

/// Runs a future to its end.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, String> {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    RUNTIME.with(|cell| {
        if cell.get().is_none() {
            let made =
                Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
            // Nobody else has set it on this thread.
            let _ = cell.set(made);
        }
        let runtime = cell.get().ok_or("there is no runtime")?;
        Ok(runtime.block_on(future))
    })
}

/// A connection on which the client has sent everything, and reads nothing.
async fn sent(bytes: &[u8]) -> io::Result<(tokio::io::DuplexStream, tokio::io::DuplexStream)> {
    let (mut client, server) = tokio::io::duplex(BUFFER);
    client.write_all(bytes).await?;
    client.shutdown().await?;
    Ok((client, server))
}

fn spdy(bytes: &[u8]) -> String {
    let headers = match Decompressor::default().read(bytes) {
        Ok(_) => String::from("headers"),
        Err(error) => error.to_string(),
    };
    let served = block_on(async {
        let (mut client, server) = sent(bytes).await.map_err(|error| error.to_string())?;
        let (connection, mut incoming) = gantry_spdy::accept(server);
        let streams = async {
            let mut reading = tokio::task::JoinSet::new();
            while let Some(stream) = incoming.next().await {
                reading.spawn(async move {
                    let Ok((mut input, mut output)) = stream.accept().await else { return };
                    while let Ok(Some(piece)) = input.next().await {
                        if output.send(piece).await.is_err() {
                            return;
                        }
                    }
                    // One that is gone has ended.
                    let _ = output.finish().await;
                });
            }
            reading.join_all().await.len()
        };
        let mut answers = Vec::new();
        let (outcome, streams, _) = tokio::join!(connection, streams, client.read_to_end(&mut answers));
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "the end".to_owned());
        Ok::<_, String>(format!("{streams} streams, {outcome}"))
    });
    format!("{headers} {:?}", served)
}

fn websocket(bytes: &[u8]) -> String {
    let count = block_on(async {
        let (mut client, server) = sent(bytes).await.map_err(|error| error.to_string())?;
        let count = decoders::websocket(server).await;
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(format!("{count} messages, {} answers", answers.len().min(1)))
    });
    format!("{count:?}")
}

fn noise(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..64);
    (0..length).map(|_| random.random()).collect()
}

fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frames.iter().for_each(|frame| frame::encode(frame, &mut bytes));
    bytes.to_vec()
}

fn headers(random: &mut StdRng, compressor: &mut Compressor) -> Bytes {
    let kinds = ["stdin", "stdout", "data", "error", ""];
    let headers = Headers::default()
        .with("streamtype", kinds[random.random_range(0..kinds.len())])
        .with("port", random.random_range(0..70_000).to_string())
        .with("requestid", random.random_range(0..3).to_string());
    compressor.write(&headers).map(Bytes::from).unwrap_or_default()
}

/// Frames that can be read, in any order.
fn spdy_frames(random: &mut StdRng) -> Vec<u8> {
    let mut compressor = Compressor::default();
    let count = random.random_range(0..20);
    let frames: Vec<Frame> = (0..count)
        .map(|_| {
            let stream = random.random_range(0..12);
            let fin = random.random_ratio(1, 4);
            match random.random_range(0..8) {
                0 | 1 => Frame::Open { stream: stream | 1, fin, headers: headers(random, &mut compressor) },
                2 | 3 => Frame::Data { stream, fin, data: noise(random).into() },
                4 => Frame::Headers { stream, fin, headers: headers(random, &mut compressor) },
                5 => Frame::Reset { stream, cause: random.random_range(0..20) },
                6 => Frame::Ping(stream),
                _ => Frame::Leave,
            }
        })
        .collect();
    encoded(&frames)
}

fn spdy_corpus() -> Vec<Vec<u8>> {
    let mut compressor = Compressor::default();
    let mut open = |stream, kind: &str| {
        let headers = compressor.write(&Headers::default().with("streamtype", kind));
        Frame::Open { stream, fin: false, headers: headers.map(Bytes::from).unwrap_or_default() }
    };
    let session = [
        open(1, "error"),
        open(3, "stdin"),
        Frame::Data { stream: 3, fin: false, data: "hello".into() },
        Frame::Ping(1),
        Frame::Data { stream: 3, fin: true, data: Bytes::new() },
        Frame::Reset { stream: 1, cause: 5 },
        Frame::Leave,
    ];
    let block = Compressor::default().write(&Headers::default().with("a", "b")).unwrap_or_default();
    vec![encoded(&session), block, b"\x80\x03\0\x04\0\0\0\x04\0\0\0\0".to_vec()]
}

/// A frame as clients send it: masked.
fn websocket_frame(head: u8, data: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    // Longer ones have their length elsewhere.
    let length = u8::try_from(data.len().min(125)).unwrap_or(125);
    let mut frame = vec![head, 0x80 | length];
    frame.extend(MASK);
    frame.extend(data.iter().take(125).zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn websocket_frames(random: &mut StdRng) -> Vec<u8> {
    const HEADS: [u8; 10] = [0x81, 0x82, 0x88, 0x89, 0x8a, 0x01, 0x02, 0x00, 0x80, 0xf1];
    let count = random.random_range(0..12);
    let frame =
        |random: &mut StdRng| websocket_frame(HEADS[random.random_range(0..HEADS.len())], &noise(random));
    (0..count).flat_map(|_| frame(random)).collect()
}

fn websocket_corpus() -> Vec<Vec<u8>> {
    let session = [
        websocket_frame(0x82, b"\0hello"),
        websocket_frame(0x82, b"\x04{\"Width\":80,\"Height\":24}"),
        websocket_frame(0x89, b"ping"),
        websocket_frame(0x02, b"\0in "),
        websocket_frame(0x80, b"pieces"),
        websocket_frame(0x88, b"\x03\xe8"),
    ];
    // Lengths of 16 and of 64 bits that are not meant.
    let long = [&b"\x82\xfe\x00\x03\0\0\0\0abc"[..], b"\x82\xff\0\0\0\0\xff\xff\xff\xff\0\0\0\0a"];
    let mut corpus = vec![session.concat(), websocket_frame(0x81, b"0aGk=")];
    corpus.extend(long.map(<[u8]>::to_vec));
    corpus
}
