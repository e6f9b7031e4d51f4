//! Packets that wait for an address.

use dataplane_common::abi::port_ca::PortCaKey;

use super::*;

/// The same bench, and its port learns.
fn learns() -> Bench {
    let bench = bench(Limits::DEFAULT);
    let mut directory = directory();
    directory.tables.vports.get_mut(&IFINDEX).unwrap().flags = Vport::LEARNS;
    directory
        .prefixes
        .insert(6001, vec!["10.0.0.0/24".parse().unwrap()]);
    let shared = &bench.worker.office.shared;
    shared.replace(Arc::new(directory), &mut shared.in_use());
    bench
}

/// From 10.0.0.60, by the port's MAC.
fn claiming(payload: u8) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7])
        .ipv4([10, 0, 0, 60], [10, 0, 0, 7], 64)
        .udp(1000, 2000);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[payload]).unwrap();
    frame
}

impl Bench {
    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.worker.turn(Instant::now()).unwrap();
        self.channel.0.lock().unwrap().sent.clone()
    }

    /// The programs let the port use 10.0.0.60.
    fn permit(&self) {
        let shared = &self.worker.office.shared;
        let mut tables = shared.directory().tables.clone();
        let ca = std::net::IpAddr::from([10, 0, 0, 60]).into();
        tables.port_cas.insert(PortCaKey { slot: 3, ca });
        assert!(shared.learning.settle(&tables));
    }
}

#[test]
fn packets_wait_for_the_permission_and_go_on_in_order() {
    let mut bench = learns();
    for payload in 0..3 {
        bench.punt(Punt::Learn, &claiming(payload));
    }
    assert_eq!(bench.sent().len(), 0);
    let claims = bench.worker.office.shared.learning.take();
    assert_eq!(claims.len(), 1, "one claim: {claims:?}");
    assert_eq!((claims[0].slot, claims[0].ca), (3, [10, 0, 0, 60].into()));
    bench.permit();
    // One that comes meanwhile does not overtake.
    bench.punt(Punt::Learn, &claiming(3));
    let sent = bench.sent();
    let payloads: Vec<u8> = sent.iter().map(|frame| *frame.last().unwrap()).collect();
    assert_eq!(payloads, [0, 1, 2, 3]);
    assert!(sent.iter().all(|frame| frame[1] == Task::Egress as u8));
    assert_eq!(bench.worker.office.shared.learning.take(), []);
    assert!(bench.worker.hold.is_empty());
}

#[test]
fn who_gets_no_address_is_dropped_and_so_is_who_waits_in_vain() {
    let mut bench = learns();
    let mut gateway = claiming(0);
    gateway[29] = 255;
    bench.punt(Punt::Learn, &gateway);
    bench.punt(Punt::Learn, &claiming(1));
    bench.sent();
    bench
        .worker
        .turn(Instant::now() + Duration::from_secs(1))
        .unwrap();
    let drops = bench.counts.drops(3);
    let drops: Vec<_> = drops
        .iter()
        .map(|(reason, count)| (*reason, count.packets))
        .collect();
    assert_eq!(drops.len(), 2, "{drops:?}");
    assert!(drops.contains(&(DropReason::LearnRefused, 1)));
    assert!(drops.contains(&(DropReason::HoldExpired, 1)));
}

#[test]
fn whoever_asks_about_an_address_does_not_wait_with_its_claimant() {
    let mut bench = learns();
    bench.punt(Punt::Learn, &claiming(0));
    bench.punt(Punt::Miss, &udp(60, b"?"));
    let sent = bench.until_sent(1);
    assert!(sent[0].ends_with(b"?"), "nobody has it yet, says the table");
    assert_eq!(bench.worker.hold.len(), 1);
    bench.permit();
    assert_eq!(bench.sent().len(), 2);
}
