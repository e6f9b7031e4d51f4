use std::{collections::VecDeque, os::fd::BorrowedFd, sync::Mutex};

use dataplane_common::{
    abi::{
        lookup::{LookupKey, LookupRecord},
        upcall::{self, Task, UpcallHeader},
        vport::Vport,
    },
    id::Mac,
    punt::Punt,
};

use super::*;
use crate::{
    policy::{
        in_use::{InUse, Lives},
        table_image::TableImage,
    },
    slowpath::{budget::Rates, channel::Account, directory::Tenant, hold::Limits, resolver},
};

/// Of blue's port.
pub(in crate::slowpath) const IFINDEX: u32 = 11;
const RDID: u32 = 1;

/// A socket whose far end is the test.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Frames>>);

#[derive(Default)]
struct Frames {
    incoming: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Channel for Fake {
    fn receive(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        let incoming = std::mem::take(&mut self.0.lock().unwrap().incoming);
        for frame in &incoming {
            each(frame);
        }
        incoming.len()
    }
    fn send(&mut self, parts: &[&[u8]]) -> bool {
        self.0.lock().unwrap().sent.push(parts.concat());
        true
    }
    fn turn(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn wait(&self, _: BorrowedFd<'_>, _: Duration) -> io::Result<()> {
        Ok(())
    }
    fn account(&self) -> Account {
        Account::default()
    }
    fn refused(&self) -> u64 {
        0
    }
}

/// The kernel's table.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<Vec<(LookupKey, LookupRecord)>>>);

impl resolver::Table for Table {
    fn put(&mut self, key: LookupKey, record: LookupRecord) -> Result<(), aya::maps::MapError> {
        self.0.lock().unwrap().push((key, record));
        Ok(())
    }
    fn remove(&mut self, key: &LookupKey) -> Result<(), aya::maps::MapError> {
        self.0.lock().unwrap().retain(|(known, _)| known != key);
        Ok(())
    }
    fn idle(&self, _: &LookupKey) -> Duration {
        Duration::ZERO
    }
}

struct Bench {
    worker: Worker<Fake>,
    channel: Fake,
    table: Table,
    counts: Arc<Counts>,
}

fn ca(last: u8) -> [u8; 4] {
    [10, 0, 0, last]
}

/// Blue's port 10.0.0.5 here, and 10.0.0.7 elsewhere.
pub(in crate::slowpath) fn directory() -> Directory {
    let mut tables = TableImage::default();
    let port = Vport {
        slot: 3,
        rdid: RDID,
        vsid: 6001,
        mtu: 1500,
        flags: Vport::ON_DEMAND,
        mac: Mac([2, 0, 0, 0, 0, 5]),
        gateway_mac: Mac([2, 0xEE, 0, 0, 0, 1]),
        ca: ca(5),
    };
    tables.vports.insert(IFINDEX, port);
    let record = LookupRecord {
        vsid: 6001,
        pa_index: 2,
        ifindex: 0,
        mac: Mac([2, 0, 0, 0, 0, 7]),
        flags: LookupRecord::ON_DEMAND,
    };
    let key = LookupKey {
        rdid: RDID,
        ca: ca(7),
    };
    tables.lookup.insert(key, record);
    let blue = Tenant {
        name: "blue".to_owned(),
        weight: 1,
    };
    Directory::of(tables, [(6001, ca(1))].into(), [(RDID, blue)].into())
}

fn bench(limits: Limits) -> Bench {
    let shared = Arc::new(Shared::new(InUse::new(Lives::DEFAULT, 65536)));
    shared.replace(Arc::new(directory()), &mut shared.in_use());
    let (channel, table, counts) = (
        Fake::default(),
        Table::default(),
        Arc::new(Counts::default()),
    );
    let questions = resolver::start(shared.clone(), Box::new(table.clone())).unwrap();
    let office = Office {
        shared,
        counts: counts.clone(),
        questions,
    };
    let flags = rustix::event::EventfdFlags::NONBLOCK;
    let bell = Arc::new(rustix::event::eventfd(0, flags).unwrap());
    let control = Control {
        bell,
        stop: Arc::default(),
        restart: Arc::default(),
    };
    let (_, lane) = Lane::new(control.bell.clone());
    let room = (Hold::new(limits), Budgets::new(Rates::DEFAULT));
    let worker = Worker::new((channel.clone(), Queue::Pair(lane)), office, control, room);
    Bench {
        worker,
        channel,
        table,
        counts,
    }
}

impl Bench {
    fn punt(&self, punt: Punt, frame: &[u8]) {
        let header = UpcallHeader::new(Task::Handle, IFINDEX, 3, punt.number());
        let bytes = [&header.to_bytes(), frame].concat();
        self.channel.0.lock().unwrap().incoming.push_back(bytes);
    }

    /// Turns until so many frames were sent in all.
    fn until_sent(&mut self, count: usize) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            self.worker.turn(Instant::now()).unwrap();
            let sent = self.channel.0.lock().unwrap().sent.clone();
            if sent.len() >= count {
                return sent;
            }
            assert!(Instant::now() < deadline, "{} of {count} sent", sent.len());
            std::thread::yield_now();
        }
    }
}

