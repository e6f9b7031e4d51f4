//! Request and response of one byte over TCP, as often as fits into the time.
//!
//! One connection, made once and not counted, without Nagle's algorithm; the first round trips of
//! each measurement are not counted either. Client and server keep to one CPU each, the first and
//! the last that this process may use: where the scheduler puts them would otherwise decide.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use xtask::lab::{inside, interrupted};

use crate::{
    bulk::tcp_server,
    paths::{Absence, Built},
    subject::{Measured, Subject},
};

const PORT: u16 = 5202;

/// Round trips before counting starts.
const WARM_UP: u32 = 200;

/// Round trips that are counted at least: the 99th percentile of fewer is an accident.
const LEAST: u64 = 2_000;

/// A response that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection over a path; the value is one percentile of its round trips, microseconds.
///
/// The details have `roundTrips`, `p50Nanoseconds` and `p99Nanoseconds`, whichever was asked for.
pub struct RoundTrip {
    // Declared first: the connection ends before its path does.
    line: Line,
    _built: Built,
    percentile: f64,
}

impl RoundTrip {
    /// Connects the ends of a path. `percentile` is in 0..=100.
    pub fn new(built: Built, percentile: f64) -> Result<Self, Absence> {
        let address: Ipv4Addr = tcp_server(&built)?.parse().context("the sink's address")?;
        let at = SocketAddr::from((address, PORT));
        let listener = inside(&built.sink.netns, || Ok(TcpListener::bind(at)?))?;
        let client = inside(&built.source.netns, || {
            Ok(TcpStream::connect_timeout(&at, PATIENCE)?)
        })?;
        Ok(Self {
            line: Line::new(client, &listener)?,
            _built: built,
            percentile,
        })
    }
}

impl Subject for RoundTrip {
    fn measure(&mut self, length: Duration) -> Result<Measured> {
        let times = self.line.time(length)?;
        let at = |percentile| times.value_at_percentile(percentile);
        let details = [
            ("roundTrips", times.len()),
            ("p50Nanoseconds", at(50.0)),
            ("p99Nanoseconds", at(99.0)),
        ];
        Ok(Measured {
            value: Duration::from_nanos(at(self.percentile)).as_secs_f64() * 1e6,
            details: BTreeMap::from(details.map(|(name, value)| (name.to_owned(), value))),
        })
    }
}

/// A connection, and the thread that answers at its far end.
struct Line {
    client: TcpStream,
    far: TcpStream,
    server: Option<JoinHandle<()>>,
}

impl Line {
    fn new(client: TcpStream, listener: &TcpListener) -> Result<Self> {
        let (far, _) = listener.accept()?;
        for end in [&client, &far] {
            end.set_nodelay(true)?;
        }
        client.set_read_timeout(Some(PATIENCE))?;
        let end = far.try_clone()?;
        let cpu = cpus()?.1;
        let server = std::thread::Builder::new().name("responder".into());
        let server = server.spawn(move || {
            // Without its CPU it still answers; only figures wobble more.
            let _ = sched_setaffinity(None, &cpu);
            respond(end);
        })?;
        Ok(Self {
            client,
            far,
            server: Some(server),
        })
    }

    /// Round trips for so long, and [`LEAST`] of them, in nanoseconds.
    fn time(&mut self, length: Duration) -> Result<Histogram<u64>> {
        let before = sched_getaffinity(None)?;
        sched_setaffinity(None, &cpus()?.0)?;
        let times = self.time_here(length);
        sched_setaffinity(None, &before)?;
        times
    }

    fn time_here(&mut self, length: Duration) -> Result<Histogram<u64>> {
        for _ in 0..WARM_UP {
            self.once()?;
        }
        let longest = u64::try_from(PATIENCE.as_nanos())? * 2;
        let mut times = Histogram::new_with_bounds(1, longest, 3)?;
        let deadline = Instant::now() + length;
        while times.len() < LEAST || Instant::now() < deadline {
            times.record(u64::try_from(self.once()?.as_nanos())?)?;
            interrupted()?;
        }
        Ok(times)
    }

    fn once(&mut self) -> Result<Duration> {
        let mut byte = [0x5a];
        let sent = Instant::now();
        let done = self.client.write_all(&byte);
        done.and_then(|()| self.client.read_exact(&mut byte))
            .map_err(|error| anyhow!("no response within {PATIENCE:?}: {error}"))?;
        Ok(sent.elapsed())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Both ends: over a path that is broken the far one would never hear of it.
        for end in [&self.client, &self.far] {
            let _ = end.shutdown(Shutdown::Both);
        }
        let _ = self.server.take().map(JoinHandle::join);
    }
}

/// Sends back each byte, until the connection ends.
fn respond(mut end: TcpStream) {
    let mut byte = [0];
    while end.read_exact(&mut byte).is_ok() && end.write_all(&byte).is_ok() {}
}

/// The first and the last CPU of this process, which may be the same.
fn cpus() -> Result<(CpuSet, CpuSet)> {
    let allowed = sched_getaffinity(None)?;
    let mut numbers = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    let first = numbers.next().context("this process has no CPU")?;
    let only = |cpu| {
        let mut set = CpuSet::new();
        set.set(cpu);
        set
    };
    Ok((only(first), only(numbers.next_back().unwrap_or(first))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Line::new(client, &listener).unwrap()
    }

    #[test]
    fn round_trips_are_counted_after_the_warm_up_and_enough_of_them() {
        let times = line().time(Duration::ZERO).unwrap();
        assert_eq!(times.len(), LEAST);
        assert!(
            times.min() > 0 && times.value_at_percentile(99.0) >= times.value_at_percentile(50.0)
        );
    }

    #[test]
    fn the_thread_that_measures_gets_its_cpus_back() {
        let before = sched_getaffinity(None).unwrap();
        line().time(Duration::ZERO).unwrap();
        assert!(sched_getaffinity(None).unwrap() == before);
    }

    #[test]
    fn a_line_that_is_cut_is_an_error_and_its_end_returns() {
        let mut line = line();
        line.far.shutdown(Shutdown::Both).unwrap();
        assert!(line.time(Duration::from_secs(1)).is_err());
    }
}
