//! TCP bulk over a path, by iperf3: tenant to tenant, with the offloads that the path leaves on.
//! Client and server keep to the first and the last CPU that this process may use.

use std::{collections::BTreeMap, process::Command, time::Duration};

use anyhow::Result;
use xtask::lab::{
    Proc,
    iperf::{self, Ask},
};

use crate::{
    generator::cpus,
    paths::{Absence, Built},
    subject::{Measured, Subject},
};

const PORT: u16 = 5201;

/// A number of TCP streams from a path's source to its sink; the value is bits per second received.
pub struct Bulk {
    // Declared first: the server ends before its namespace does.
    _server: Proc,
    built: Built,
    server: &'static str,
    streams: u32,
    /// Where the scheduler puts client and server would otherwise decide.
    cpus: Option<(usize, usize)>,
}

impl Bulk {
    /// Starts the server. A path whose ends have no addresses carries no TCP: not available.
    pub fn new(built: Built, streams: u32) -> Result<Self, Absence> {
        let server = tcp_server(&built)?;
        if Command::new("iperf3").arg("--version").output().is_err() {
            let why = "needs iperf3: apt-get install iperf3";
            return Err(Absence::NotAvailable(why.to_owned()));
        }
        let cpus = cpus::allowed()?;
        Ok(Self {
            _server: iperf::serve(&built.sink.netns, PORT)?,
            built,
            server,
            streams,
            cpus: cpus.first().copied().zip(cpus.last().copied()),
        })
    }
}

impl Subject for Bulk {
    /// Whole seconds, at least one: iperf3 knows no others.
    fn measure(&mut self, length: Duration) -> Result<Measured> {
        let seconds = length.as_secs_f64().round().max(1.0);
        let ask = Ask {
            server: self.server,
            port: PORT,
            seconds: u32::try_from(Duration::from_secs_f64(seconds).as_secs())?,
            streams: self.streams,
            cpus: self.cpus,
        };
        let done = iperf::transfer(&self.built.source.netns, &ask)?;
        Ok(Measured {
            value: done.rate,
            details: BTreeMap::from([("retransmits".to_owned(), done.retransmits)]),
        })
    }
}

/// The address that a TCP server has at the sink, if the source has one too.
pub(crate) fn tcp_server(built: &Built) -> Result<&'static str, Absence> {
    let both = built.source.address.and(built.sink.address);
    let why = "its ends have no addresses: it carries frames, not TCP";
    both.ok_or_else(|| Absence::NotAvailable(why.to_owned()))
}
