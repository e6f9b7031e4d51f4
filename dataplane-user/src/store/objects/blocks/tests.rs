use super::*;

fn records() -> Records {
    let mut batch = Batch::default();
    let kind = |network: &str, rule, revision| Kind {
        network: network.into(),
        rule,
        use_vm_mac: rule == Some(Rule::TranslationMethodNat),
        record_type: RecordType::Static,
        revision,
        apart: false,
    };
    let learned = Kind {
        record_type: RecordType::Dynamic,
        ..kind("blue", None, 9)
    };
    let kinds = [
        kind("blue", None, Kind::NOW),
        kind("green", Some(Rule::TranslationMethodNat), 3),
        learned,
    ];
    let named = Extra {
        name: Some("x".to_owned()),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..Extra::default()
    };
    for number in 0..700_u32 {
        let v4 = IpAddr::from((0x0a00_0000 + number * 3).to_be_bytes());
        let v6 = IpAddr::from((0xfd00_u128 << 112 | u128::from(number)).to_be_bytes());
        for ca in [v4, v6] {
            let [.., a, b] = number.to_be_bytes();
            batch.push(&Record {
                vsid: 6001 + number % 2,
                ca,
                mac: Mac([2, 0, 0, 0, a, b]),
                pa: if number % 5 == 0 {
                    v6
                } else {
                    [192, 0, 2, b].into()
                },
                kind: &kinds[number as usize % 3],
                extra: (number % 50 == 0).then_some(&named),
            });
        }
    }
    let mut records = Records::default();
    records.merge(&batch);
    records
}

#[test]
fn what_is_written_is_read() {
    let mut records = records();
    let blocks: BTreeSet<Block> = records.iter().map(|r| block_of((r.vsid, r.ca))).collect();
    let mut batch = Batch::default();
    for op in ops(&blocks, &records) {
        let Op::Put { key, value } = op else {
            panic!("{op:?}");
        };
        assert!(read((&key, &value), 77, &mut batch).expect("a block"));
        for end in 0..value.len() {
            let cut = read((&key, &value[..end]), 77, &mut Batch::default());
            assert!(cut.is_err(), "{end} of {}", value.len());
        }
    }
    let mut back = Records::default();
    back.merge(&batch);
    records.written(77);
    assert_eq!(back, records);
    assert_eq!(back.len(), 1400);
}

#[test]
fn an_empty_block_is_removed_and_other_keys_are_not_blocks() {
    let block = block_of((6001, [10, 0, 0, 5].into()));
    let ops = ops(&BTreeSet::from([block]), &Records::default());
    let key = "/nve/v1/lookuprecords/00001771/4/0a0000".to_owned();
    assert_eq!(ops, [Op::Delete { key }]);
    let read = |key| read((key, b""), 1, &mut Batch::default());
    assert!(matches!(
        read("/nve/v1/lookuprecord/6001/10.0.0.5"),
        Ok(false)
    ));
    assert!(read("/nve/v1/lookuprecords/zz").is_err());
}
