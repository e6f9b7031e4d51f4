use super::*;

/// A claim of the port in the slot, which has no address yet, for 10.0.0.`last`.
fn claim(slot: u32, last: u8) -> Claim<'static> {
    const PREFIXES: &[IpNet] = &[IpNet::V4(ipnet::Ipv4Net::new_assert(
        std::net::Ipv4Addr::new(10, 0, 0, 0),
        24,
    ))];
    Claim {
        slot,
        rdid: 1,
        prefixes: PREFIXES,
        held: 0,
        ca: IpAddr::from([10, 0, 0, last]),
    }
}

fn nobody(_: IpAddr) -> Option<Owner> {
    None
}

#[test]
fn the_first_owner_wins() {
    let (mut learned, now) = (Learned::new(Limits::DEFAULT), Instant::now());
    assert_eq!(learned.claim(&claim(1, 5), nobody, now), Decision::Learn);
    assert_eq!(learned.claim(&claim(1, 5), nobody, now), Decision::Known);
    let taken = Decision::Refused(Refusal::Taken);
    assert_eq!(learned.claim(&claim(2, 5), nobody, now), taken);
    // Another routing domain has addresses of its own.
    let elsewhere = Claim {
        rdid: 2,
        ..claim(2, 5)
    };
    assert_eq!(learned.claim(&elsewhere, nobody, now), Decision::Learn);
    // The record is there.
    learned.settled(1, claim(1, 5).ca);
    let first = |_| Some(Owner::Port(1));
    assert_eq!(learned.claim(&claim(1, 5), first, now), Decision::Known);
    assert_eq!(learned.claim(&claim(2, 5), first, now), taken);
}

#[test]
fn what_the_policy_says_comes_before_what_is_on_its_way() {
    let (mut learned, now) = (Learned::new(Limits::DEFAULT), Instant::now());
    assert_eq!(learned.claim(&claim(1, 5), nobody, now), Decision::Learn);
    for (owner, why) in [
        (Owner::Other, Refusal::Taken),
        (Owner::Gateway, Refusal::Gateway),
    ] {
        let decision = learned.claim(&claim(1, 5), |_| Some(owner), now);
        assert_eq!(decision, Decision::Refused(why));
    }
}

#[test]
fn only_the_subnets_addresses_are_learned() {
    let mut learned = Learned::new(Limits::DEFAULT);
    for outside in ["10.0.1.5", "fd00::5"] {
        let claim = Claim {
            ca: outside.parse().unwrap(),
            ..claim(1, 5)
        };
        let decision = learned.claim(&claim, nobody, Instant::now());
        assert_eq!(decision, Decision::Refused(Refusal::Outside));
    }
}

#[test]
fn a_port_has_so_many_whether_known_or_on_their_way() {
    let (mut learned, now) = (Learned::new(Limits::DEFAULT), Instant::now());
    let claim = |slot, last| Claim {
        held: 3,
        ..claim(slot, last)
    };
    for last in 1..=5 {
        assert_eq!(learned.claim(&claim(1, last), nobody, now), Decision::Learn);
    }
    let full = Decision::Refused(Refusal::Full);
    assert_eq!(learned.claim(&claim(1, 6), nobody, now), full);
    assert_eq!(learned.claim(&claim(1, 5), nobody, now), Decision::Known);
    assert_eq!(learned.claim(&claim(2, 6), nobody, now), Decision::Learn);
    learned.settled(1, claim(1, 5).ca);
    assert_eq!(learned.claim(&claim(1, 7), nobody, now), Decision::Learn);
    learned.forget(1);
    assert_eq!(learned.claim(&claim(2, 7), nobody, now), Decision::Learn);
}

#[test]
fn a_record_that_never_comes_keeps_an_address_for_a_time() {
    let (mut learned, start) = (Learned::new(Limits::DEFAULT), Instant::now());
    assert_eq!(learned.claim(&claim(1, 5), nobody, start), Decision::Learn);
    let late = start + Limits::DEFAULT.pending;
    assert_eq!(learned.claim(&claim(2, 5), nobody, late), Decision::Learn);
}

#[test]
fn the_log_speaks_of_a_port_once_a_minute() {
    let (mut learned, start) = (Learned::new(Limits::DEFAULT), Instant::now());
    let mut lines = Vec::new();
    for second in 0..180 {
        let now = start + Duration::from_secs(second);
        lines.extend(learned.speaks_of(1, now));
    }
    assert_eq!(lines, [0, 59, 59]);
    assert_eq!(learned.speaks_of(2, start), Some(0));
}
