//! What user space gives back to the programs, packet by packet.

use anyhow::Result;
use dataplane_common::{
    abi::{
        stats::Direction,
        upcall::{PAIR, Task, UpcallHeader},
    },
    reason::DropReason as R,
};
use dataplane_tests::{
    expect::{Fixture, Want, check_each},
    fixtures::{self, asked, rewrite, slow_path},
    packet::{udp, who_has},
    policy::{BLUE_5, BLUE_6, SENDER, UPLINK_DEVICE, asking, blue_on_demand, rewriting},
    prog_run::{Action, Counts, Hook, Listener, Programs},
};

const A: [u8; 4] = [10, 0, 0, 5];
const REMOTE: [u8; 4] = [10, 0, 0, 7];
const UNASKED: [u8; 4] = [10, 0, 0, 8];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_far_end_of_the_pair_belongs_to_user_space() -> Result<()> {
    let mut programs = Programs::load(&blue_on_demand());
    let frame = udp(A, UNASKED, 30);
    assert_eq!(programs.at_far_end(&frame).action, Action::Drop);
    let listener = Listener::open()?;
    programs.listen(PAIR, &listener);
    let ran = programs.at_far_end(&frame);
    assert_eq!((ran.action, ran.frame), (Action::Redirect, frame));
    assert_eq!(programs.counts(), Counts::default());
    Ok(())
}

/// What came untagged and as one segment; so comes all that user space gives back.
fn as_given_back(mut fixtures: Vec<Fixture>) -> Vec<Fixture> {
    let tagged =
        |fixture: &Fixture| matches!(fixture.frame.get(12..14), Some([0x81 | 0x88, 0 | 0xA8]));
    fixtures.retain(|fixture| fixture.gso_size == 0 && !tagged(fixture));
    fixtures
}

/// Why a packet of an onDemand tenant is dropped that user space would have been asked about.
const LEFT_TO_USER_SPACE: [R; 3] = [R::NoLookupRecord, R::ArpNoRecord, R::SrcUnknown];

/// Fixtures with these reasons that nobody is asked about: there is a record of the CA in another
/// subnet, or no table of any host has one of it.
const KNOWN: [&str; 5] = [
    "arp across subnets",
    "nd across subnets",
    "nd for a stranger's link-local",
    "link-local to nobody",
    "from where no route leads",
];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_given_back_goes_on_as_if_it_had_come_now() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    // It is the host's no more: the stack has seen what is its own.
    let mut fixtures = slow_path::attended(as_given_back(fixtures::all()));
    for name in KNOWN {
        assert!(
            fixtures.iter().any(|fixture| fixture.name == name),
            "{name}"
        );
    }
    for fixture in &mut fixtures {
        if fixture.want == Want::Passed {
            fixture.want = Want::Dropped(0, R::PuntFailed);
        }
        if let Want::Dropped(slot, reason) = fixture.want
            && LEFT_TO_USER_SPACE.contains(&reason)
            && !KNOWN.contains(&fixture.name)
        {
            fixture.want = Want::Dropped(slot, R::PuntLoop);
        }
    }
    let fixtures = slow_path::with_fate(fixtures, |_| R::PuntLoop);
    check_each(&fixtures, |fixture| fixture.check_back(&programs));
    check_each(&as_given_back(slow_path::known()), |f| {
        f.check_back(&programs)
    });
    Ok(())
}

