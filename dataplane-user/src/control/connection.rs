//! One connection: one request and its answer, each bounded in time.
//!
//! | from | until | at most |
//! |---|---|---|
//! | connected | the header is complete | [`HEADER`] |
//! | one frame of the body | the next | [`super::body::PAUSE`] |
//! | the answer is made | it is taken | [`TAKE`] |
//!
//! What happens in between is nved's own work.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::UnixStream,
    sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore},
};

use super::{answer::Refusal, socket::Peer};

/// Time for the header of a request.
pub(super) const HEADER: Duration = Duration::from_secs(10);
/// Time for a client to take its answer.
pub(super) const TAKE: Duration = Duration::from_mins(1);
/// Time for a client to hear that there is no room.
const REFUSAL: Duration = Duration::from_secs(2);
/// Longest header, and what is buffered of a body, bytes.
const BUFFER: usize = 64 << 10;

/// A request in work: whether there is one, its turn, and whether it has its answer.
#[derive(Default)]
struct Work {
    begun: AtomicBool,
    turn: Mutex<Option<OwnedSemaphorePermit>>,
    answered: Notify,
}

/// Serves a connection; once `stopping` is done, only what is under way.
pub(super) async fn serve(
    stream: UnixStream,
    (peer, router): (Peer, Router),
    turns: Option<Arc<Semaphore>>,
    stopping: impl Future<Output = ()>,
) {
    let work = Work::default();
    let work = &work;
    let router = &TowerToHyperService::new(router);
    let turns = &turns;
    let service = service_fn(move |mut request: Request<Incoming>| async move {
        work.begun.store(true, Ordering::Relaxed);
        if let Some(turns) = turns {
            *work.turn.lock().await = turns.clone().acquire_owned().await.ok();
        }
        request.extensions_mut().insert(peer);
        let response = router.call(request).await;
        work.answered.notify_one();
        response
    });
    let taken = async {
        work.answered.notified().await;
        tokio::time::sleep(TAKE).await;
    };
    let (mut connection, mut taken) = (pin!(http(stream, service)), pin!(taken));
    tokio::select! {
        _ = &mut connection => return,
        () = &mut taken => return,
        () = stopping => {}
    }
    if !work.begun.load(Ordering::Relaxed) {
        return;
    }
    tokio::select! {
        _ = connection => {}
        () = taken => {}
    }
}

/// Answers whatever is asked with "no room".
pub(super) async fn refuse(stream: UnixStream) {
    let full = |_: Request<Incoming>| async {
        let refusal = Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many connections to nved at once",
            "end some of them, or try again",
        );
        Ok::<_, std::convert::Infallible>(refusal.into_response())
    };
    let _ = tokio::time::timeout(REFUSAL, http(stream, service_fn(full))).await;
}

fn http<S>(stream: UnixStream, service: S) -> http1::Connection<TokioIo<UnixStream>, S>
where
    S: Service<Request<Incoming>, Response = Response<Body>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        // The next request of the same client waits for its turn like any other's.
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service)
}
