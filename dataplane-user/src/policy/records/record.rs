//! One lookup record that a document states.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use dataplane_common::id::Mac;

use crate::policy::{
    document::{
        ApiVersion, Document, Envelope, LookupRecordSpec, MacAddress, Metadata, RecordType, Rule,
    },
    key::Key,
};

/// What many records have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Name of the VM network.
    pub network: Arc<str>,
    /// The record's own rule.
    pub rule: Option<Rule>,
    /// `useVmMACAddress`.
    pub use_vm_mac: bool,
    /// `Static` or `Dynamic`.
    pub record_type: RecordType,
    /// Revision of the last change; [`Kind::NOW`] until that is written.
    pub revision: u64,
    /// It has a key of its own in the store, as earlier versions wrote all.
    pub apart: bool,
}

impl Kind {
    /// The revision of what is being written.
    pub const NOW: u64 = 0;
}

/// What few records have.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Extra {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Name of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'r> {
    /// Its VSID, as the document has it.
    pub vsid: u32,
    /// The CA.
    pub ca: IpAddr,
    /// The VM's MAC.
    pub mac: Mac,
    /// The PA.
    pub pa: IpAddr,
    /// What it has in common with others.
    pub kind: &'r Kind,
    /// What few have.
    pub extra: Option<&'r Extra>,
}

impl Record<'_> {
    /// Its identity.
    pub const fn key(&self) -> Key {
        Key::LookupRecord(self.vsid, self.ca)
    }

    /// Its rule, `default` being the subnet's.
    pub fn rule(&self, default: Rule) -> Rule {
        self.kind.rule.unwrap_or(default)
    }

    /// Its document.
    pub fn document(&self) -> Document {
        let extra = self.extra.cloned().unwrap_or_default();
        Document::LookupRecord(Envelope {
            api_version: ApiVersion::V1,
            metadata: Metadata {
                name: extra.name,
                vm_network: Some(self.kind.network.as_ref().to_owned()),
                labels: extra.labels,
            },
            spec: LookupRecordSpec {
                virtual_subnet_id: self.vsid,
                customer_address: self.ca,
                mac_address: MacAddress(self.mac),
                provider_address: self.pa,
                rule: self.kind.rule,
                use_vm_mac_address: self.kind.use_vm_mac,
                record_type: self.kind.record_type,
                vm_name: extra.vm_name,
                context: extra.context,
            },
        })
    }

    /// Whether both say the same, whenever they were written.
    pub fn says(&self, other: &Record<'_>) -> bool {
        let (one, two) = (self.kind, other.kind);
        (self.vsid, self.ca, self.mac, self.pa) == (other.vsid, other.ca, other.mac, other.pa)
            && (one.rule, one.use_vm_mac, one.record_type)
                == (two.rule, two.use_vm_mac, two.record_type)
            && one.network == two.network
            && self.extra == other.extra
    }
}
