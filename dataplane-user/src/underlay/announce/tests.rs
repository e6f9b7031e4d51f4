use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 5));

fn at(ifindex: u32, pas: impl IntoIterator<Item = IpAddr>) -> Present {
    let station = Station {
        ifindex,
        mac: MAC,
        of_vm: false,
    };
    pas.into_iter().map(|pa| (pa, station)).collect()
}

/// Milliseconds after the start at which a PA is announced.
fn told(announcer: &mut Announcer, start: Instant, pa: IpAddr) -> Vec<u128> {
    let mut times = Vec::new();
    while let Some(due) = announcer.due() {
        let taken = announcer.take(due);
        if taken.iter().any(|(told, _)| *told == pa) {
            times.push((due - start).as_millis());
        }
    }
    times
}

#[test]
fn each_family_has_its_rhythm() {
    let start = Instant::now();
    for (pa, times) in [(V4, vec![0, 2000]), (V6, vec![0, 1000, 2000])] {
        let mut announcer = Announcer::default();
        announcer.follow(at(2, [pa]), start);
        assert_eq!(told(&mut announcer, start, pa), times);
    }
}

#[test]
fn what_neighbours_know_is_not_announced_and_what_is_elsewhere_is() {
    let start = Instant::now();
    let mut announcer = Announcer::adopt(at(2, [V4]));
    announcer.follow(at(2, [V4]), start);
    assert_eq!(announcer.due(), None);
    announcer.follow(at(3, [V4]), start);
    let taken = announcer.take(start);
    assert!(matches!(taken.as_slice(), [(V4, station)] if station.ifindex == 3));
    // Nobody hears of what is gone, and of what comes again anew.
    announcer.follow(Present::new(), start);
    assert_eq!(announcer.due(), None);
    let again = start + Duration::from_secs(1);
    announcer.follow(at(3, [V4]), again);
    assert_eq!(told(&mut announcer, again, V4), [0, 2000]);
}

#[test]
fn many_are_announced_in_batches() {
    let start = Instant::now();
    let pas = (0..=255).map(|last| IpAddr::from([192, 0, 2, last]));
    let mut announcer = Announcer::default();
    announcer.follow(at(2, pas), start);
    assert_eq!(announcer.take(start).len(), BATCH);
    assert_eq!(announcer.due(), Some(start + PAUSE));
    assert!(announcer.take(start).is_empty());
    let (mut count, mut last) = (BATCH, start);
    while let Some(due) = announcer.due() {
        let taken = announcer.take(due).len();
        assert!(taken <= BATCH);
        (count, last) = (count + taken, due);
    }
    assert_eq!(count, 512);
    assert!(last - start < Duration::from_secs(3));
}

#[test]
fn an_arp_announcement_has_the_address_twice() {
    let bytes = announcement(V4, MAC);
    let wanted = [
        &[0xFF; 6][..],
        &MAC.0,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &MAC.0,
        &[192, 0, 2, 5],
        &[0; 6],
        &[192, 0, 2, 5],
    ]
    .concat();
    assert_eq!(bytes, wanted);
}

#[test]
fn an_unsolicited_advertisement_overrides() {
    let IpAddr::V6(pa) = V6 else { unreachable!() };
    let all = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut wanted = [
        &[0x33, 0x33, 0, 0, 0, 1][..],
        &MAC.0,
        &[0x86, 0xDD, 0x60, 0, 0, 0, 0, 32, 58, 255],
        &pa.octets(),
        &all,
        &[136, 0, 0, 0, 0x20, 0, 0, 0],
        &pa.octets(),
        &[2, 1],
        &MAC.0,
    ]
    .concat();
    let checksum = etherparse::checksum::Sum16BitWords::new()
        .add_slice(&wanted[22..])
        .add_4bytes([0, 32, 0, 58])
        .ones_complement()
        .to_ne_bytes();
    wanted[56..58].copy_from_slice(&checksum);
    assert_eq!(announcement(V6, MAC), wanted);
}