/// But for questions on an uplink and what is the host's: user space never got those.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_given_back_gets_other_addresses_too() -> Result<()> {
    let mut image = rewriting();
    image.config.upcall_ifindex = UPLINK_DEVICE;
    let (programs, _listener) = Programs::attended(&image)?;
    let mut fixtures = as_given_back(rewrite::all());
    for fixture in &mut fixtures {
        let asked =
            fixture.direction == Direction::Ingress && matches!(fixture.want, Want::Replied(..));
        if asked || fixture.want == Want::Passed {
            fixture.want = Want::Dropped(0, R::PuntFailed);
        }
    }
    fixtures.extend(slow_path::looping(rewrite::punted()));
    let asks = [R::MtuExceeded, R::TtlExceeded, R::NatSrcUnknown];
    let would_ask =
        |fixture: &Fixture| matches!(fixture.want, Want::Dropped(_, why) if asks.contains(&why));
    fixtures.retain(|fixture| !would_ask(fixture));
    check_each(&fixtures, |fixture| fixture.check_back(&programs));
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nobody_is_asked_twice_about_one_packet() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    check_each(&slow_path::looping(slow_path::punted()), |fixture| {
        fixture.check_back(&programs)
    });
    let (programs, _listener) = Programs::attended(&asking())?;
    check_each(&slow_path::looping(asked::punted()), |fixture| {
        fixture.check_back(&programs)
    });
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_user_space_made_for_a_port_is_handed_over_as_it_is() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    for frame in [udp(REMOTE, A, 30), who_has(REMOTE, A), vec![0xFF; 60]] {
        let ran = programs.give_back(UpcallHeader::new(Task::Deliver, SENDER, BLUE_5, 0), &frame);
        assert_eq!((ran.action, ran.frame), (Action::Redirect, frame));
    }
    assert_eq!(programs.counts(), Counts::default(), "user space counts it");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_was_for_the_port_that_had_the_device_before_ends() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    let frame = udp(A, REMOTE, 30);
    for task in [Task::Egress, Task::Deliver] {
        let ran = programs.give_back(UpcallHeader::new(task, SENDER, BLUE_6, 0), &frame);
        assert_eq!(ran.action, Action::Drop, "{task:?}");
    }
    let drops = programs.counts().drops;
    let unknown = drops.get(&(0, Direction::Egress, R::PortUnknown));
    assert_eq!(unknown, Some(&1), "{drops:?}");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_not_from_user_space_goes_nowhere() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    let frame = udp(A, REMOTE, 30);
    let good = UpcallHeader::new(Task::Egress, SENDER, BLUE_5, 0).to_bytes();
    let whole = [&good[..], &frame].concat();
    assert_eq!(programs.try_give_back(&whole)?.action, Action::Redirect);
    let before = programs.counts();
    let (mark, task, source) = (0, 1, 6);
    for (at, keep) in [(mark, &[2][..]), (task, &[2, 3, 4, 5, 6]), (source, &[2])] {
        for byte in (0..=u8::MAX).filter(|byte| !keep.contains(byte)) {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let ran = programs.try_give_back(&bytes)?;
            assert_eq!(ran.action, Action::Drop, "byte {at} is {byte}");
        }
    }
    assert_eq!(programs.counts(), before, "none of it is a packet of ours");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_truncation_of_what_is_given_back() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    let (mut ran, mut refused) = (0, 0);
    for fixture in as_given_back(fixtures::all()) {
        let task = match fixture.direction {
            Direction::Egress => Task::Egress,
            Direction::Ingress => Task::Ingress,
        };
        let slot = match fixture.direction {
            Direction::Egress => BLUE_5,
            Direction::Ingress => 0,
        };
        let header = UpcallHeader::new(task, SENDER, slot, 0).to_bytes();
        let bytes = [&header[..], &fixture.frame].concat();
        for len in 14..bytes.len().min(160) {
            // The kernel itself refuses an skb shorter than its network header.
            let Ok(back) = programs.try_give_back(&bytes[..len]) else {
                refused += 1;
                continue;
            };
            ran += 1;
            if back.action == Action::Drop {
                continue;
            }
            let cut = &bytes[header.len()..len];
            let direct = programs.run(Hook::Tc, fixture.direction, cut);
            assert_eq!(back, direct, "{} cut to {len}", fixture.name);
        }
    }
    assert!(ran > 5000, "{ran} runs, {refused} refused by the kernel");
    assert!(programs.counts().conserved());
    Ok(())
}
