use dataplane_common::{
    abi::{
        lookup::{LookupKey, LookupRecord},
        upcall::{self, Task, UpcallHeader},
        vport::Vport,
    },
    id::{Address, Mac},
    punt::Punt,
};

use super::*;
use crate::{
    policy::{
        in_use::{InUse, Lives},
        table_image::TableImage,
    },
    slowpath::{budget::Rates, directory::Tenant, hold::Limits, resolver},
};

use fakes::{Fake, Table};

mod counted;
mod fakes;

/// Of blue's port.
pub(in crate::slowpath) const IFINDEX: u32 = 11;
const RDID: u32 = 1;

struct Bench {
    worker: Worker<Fake>,
    channel: Fake,
    table: Table,
    counts: Arc<Counts>,
    told: path_mtu::Told,
    slot: u32,
}

fn ca(last: u8) -> Address {
    Address::v4([10, 0, 0, last])
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
        cas: [ca(5), Address::UNSPECIFIED],
        ..Vport::default()
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
    Directory::of(
        tables,
        [(6001, vec![ca(1).into()])].into(),
        [(RDID, blue)].into(),
    )
}

fn bench(limits: Limits) -> Bench {
    bench_of(directory(), limits)
}

fn bench_of(directory: Directory, limits: Limits) -> Bench {
    let slot = directory.tables.vports[&IFINDEX].slot;
    let shared = Arc::new(Shared::new(InUse::new(Lives::DEFAULT, 65536)));
    shared.replace(Arc::new(directory), &mut shared.in_use());
    let (channel, table, counts) = (
        Fake::default(),
        Table::default(),
        Arc::new(Counts::default()),
    );
    let questions = resolver::start(shared.clone(), Box::new(table.clone())).unwrap();
    let (paths, told) = path_mtu::channel();
    let office = Office {
        shared,
        counts: counts.clone(),
        questions,
        paths,
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
        told,
        slot,
    }
}

impl Bench {
    fn punt(&self, punt: Punt, frame: &[u8]) {
        self.come((IFINDEX, self.slot), punt, frame);
    }

    /// A packet comes from a device: a port's with its slot, or an uplink with 0.
    fn come(&self, (ifindex, slot): (u32, u32), punt: Punt, frame: &[u8]) {
        let header = UpcallHeader::new(Task::Handle, ifindex, slot, punt.number());
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
        .ipv4([10, 0, 0, 5], [10, 0, 0, dst], 64)
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
    let blue = &bench.counts.upcalls()[&RDID];
    assert_eq!((blue.reinjected, blue.answered, blue.consumed), (5, 0, 0));
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

mod learning;
