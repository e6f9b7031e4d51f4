//! Samples for the tests of this module.

use crate::{
    control::protocol::{ObjectList, ObjectStatus, ObjectView},
    policy::document::{ApiVersion, Document},
};

/// A document from JSON.
pub(crate) fn document(json: &str) -> Document {
    serde_json::from_str(json).expect(json)
}

pub(crate) fn host(name: &str) -> Document {
    document(&format!(
        r#"{{"apiVersion":"nve/v1","kind":"Host","metadata":{{"name":"{name}"}},
        "spec":{{"providerAddresses":[{{"address":"192.0.2.1"}},{{"address":"192.0.2.9"}}]}}}}"#
    ))
}

pub(crate) fn port(name: &str) -> Document {
    document(&format!(
        r#"{{"apiVersion":"nve/v1","kind":"Port","metadata":{{"name":"{name}","vmNetwork":"blue"}},
        "spec":{{"host":"host-a","virtualSubnetId":6001,"macAddress":"02:00:00:0b:00:05",
        "customerAddresses":["10.0.0.5"],"attach":{{"netns":"{name}"}}}}}}"#
    ))
}

/// One of each kind.
pub(crate) fn documents() -> Vec<Document> {
    vec![
        document(
            r#"{"apiVersion":"nve/v1","kind":"ProviderNetwork","metadata":{"name":"default"},
            "spec":{"nvgre":{"dscp":46,"flowId":"none"}}}"#,
        ),
        host("host-a"),
        document(
            r#"{"apiVersion":"nve/v1","kind":"VMNetwork","metadata":{"name":"blue","labels":{"env":"demo"}},
            "spec":{"routingDomainId":"{7b1e0f0e-0000-4000-8000-0000000000b1}","virtualSubnets":[
            {"name":"web","virtualSubnetId":6001,"prefixes":["10.0.0.0/24"],"mtu":1400}]}}"#,
        ),
        port("blue-vm1"),
        document(
            r#"{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{"vmNetwork":"blue"},
            "spec":{"virtualSubnetId":6001,"customerAddress":"10.0.0.9","macAddress":"02-00-00-0b-00-09",
            "providerAddress":"192.0.2.3","vmName":"vm9"}}"#,
        ),
        document(
            r#"{"apiVersion":"nve/v1","kind":"CustomerRoute","metadata":{"name":"default","vmNetwork":"blue"},
            "spec":{"virtualSubnetId":6001,"destinationPrefix":"0.0.0.0/0","nextHop":"10.0.0.9"}}"#,
        ),
    ]
}

pub(crate) fn list(kind: &str, documents: Vec<Document>) -> ObjectList {
    let view = |document| ObjectView {
        document,
        status: ObjectStatus {
            revision: 7,
            state: "Ready".into(),
            ..ObjectStatus::default()
        },
    };
    ObjectList {
        api_version: ApiVersion::V1,
        kind: kind.into(),
        items: documents.into_iter().map(view).collect(),
    }
}
