use super::*;

#[test]
fn every_map_has_a_layout() {
    for name in MAPS {
        assert!(Layout::needed(name, 1).is_some(), "{name}");
    }
}

#[test]
fn only_sized_maps_have_the_size_of_the_setting() {
    let names: std::collections::BTreeSet<_> = MAPS.into_iter().collect();
    assert_eq!(names.len(), MAPS.len());
    for name in MAPS {
        let [one, two] = [1, 2].map(|capacity| Layout::needed(name, capacity).expect("layout"));
        assert_eq!(one != two, SIZED.contains(&name), "{name}");
        let fit = one.fit(two);
        assert_eq!(fit == Some(Fit::Resize), SIZED.contains(&name), "{name}");
    }
    assert!(SIZED.iter().all(|name| names.contains(name)));
    assert_eq!(Layout::needed("NO_SUCH_MAP", 1), None);
}

#[test]
fn keys_are_as_long_as_programs_have_them() {
    let bytes = |name| Layout::needed(name, 1).map(|layout| (layout.key, layout.value));
    let expected = [
        ("LOOKUP", 4, 4),
        ("LOOKUP6", 20, 24),
        ("MACS", 12, 20),
        // With the prefix length.
        ("ROUTES", 24, 20),
        ("FLOODS", 4, 136),
        ("UNDERLAY", 4, 64),
        ("LOCAL_PAS", 16, 4),
    ];
    for (name, key, value) in expected {
        assert_eq!(bytes(name), Some((key, Some(value))), "{name}");
    }
}

#[test]
fn only_the_capacity_may_differ() {
    let needed = Layout::needed("LOOKUP6", 65536).expect("layout");
    assert_eq!(needed.fit(needed), Some(Fit::Same));
    let grown = Layout::needed("LOOKUP6", 65537).expect("layout");
    assert_eq!(needed.fit(grown), Some(Fit::Resize));
    let wide = Layout { key: 16, ..needed };
    assert_eq!(needed.fit(wide), None);
    let array = Layout {
        kind: MapType::Array,
        ..needed
    };
    assert_eq!(needed.fit(array), None);
    assert_eq!(
        needed.to_string(),
        "Hash map with 20-byte keys, 24-byte values, room for 65536"
    );
}

#[test]
fn only_our_version_or_an_unwritten_map_is_adopted() {
    let folder = Path::new("/pin");
    assert!(check_version(folder, 0).is_ok());
    assert!(check_version(folder, dataplane_common::abi::VERSION).is_ok());
    assert!(check_version(folder, dataplane_common::abi::VERSION + 1).is_err());
}
