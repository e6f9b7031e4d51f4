//! What comes of a packet is counted once.

use super::*;
use crate::slowpath::{
    counts::{UNDERLAY, Upcalls},
    testing::{broadcast, discovery, error, too_big, udp as packet},
    world::{self, P5, UPLINK, gateway_mac, rewriting},
};

fn world_bench() -> Bench {
    bench_of(world::directory(), Limits::DEFAULT)
}

/// Every packet that came was given back, consumed or dropped.
fn sum(counts: &Upcalls) -> (u64, u64) {
    let ended = counts.reinjected + counts.consumed + counts.drops.values().sum::<u64>();
    (counts.punts.values().sum(), ended)
}

fn blue(bench: &Bench) -> Upcalls {
    bench.counts.upcalls().remove(&RDID).unwrap()
}

#[test]
fn a_question_ends_with_its_answer_and_with_none_when_there_were_too_many() {
    let mut bench = world_bench();
    let gateway = Address::link_local_of(gateway_mac(&world::directory()));
    let body = [&[0; 4][..], &gateway.to_bytes()].concat();
    let question = discovery("::", "ff02::1:ff00:1", 135, &body);
    bench.punt(Punt::Neighbour, &question);
    let sent = bench.until_sent(1);
    assert_eq!(sent[0][1], Task::Deliver as u8);
    let one = blue(&bench);
    assert_eq!((one.answered, one.consumed, one.reinjected), (1, 1, 0));
    assert!(one.drops.is_empty());
    for _ in 0..60 {
        bench.punt(Punt::Neighbour, &question);
    }
    bench.worker.turn(Instant::now()).unwrap();
    let many = blue(&bench);
    assert_eq!(sum(&many), (61, 61));
    assert!(many.drops[&DropReason::PuntRate] > 20, "{many:?}");
    assert_eq!(many.answered, many.consumed);
}

#[test]
fn who_is_told_that_its_packet_goes_nowhere_is_dropped_and_answered() {
    let mut bench = world_bench();
    bench.punt(Punt::TtlExceeded, &udp(7, b"x"));
    bench.until_sent(1);
    let counts = blue(&bench);
    assert_eq!((counts.answered, counts.consumed), (1, 0));
    assert_eq!(counts.drops[&DropReason::TtlExceeded], 1);
    assert_eq!(sum(&counts), (1, 1));
}

#[test]
fn a_broadcast_ends_here_and_the_programs_count_its_copies() {
    let mut bench = world_bench();
    bench.punt(Punt::Wide, &broadcast(udp(255, b"all")));
    let sent = bench.until_sent(3);
    let mut tasks: Vec<u8> = sent.iter().map(|frame| frame[1]).collect();
    tasks.sort_unstable();
    assert_eq!(
        tasks,
        [Task::Encap as u8, Task::Encap as u8, Task::Replica as u8]
    );
    let counts = blue(&bench);
    assert_eq!((counts.consumed, counts.reinjected), (1, 0));
    assert_eq!(sum(&counts), (1, 1));
}

#[test]
fn what_is_told_of_a_path_reaches_the_agent_and_is_no_tenants() {
    let mut bench = world_bench();
    let pas = ("192.0.2.1", "192.0.2.2");
    let believed = too_big("198.51.100.1", pas, 6001, 1400);
    bench.come((UPLINK, 0), Punt::PathMtu, &believed);
    let forged = too_big("198.51.100.1", pas, 9999, 1400);
    bench.come((UPLINK, 0), Punt::PathMtu, &forged);
    bench.worker.turn(Instant::now()).unwrap();
    assert_eq!(
        bench.told.try_recv(),
        Ok(("192.0.2.2".parse().unwrap(), 1400))
    );
    assert!(bench.told.try_recv().is_err());
    assert!(!bench.counts.upcalls().contains_key(&UNDERLAY));
    let paths = bench.counts.paths();
    assert_eq!(
        (paths.consumed, paths.drops[&DropReason::PaMismatch]),
        (1, 1)
    );
    assert_eq!((sum(&paths), bench.counts.all_consumed()), ((2, 2), 1));
}

/// A router about a packet from violet's 10.0.0.5 to 10.0.0.7.
fn report() -> Vec<u8> {
    let quoted = packet("198.51.100.5", "198.51.100.7", 20);
    let kind = ([11, 0], 0);
    error("192.0.2.254", "198.51.100.5", kind, &quoted[14..])
}

#[test]
fn a_report_that_came_by_the_pair_goes_to_the_port_by_it() {
    let mut bench = bench_of(rewriting(), Limits::DEFAULT);
    let rdid = rewriting().tables.vports[&P5].rdid;
    bench.come((UPLINK, 0), Punt::RewriteError, &report());
    let sent = bench.until_sent(1);
    assert_eq!(sent[0][1], Task::Deliver as u8);
    let counts = bench.counts.upcalls().remove(&rdid).unwrap();
    assert_eq!((counts.answered, counts.consumed), (1, 1));
    assert_eq!(
        (counts.punts[&Punt::RewriteError], sum(&counts)),
        (1, (1, 1))
    );
}

#[test]
fn a_report_that_an_uplinks_queue_got_does_not_leave_by_it() {
    let mut bench = bench_of(rewriting(), Limits::DEFAULT);
    let rdid = rewriting().tables.vports[&P5].rdid;
    let (lane, end) = Lane::new(bench.worker.control.bell.clone());
    bench.worker.queue = Queue::Uplink(UPLINK, lane);
    bench.channel.0.lock().unwrap().incoming.push_back(report());
    bench.worker.turn(Instant::now()).unwrap();
    assert!(bench.channel.0.lock().unwrap().sent.is_empty());
    let returned = end.try_recv().unwrap();
    assert_eq!(returned.header.task(), Some(Task::Deliver));
    assert_eq!((returned.header.ifindex(), returned.tenant), (P5, rdid));
    let counts = bench.counts.upcalls().remove(&rdid).unwrap();
    assert_eq!((counts.answered, counts.consumed), (1, 1));
    assert_eq!(
        (counts.punts[&Punt::RewriteError], sum(&counts)),
        (1, (1, 1))
    );
    assert_eq!(bench.counts.paths(), Upcalls::default());
}
