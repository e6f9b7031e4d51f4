use super::*;

fn flags(args: &[&str]) -> Flags {
    Flags::try_parse_from([&["nved"], args].concat()).expect("flags")
}

#[test]
fn flags_win_over_the_file() {
    let file =
        toml::from_str("host = 'x'\nuplink = ['u']\ntc-hook = 'clsact'\nneighbours = 'probe'")
            .expect("toml");
    let merged = flags(&["--host", "a", "--uplink", "e0,e1"]).merge(file);
    let settings = merged.expect("settings");
    assert_eq!(settings.host, "a");
    assert_eq!(settings.uplinks, ["e0", "e1"]);
    assert_eq!(settings.tc_hook, TcHook::Clsact);
    assert_eq!(settings.uplink_mode, UplinkMode::Auto);
    assert_eq!(settings.neighbours, KeepAlive::Probe);
    assert_eq!(settings.lookup_capacity, 65536);
}

#[test]
fn unknown_keys_are_refused() {
    assert!(toml::from_str::<File>("uplinks = 'e0'").is_err());
    assert!(toml::from_str::<File>("[slow-path]\nrate = 1").is_err());
}

#[test]
fn the_slow_path_has_a_table_and_flags_of_the_same_names() {
    let file = toml::from_str("[slow-path]\npunt-rate = 10\npunt-burst = 3").expect("toml");
    let given = flags(&["--host", "a", "--uplink", "e0", "--punt-rate", "20"]);
    let limits = given.merge(file).expect("settings").slow_path;
    assert_eq!((limits.punt_rate, limits.punt_burst), (20, 3));
    assert_eq!(limits.lives, Limits::DEFAULT.lives);
}

#[test]
fn a_number_out_of_range_is_named() {
    let given = flags(&["--host", "a", "--uplink", "e0", "--lookup-capacity", "0"]);
    let refused = given.merge(File::default()).expect_err("no room");
    assert_eq!(
        refused.to_string(),
        "lookup-capacity 0 is out of range; 1..=16777216 is valid"
    );
}

#[test]
fn what_has_no_default_must_be_given() {
    let missing = flags(&["--host", "a"]).merge(File::default());
    assert!(matches!(
        missing,
        Err(SettingsError::Missing { key: "uplink" })
    ));
    let missing = flags(&["--uplink", "e0"]).merge(File::default());
    assert!(matches!(
        missing,
        Err(SettingsError::Missing { key: "host" })
    ));
}
