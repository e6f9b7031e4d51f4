use dataplane_common::id::Address;

use super::*;

const LIMITS: Limits = Limits {
    destination: 2,
    tenant: 3,
    all: 6,
    time: Duration::from_millis(500),
};

fn ca(last: u8) -> Address {
    Address::v4([10, 0, 0, last])
}

#[test]
fn one_question_is_asked_once_and_answered_in_order() {
    let now = Instant::now();
    let mut hold = Hold::new(Limits::DEFAULT);
    assert_eq!(hold.enter((1, ca(1)), 'a', now), Ok(Entered::First));
    assert_eq!(hold.enter((1, ca(1)), 'b', now), Ok(Entered::Behind));
    assert_eq!(hold.enter((2, ca(1)), 'c', now), Ok(Entered::First));
    assert_eq!(hold.answer((1, ca(1))), ['a', 'b']);
    assert_eq!(hold.answer((1, ca(1))), []);
    assert_eq!((hold.len(), hold.questions()), (1, 1));
    assert_eq!(hold.tenants(), &BTreeMap::from([(2, 1)]));
}

#[test]
fn each_bound_holds_and_the_packet_comes_back() {
    let now = Instant::now();
    let mut hold = Hold::new(LIMITS);
    let mut enter = |tenant, last| hold.enter((tenant, ca(last)), last, now);
    assert!(enter(1, 1).is_ok() && enter(1, 1).is_ok());
    assert_eq!(enter(1, 1), Err((1, DropReason::HoldFull)), "destination");
    assert!(enter(1, 2).is_ok());
    assert_eq!(enter(1, 3), Err((3, DropReason::HoldFull)), "tenant");
    assert!(enter(2, 1).is_ok() && enter(2, 2).is_ok());
    assert_eq!(enter(2, 3), Err((3, DropReason::HoldFull)), "all");
    hold.answer((1, ca(1)));
    assert_eq!(hold.len(), 3);
    assert!(hold.enter((1, ca(3)), 3, now).is_ok(), "room again");
}

#[test]
fn who_waits_too_long_is_let_go() {
    let start = Instant::now();
    let mut hold = Hold::new(LIMITS);
    let later = start + Duration::from_millis(300);
    hold.enter((1, ca(1)), 'a', start).unwrap();
    hold.enter((1, ca(1)), 'b', later).unwrap();
    hold.enter((1, ca(2)), 'c', later).unwrap();
    assert!(hold.expired(start + Duration::from_millis(499)).is_empty());
    let gone = hold.expired(start + Duration::from_millis(500));
    assert_eq!(gone, [((1, ca(1)), VecDeque::from(['a', 'b']))]);
    assert_eq!(hold.len(), 1);
    assert!(hold.expired(later + Duration::from_millis(499)).is_empty());
    let gone = hold.expired(later + Duration::from_millis(500));
    assert_eq!(gone, [((1, ca(2)), VecDeque::from(['c']))]);
}

#[test]
fn who_comes_after_all_were_answered_has_the_whole_time() {
    let start = Instant::now();
    let mut hold = Hold::new(LIMITS);
    hold.enter((1, ca(1)), 'a', start).unwrap();
    hold.answer((1, ca(1)));
    let later = start + Duration::from_secs(9);
    hold.enter((1, ca(2)), 'b', later).unwrap();
    assert!(hold.expired(later).is_empty());
    let gone = hold.expired(later + Duration::from_millis(500));
    assert_eq!(gone, [((1, ca(2)), VecDeque::from(['b']))]);
}

#[test]
fn there_is_room_for_one_that_holds_nothing_however_many_hold_much() {
    let limits = Limits {
        destination: 4,
        tenant: 40,
        all: 100,
        ..Limits::DEFAULT
    };
    let (mut hold, now) = (Hold::new(limits), Instant::now());
    for tenant in 0..6 {
        for last in 0..100 {
            let _ = hold.enter((tenant, ca(last)), (), now);
        }
        let held = hold.tenants().get(&tenant).copied();
        assert!(held.is_some_and(|held| held > 0), "{tenant}: {held:?}");
    }
}
