use super::*;
use crate::policy::{
    Ids, compile,
    testing::{attached, host, network, policy, port, record, route, subnet},
};

/// Two subnets with everything that tables can hold.
fn image(far: &str, ports: &[(&str, &str, u32)]) -> TableImage {
    let web = ", broadcast: {mode: unicastReplication}, allowNonIP: true";
    let subnets = [
        subnet(6001, &["10.0.0.0/24", "fd00:a::/64"], web),
        subnet(
            6002,
            &["10.0.1.0/24"],
            ", broadcast: {mode: multicast, group: 239.1.1.1}",
        ),
    ];
    let policy = policy(&[
        host("a", &["192.0.2.1", "2001:db8::1"]),
        host("b", &[far]),
        network("blue", "", &subnets),
        port(
            ("blue", "p5", "a"),
            (6001, 5, &["10.0.0.5", "fd00:a::5"]),
            "",
        ),
        port(("blue", "p6", "a"), (6002, 6, &["10.0.1.6"]), ""),
        port(
            ("blue", "p7", "b"),
            (6001, 7, &["10.0.0.7", "fd00:a::7"]),
            "",
        ),
        record("blue", (6001, "10.0.0.9", 9), "192.0.2.9", ""),
        route("blue", (6001, "0.0.0.0/0", "10.0.0.7"), 5),
        route("blue", (6001, "::/0", "fd00:a::7"), 5),
    ]);
    let mut image = compile(&policy, "a", &attached(ports), &mut Ids::new(1)).unwrap();
    image.config.seed = u32::from(far.contains(':'));
    image
}

const ALL: [(&str, &str, u32); 2] = [("blue", "p5", 11), ("blue", "p6", 12)];

/// What refers to something else finds it; `between`: the two images.
fn is_whole(image: &TableImage, between: [&TableImage; 2]) -> Result<(), String> {
    let records = image.lookup.values();
    let records = records.chain(image.stations.values().copied());
    let mut records = records.chain(image.routes.values().copied());
    let reached = |index: &u32| *index == 0 || image.underlay.contains_key(index);
    if let Some(lost) = records.find(|record| !reached(&record.pa_index)) {
        return Err(format!("{lost:?} has no way"));
    }
    for (vsid, flood) in &image.floods {
        let way = flood.pas.iter().all(reached);
        let there = |ifindex: &u32| *ifindex == 0 || image.vports.contains_key(ifindex);
        if !way || !flood.ports.iter().all(there) {
            return Err(format!("the flood of {vsid} reaches nobody"));
        }
    }
    if image
        .local_ports
        .values()
        .any(|port| !image.vports.contains_key(port))
    {
        return Err("a local port is not there".to_owned());
    }
    // What both images have is never away; who may send has all that it will have, or still has.
    let [old, new] = between;
    for ifindex in image.vports.keys() {
        let known = if new.vports.contains_key(ifindex) {
            new
        } else {
            old
        };
        let some = image.port_cas.is_superset(&known.port_cas)
            && known
                .lookup
                .keys()
                .all(|key| image.lookup.contains_key(&key))
            && known
                .stations
                .keys()
                .all(|key| image.stations.contains_key(key))
            && known
                .routes
                .keys()
                .all(|key| image.routes.contains_key(key));
        if !some {
            return Err(format!("port {ifindex} may send too early or too late"));
        }
    }
    for vsid in image.subnets.keys() {
        let known = if new.subnets.contains_key(vsid) {
            new
        } else {
            old
        };
        let some = known
            .local_ports
            .iter()
            .filter(|(key, _)| key.vsid() == *vsid);
        let all = some
            .into_iter()
            .all(|(key, _)| image.local_ports.contains_key(key));
        if !all || known.floods.contains_key(vsid) != image.floods.contains_key(vsid) {
            return Err(format!("{vsid} may receive too early or too late"));
        }
    }
    Ok(())
}

#[test]
fn nothing_ever_refers_to_what_is_not_there() {
    let empty = TableImage::default();
    let [full, moved] = ["192.0.2.2", "2001:db8::2"].map(|far| image(far, &ALL));
    let pairs = [
        (&empty, &full),
        (&full, &empty),
        (&full, &moved),
        (&moved, &full),
    ];
    for (old, new) in pairs {
        let mut now = old.clone();
        for op in diff(old, new) {
            now.apply(&op);
            if let Err(why) = is_whole(&now, [old, new]) {
                panic!("{why}, after {op:?}");
            }
        }
        assert_eq!(&now, new);
    }
}

#[test]
fn each_operation_does_and_undoes_its_part() {
    let empty = TableImage::default();
    let full = image("2001:db8::2", &ALL);
    let [made, removed] = [diff(&empty, &full), diff(&full, &empty)];
    let name = |op: &MapOp| {
        let text = format!("{op:?}");
        text.split('(').next().unwrap_or_default().to_owned()
    };
    let names: BTreeSet<String> = made.iter().chain(&removed).map(name).collect();
    assert_eq!(names.len(), 21, "{names:?}");
    assert!(made.iter().all(|op| !op.removes()));
    // The other way, only the settings are put.
    let put: Vec<String> = removed
        .iter()
        .filter(|op| !op.removes())
        .map(name)
        .collect();
    assert_eq!(put, ["PutConfig"]);
    // Each changes the image, and none does it twice.
    for (mut now, ops) in [(empty, made), (full, removed)] {
        for op in ops {
            let before = now.clone();
            now.apply(&op);
            assert_ne!(now, before, "{op:?}");
            let once = now.clone();
            now.apply(&op);
            assert_eq!(now, once, "{op:?}");
        }
    }
}

#[test]
fn ports_come_behind_records_and_removals_last() {
    // One port comes and another goes.
    let [old, new] = [
        image("192.0.2.2", &ALL[..1]),
        image("2001:db8::2", &ALL[1..]),
    ];
    let ops = diff(&old, &new);
    let stage = |op: &MapOp| (op.removes(), op.is_of_a_port());
    assert!(ops.iter().map(stage).is_sorted(), "{ops:?}");
    assert!(ops.iter().any(MapOp::is_of_a_port) && ops.iter().any(MapOp::removes));
}
