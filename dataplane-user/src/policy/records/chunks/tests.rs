use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

impl Item for (u16, u8) {
    type Key = u16;
    fn key(&self) -> u16 {
        self.0
    }
}

fn of(map: &BTreeMap<u16, u8>) -> Vec<(u16, u8)> {
    map.iter().map(|(key, value)| (*key, *value)).collect()
}

proptest! {
    #[test]
    fn it_is_a_sorted_map(
        first in prop::collection::btree_map(0_u16..5000, 0_u8..4, 0..3000),
        steps in prop::collection::vec((0_u16..5000, 0_u8..4), 0..2000),
        more in prop::collection::btree_map(0_u16..5000, 0_u8..4, 0..3000),
    ) {
        let mut map = first.clone();
        let start: Chunks<(u16, u8)> = of(&map).into_iter().collect();
        let mut chunks = start.clone();
        for (key, value) in steps {
            if value == 0 {
                prop_assert_eq!(chunks.remove(key).map(|item| item.1), map.remove(&key));
            } else {
                let before = chunks.insert((key, value));
                prop_assert_eq!(before.map(|item| item.1), map.insert(key, value));
            }
            prop_assert_eq!(chunks.get(key).map(|item| item.1), map.get(&key).copied());
            prop_assert_eq!(chunks.len(), map.len());
        }
        prop_assert!(chunks.iter().copied().eq(of(&map)));
        prop_assert!(start.iter().copied().eq(of(&first)), "a copy is left alone");
        chunks.merge(of(&more));
        map.extend(&more);
        prop_assert!(chunks.iter().copied().eq(of(&map)));
        let mut turned = start.clone();
        chunks.each_change(&start, PartialEq::eq, |change| match change {
            Changed::Put(item) => drop(turned.insert(*item)),
            Changed::Gone(item) => assert!(turned.remove(item.0).is_some()),
        });
        prop_assert_eq!(&turned, &chunks);
        let odd = chunks.from(2500).copied();
        prop_assert!(odd.eq(of(&map).into_iter().filter(|(key, _)| *key >= 2500)));
    }
}

#[test]
fn what_copies_share_is_not_looked_at() {
    let start: Chunks<(u16, u8)> = (0..60_000).map(|key| (key, 1)).collect();
    let mut other = start.clone();
    other.insert((30_000, 2));
    let mut changes = Vec::new();
    other.each_change(&start, PartialEq::eq, |change| {
        if let Changed::Put(item) = change {
            changes.push(*item);
        }
    });
    assert_eq!(changes, [(30_000, 2)]);
    let shared = start.pieces.iter().zip(&other.pieces);
    let own = shared.filter(|(one, two)| !Arc::ptr_eq(one, two)).count();
    assert_eq!(own, 1);
    other.remove(30_000);
    assert_ne!(start, other);
}
