//! Takes connections, and ends them when nved stops.

use std::{io, time::Duration};

use axum::Router;
use tokio::{net::UnixStream, sync::watch, task::JoinSet};

use super::{
    connection,
    seats::{Seat, Seats},
    socket::{ControlSocket, Peer},
};

/// How long requests under way may still take when nved stops.
const GRACE: Duration = Duration::from_secs(2);
/// Pause after a connection could not be taken: what is short (files, memory) may
/// be there again.
const RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop` says so; requests under way have two seconds to end.
pub async fn serve(
    socket: ControlSocket,
    router: Router,
    seats: Seats,
    stop: watch::Receiver<bool>,
) {
    let mut stopping = stop.clone();
    let mut connections = JoinSet::new();
    let mut short = false;
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(stream) => {
                    short = false;
                    let peer = Peer::of(&stream);
                    if let Some(seat) = seats.take(peer) {
                        connections.spawn(run(stream, seat, (peer, router.clone()), stop.clone()));
                    }
                }
                Err(error) => {
                    log_once(&error, &mut short);
                    tokio::time::sleep(RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = told(&mut stopping) => break,
        }
    }
    drop(socket);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::info!("{} connections are cut off", connections.len());
        connections.shutdown().await;
    }
}

async fn run(
    stream: UnixStream,
    seat: Seat,
    (peer, router): (Peer, Router),
    mut stop: watch::Receiver<bool>,
) {
    let stopping = told(&mut stop);
    match seat {
        Seat::Served { turns, held } => {
            connection::serve(stream, (peer, router), turns, stopping).await;
            drop(held);
        }
        Seat::Refused(held) => {
            connection::refuse(stream).await;
            drop(held);
        }
    }
}

/// Waits until nved is to stop, or nobody is left to say so.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Logs the first of several errors in a row.
fn log_once(error: &io::Error, short: &mut bool) {
    if !std::mem::replace(short, true) {
        tracing::warn!("cannot take a connection to the control socket, trying on: {error}");
    }
}
