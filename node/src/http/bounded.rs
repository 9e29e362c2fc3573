//! Bodies of requests and answers, within the memory that clients of all doors share.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use coterie_resp::memory::LITTLE;
use hyper::body::{Frame, SizeHint};

use super::door::Door;
use super::problem::{Known, Problem};
use crate::engine::memory::{NoMemory, Part};

/// Counts what is sent until the answer is with the client. A large answer that there is no room for becomes an error.
pub(super) async fn bounded(State(door): State<Door>, request: Request, next: Next) -> Response {
    let part = Arc::new(door.memory().part());
    let counted = Arc::clone(&part);
    let request = request.map(|body| Body::new(Counted { body, part: counted, counts: true }));
    let response = next.run(request).await;
    let bytes = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
    if let Err(full) = part.take(bytes)
        && bytes > LITTLE
    {
        return too_large(bytes, full).into_response();
    }
    response.map(|body| Body::new(Counted { body, part, counts: false }))
}

fn too_large(bytes: usize, full: NoMemory) -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        error: "no_memory",
        outcome: Known::Unknown,
        detail: format!("what was asked was carried out, but its answer has {bytes} bytes: {full}"),
        what_to_do: "try again in a moment, read less at once, or ask another node",
    }
}

/// A body with its part of the memory.
#[derive(Debug)]
struct Counted {
    body: Body,
    part: Arc<Part>,
    /// Whether what comes of it is taken up in memory by whoever reads it.
    counts: bool,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && self.counts
            && let Some(data) = frame.data_ref()
            && let Err(full) = self.part.take(data.len())
        {
            return Poll::Ready(Some(Err(axum::Error::new(full))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
