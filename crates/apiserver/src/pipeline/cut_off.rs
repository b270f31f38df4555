//! The end of an answer that is written piece by piece: clients that read too slowly do not keep it for ever.
//!
//! A body is asked for its next piece only while the client takes them, so it cannot see by itself that its time is
//! over. What it is made of is therefore dropped from outside; whoever asks for the rest then finds the answer cut off.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::body::Body;

/// How much is given away at once: what is given away waits for the client.
const PIECE: usize = 64 << 10;
/// How often it is looked whose time is over.
const SWEEP: Duration = Duration::from_secs(1);

type Source = Mutex<Option<Body>>;
/// Bodies that are being written, and until when they may be.
type Watched = Mutex<Vec<(Instant, Weak<Source>)>>;

/// The bodies that are being written.
#[derive(Clone)]
pub(super) struct CutOff(Arc<Watched>);

impl CutOff {
    /// Begins to look after bodies, for as long as there is somebody who may bring one.
    pub(super) fn start() -> Self {
        let watched = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(sweep(Arc::downgrade(&watched)));
        Self(watched)
    }

    /// Cuts the answer off at `end`, if its body is still being written then.
    pub(super) fn at(&self, end: Instant, response: Response<Body>) -> Response<Body> {
        // What is there as a whole is shared or small, and given away at once.
        if response.body().is_end_stream() || response.body().size_hint().exact().is_some() {
            return response;
        }
        response.map(|body| {
            let source = Arc::new(Mutex::new(Some(body)));
            self.0.lock().push((end, Arc::downgrade(&source)));
            Body::new(Cut { source, rest: Bytes::new() })
        })
    }
}

async fn sweep(watched: Weak<Watched>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(watched) = watched.upgrade() else { return };
        let now = Instant::now();
        let mut over = Vec::new();
        watched.lock().retain(|(end, source)| match source.upgrade() {
            None => false,
            Some(source) if *end <= now => {
                over.push(source);
                false
            }
            Some(_) => true,
        });
        // Not under the lock: dropping a body may take a while.
        for source in over {
            let body = source.lock().take();
            drop(body);
        }
    }
}

/// A body that may be cut off.
struct Cut {
    source: Arc<Source>,
    rest: Bytes,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        if self.rest.is_empty() {
            let frame = match &mut *self.source.lock() {
                Some(body) => std::task::ready!(Pin::new(body).poll_frame(cx)),
                None => {
                    let error = "the answer was not read within its time";
                    return Poll::Ready(Some(Err(tonic::Status::deadline_exceeded(error))));
                }
            };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.source.lock().as_ref().is_some_and(http_body::Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn body(pieces: Vec<Bytes>, open: bool) -> (Body, Arc<()>) {
        let alive = Arc::new(());
        let held = alive.clone();
        let pieces = futures::stream::iter(pieces).map(Frame::data).map(Ok::<_, tonic::Status>);
        let end = if open { futures::stream::pending().boxed() } else { futures::stream::empty().boxed() };
        let all = pieces.chain(end).inspect(move |_| drop(held.clone()));
        (Body::new(StreamBody::new(all)), alive)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_read_is_dropped_in_time() {
        let cut_off = CutOff::start();
        let (body, alive) = body(vec![Bytes::from(vec![7; 3 * PIECE])], true);
        let end = Instant::now() + Duration::from_secs(60);
        let mut body = cut_off.at(end, Response::new(body)).into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PIECE);
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!(Arc::strong_count(&alive), 2);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(Arc::strong_count(&alive), 1);
        // What was given away can be read; then it is seen that this is not all.
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.unwrap().is_err());
        assert!(cut_off.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_read_is_whole() {
        let cut_off = CutOff::start();
        let (body, _alive) = body(vec![Bytes::from(vec![7; PIECE + 1]), Bytes::from_static(b"end")], false);
        let end = Instant::now() + Duration::from_secs(60);
        let whole = cut_off.at(end, Response::new(body)).into_body().collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), PIECE + 4);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(cut_off.0.lock().is_empty());
    }
}
