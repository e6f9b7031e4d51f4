use super::*;

#[test]
fn every_map_has_a_layout() {
    for name in MAPS {
        assert!(Layout::needed(name).is_some(), "{name}");
    }
}

#[test]
fn maps_that_grow_have_their_table_in_a_map_of_its_own() {
    let names: std::collections::BTreeSet<_> = MAPS.into_iter().collect();
    assert_eq!(names.len(), MAPS.len());
    for name in MAPS {
        let kind = Layout::needed(name).expect("layout").kind;
        let grows = kind == MapType::ArrayOfMaps;
        assert_eq!(grows, SIZED.contains(&name), "{name}");
    }
    assert_eq!(Layout::needed("NO_SUCH_MAP"), None);
}

#[test]
fn keys_are_as_long_as_programs_have_them() {
    let bytes = |name| Layout::needed(name).map(|layout| (layout.key, layout.value));
    let expected = [
        ("LOOKUP", 4, 4),
        ("LOOKUP6", 4, 4),
        ("MACS", 4, 4),
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
fn kind_and_sizes_must_be_the_same() {
    let needed = Layout::needed("UPLINKS").expect("layout");
    assert!(needed.fits(needed));
    let grown = needed.entries.map(|entries| entries + 1);
    let others = [
        Layout {
            entries: grown,
            ..needed
        },
        Layout { key: 16, ..needed },
        Layout {
            value: Some(8),
            ..needed
        },
        Layout {
            kind: MapType::Array,
            ..needed
        },
    ];
    assert!(others.iter().all(|other| !needed.fits(*other)));
    let any = Layout::needed("ROUTES").expect("layout");
    assert!(
        any.fits(Layout {
            entries: Some(7),
            ..any
        }),
        "as the object says"
    );
    assert_eq!(
        needed.to_string(),
        format!("Hash map with 4-byte keys, 4-byte values, room for {UPLINKS_LEN}")
    );
}

#[test]
fn only_our_version_or_an_unwritten_map_is_adopted() {
    let folder = Path::new("/pin");
    assert!(check_version(folder, 0).is_ok());
    assert!(check_version(folder, dataplane_common::abi::VERSION).is_ok());
    assert!(check_version(folder, dataplane_common::abi::VERSION + 1).is_err());
}
