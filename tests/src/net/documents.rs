//! Documents for policies that are larger than the demo's.

/// A lookup record of blue's VSID 6001 at `host-b`; its MAC has `mark` and the CA in it.
pub fn remote_record(ca: u32, mark: u8) -> String {
    let [a, b, c, d] = ca.to_be_bytes();
    format!(
        "
---
apiVersion: nve/v1
kind: LookupRecord
metadata: {{vmNetwork: blue}}
spec:
  virtualSubnetId: 6001
  customerAddress: {a}.{b}.{c}.{d}
  macAddress: 02:{mark:02x}:{a:02x}:{b:02x}:{c:02x}:{d:02x}
  providerAddress: 192.0.2.2
"
    )
}