pub(in crate::slowpath) fn udp(dst: u8, payload: &[u8]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7])
        .ipv4(ca(5), ca(dst), 64)
        .udp(1000, 2000);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

#[test]
fn a_record_is_there_before_the_packets_that_waited_for_it() {
    let mut bench = bench(Limits::DEFAULT);
    let frames: Vec<_> = (0..5).map(|n| udp(7, &[n])).collect();
    for frame in &frames {
        bench.punt(Punt::Miss, frame);
    }
    let sent = bench.until_sent(5);
    let written = bench.table.0.lock().unwrap().clone();
    assert_eq!(written.len(), 1, "one question: {written:?}");
    assert_eq!((written[0].0.ca, written[0].1.pa_index), (ca(7), 2));
    for (sent, frame) in sent.iter().zip(&frames) {
        assert_eq!(sent[upcall::LEN..], frame[..], "each once, in order");
        assert_eq!(sent[1], Task::Egress as u8);
    }
    assert_eq!(bench.counts.outcomes(), (5, 0));
}

#[test]
fn nobody_has_it_is_an_answer_too() {
    let mut bench = bench(Limits::DEFAULT);
    bench.punt(Punt::Miss, &udp(99, b"?"));
    bench.until_sent(1);
    let written = bench.table.0.lock().unwrap().clone();
    assert_eq!(written[0].1, LookupRecord::negative(6001));
}

#[test]
fn what_finds_no_room_is_counted() {
    let mut bench = bench(Limits {
        destination: 2,
        ..Limits::DEFAULT
    });
    for n in 0..5 {
        bench.punt(Punt::Miss, &udp(7, &[n]));
    }
    bench.until_sent(2);
    let drops = bench.counts.drops(3);
    let full: Vec<_> = drops
        .iter()
        .map(|(reason, count)| (*reason, count.packets))
        .collect();
    assert_eq!(full, [(DropReason::HoldFull, 3)]);
}

#[test]
fn what_waits_when_the_thread_ends_is_counted() {
    let mut bench = bench(Limits::DEFAULT);
    // Nobody answers.
    let (questions, _never) = crossbeam_channel::bounded(16);
    bench.worker.office.questions = questions;
    bench.punt(Punt::Miss, &udp(7, b"x"));
    bench.worker.turn(Instant::now()).unwrap();
    bench.worker.close();
    let drops = bench.counts.drops(3);
    assert_eq!(drops[0].0, DropReason::WorkerLost);
    assert_eq!(drops[0].1.packets, 1);
}

#[test]
fn garbage_ends_nothing() {
    let mut bench = bench(Limits::DEFAULT);
    for length in 0..80 {
        bench
            .channel
            .0
            .lock()
            .unwrap()
            .incoming
            .push_back(vec![0xFF; length]);
        bench.punt(Punt::Miss, &udp(7, b"x")[..length.min(40)]);
        bench.punt(Punt::SourceMiss, &vec![0; length]);
        bench.punt(Punt::Oversize, &vec![0x45; length]);
    }
    bench.worker.turn(Instant::now()).unwrap();
    let before = bench.channel.0.lock().unwrap().sent.len();
    let good = udp(7, b"good");
    bench.punt(Punt::Miss, &good);
    let sent = bench.until_sent(before + 1);
    assert!(sent.last().unwrap().ends_with(&good));
    let drops = bench.counts.drops(3);
    let truncated = drops
        .iter()
        .find(|(reason, _)| *reason == DropReason::Truncated);
    assert!(
        truncated.is_some_and(|(_, count)| count.packets > 0),
        "{drops:?}"
    );
}
