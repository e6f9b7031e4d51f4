//! The line of an ordinary lookup record: most lines of a large file are such.
//!
//! What is read here would be read alike by [`super::typed`]. Whatever is unusual, good or bad, is
//! left to that: this says only that it is no ordinary line.

use std::net::IpAddr;

use dataplane_common::id::Mac;

use crate::policy::{
    document::{RecordType, Rule},
    records::Kind,
};

/// The record of a station on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLine<'l> {
    /// `metadata.vmNetwork`.
    pub network: &'l str,
    /// `spec.virtualSubnetId`.
    pub vsid: u32,
    /// `spec.customerAddress`; unicast.
    pub ca: IpAddr,
    /// `spec.macAddress`.
    pub mac: Mac,
    /// `spec.providerAddress`.
    pub pa: IpAddr,
    /// `spec.rule`.
    pub rule: Option<Rule>,
    /// `spec.useVmMACAddress`.
    pub use_vm_mac: bool,
    /// `spec.type`; `Static` or `Dynamic`.
    pub record_type: RecordType,
    /// `spec.vmName`.
    pub vm_name: Option<&'l str>,
}

impl RecordLine<'_> {
    /// Whether it is of this kind.
    pub fn is_of(&self, kind: &Kind) -> bool {
        *self.network == *kind.network
            && self.rule == kind.rule
            && self.use_vm_mac == kind.use_vm_mac
            && self.record_type == kind.record_type
    }
}

/// How most ordinary lines begin.
const USUAL: &[u8] = br#"{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{"vmNetwork":""#;

/// Reads the line that `text` begins with, up to its line feed; and how long it is. `None`: it is no
/// ordinary line, or not all of it is there.
pub fn record_line(text: &[u8]) -> Option<(RecordLine<'_>, usize)> {
    let (mut scan, mut fields) = (Scan(text), Fields::default());
    if text.starts_with(USUAL) {
        (fields.version, fields.kind) = (Some(()), Some(()));
        scan.0 = &text[USUAL.len() - 1..];
        set(&mut fields.network, scan.string())?;
        set(&mut fields.metadata, scan.rest_of_object(|_, _| None))?;
        scan.rest_of_object(|scan, name| fields.top(scan, name))?;
    } else {
        scan.object(|scan, name| fields.top(scan, name))?;
    }
    scan.skip();
    let rest = scan.0.strip_prefix(b"\n")?;
    Some((fields.line()?, text.len() - rest.len()))
}

/// What was read of a line.
#[derive(Default)]
struct Fields<'l> {
    version: Option<()>,
    kind: Option<()>,
    metadata: Option<()>,
    spec: Option<()>,
    network: Option<&'l str>,
    vsid: Option<u32>,
    ca: Option<IpAddr>,
    mac: Option<Mac>,
    pa: Option<IpAddr>,
    rule: Option<Rule>,
    use_vm_mac: Option<bool>,
    record_type: Option<RecordType>,
    vm_name: Option<&'l str>,
}

/// Sets a field that is not set yet to a value that is there.
fn set<T>(field: &mut Option<T>, value: Option<T>) -> Option<()> {
    let first = field.is_none();
    *field = value;
    (first && field.is_some()).then_some(())
}

impl<'l> Fields<'l> {
    fn top(&mut self, scan: &mut Scan<'l>, name: &str) -> Option<()> {
        match name {
            "apiVersion" => set(&mut self.version, scan.is("nve/v1")),
            "kind" => set(&mut self.kind, scan.is("LookupRecord")),
            "metadata" => {
                let network = &mut self.network;
                let read = scan.object(|scan, name| match name {
                    "vmNetwork" => set(network, scan.string()),
                    _ => None,
                });
                set(&mut self.metadata, read)
            }
            "spec" => {
                let read = scan.object(|scan, name| self.field(scan, name));
                set(&mut self.spec, read)
            }
            _ => None,
        }
    }

    fn field(&mut self, scan: &mut Scan<'l>, name: &str) -> Option<()> {
        match name {
            "virtualSubnetId" => set(&mut self.vsid, scan.number()),
            "customerAddress" => set(&mut self.ca, scan.address()),
            "macAddress" => set(&mut self.mac, scan.mac()),
            "providerAddress" => set(&mut self.pa, scan.address()),
            "rule" => set(
                &mut self.rule,
                match scan.string()? {
                    "TranslationMethodEncap" => Some(Rule::TranslationMethodEncap),
                    "TranslationMethodNat" => Some(Rule::TranslationMethodNat),
                    "TranslationMethodNone" => Some(Rule::TranslationMethodNone),
                    _ => None,
                },
            ),
            "useVmMACAddress" => set(&mut self.use_vm_mac, scan.truth()),
            "type" => set(
                &mut self.record_type,
                match scan.string()? {
                    "Static" => Some(RecordType::Static),
                    "Dynamic" => Some(RecordType::Dynamic),
                    _ => None,
                },
            ),
            "vmName" => set(&mut self.vm_name, scan.string()),
            _ => None,
        }
    }

    fn line(self) -> Option<RecordLine<'l>> {
        let whole = self
            .version
            .and(self.kind)
            .and(self.metadata)
            .and(self.spec);
        let ca = self
            .ca
            .filter(|ca| !ca.is_multicast() && !ca.is_unspecified());
        whole?;
        Some(RecordLine {
            network: self.network?,
            vsid: self.vsid?,
            ca: ca?,
            mac: self.mac?,
            pa: self.pa?,
            rule: self.rule,
            use_vm_mac: self.use_vm_mac.unwrap_or_default(),
            record_type: self.record_type.unwrap_or_default(),
            vm_name: self.vm_name,
        })
    }
}

/// Text that is still to be read.
struct Scan<'l>(&'l [u8]);

impl<'l> Scan<'l> {
    fn skip(&mut self) {
        while let [b' ' | b'\t' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// Whether this comes next, and then what is behind it.
    fn next_is(&mut self, byte: u8) -> Option<()> {
        self.skip();
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn object(&mut self, mut field: impl FnMut(&mut Self, &'l str) -> Option<()>) -> Option<()> {
        self.next_is(b'{')?;
        self.fields(&mut field)
    }

    /// What is behind a field of an object.
    fn rest_of_object(
        &mut self,
        mut field: impl FnMut(&mut Self, &'l str) -> Option<()>,
    ) -> Option<()> {
        if self.next_is(b',').is_some() {
            return self.fields(&mut field);
        }
        self.next_is(b'}')
    }

    /// An object without a field is no record's.
    fn fields(&mut self, field: &mut impl FnMut(&mut Self, &'l str) -> Option<()>) -> Option<()> {
        loop {
            let name = self.string()?;
            self.next_is(b':')?;
            field(self, name)?;
            if self.next_is(b',').is_none() {
                return self.next_is(b'}');
            }
        }
    }

    /// A string of printable ASCII without an escape.
    fn string(&mut self) -> Option<&'l str> {
        self.next_is(b'"')?;
        let end = self.0.iter().position(|byte| !PLAIN[usize::from(*byte)])?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    fn is(&mut self, text: &str) -> Option<()> {
        (self.string()? == text).then_some(())
    }

    fn number(&mut self) -> Option<u32> {
        self.skip();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(digits.count());
        self.0 = rest;
        let usual = !digits.starts_with(b"0") || digits.len() == 1;
        let ends = matches!(rest, [b' ' | b'\t' | b',' | b'}', ..]);
        let digits = std::str::from_utf8(digits).ok();
        digits.filter(|_| usual && ends)?.parse().ok()
    }

    fn truth(&mut self) -> Option<bool> {
        self.skip();
        for (text, truth) in [(&b"true"[..], true), (b"false", false)] {
            if let Some(rest) = self.0.strip_prefix(text) {
                self.0 = rest;
                return Some(truth);
            }
        }
        None
    }

    fn address(&mut self) -> Option<IpAddr> {
        self.string()?.parse().ok()
    }

    /// A MAC with colons.
    fn mac(&mut self) -> Option<Mac> {
        let text: &[u8; 17] = self.string()?.as_bytes().try_into().ok()?;
        let mut mac = [0; 6];
        for (index, byte) in mac.iter_mut().enumerate() {
            let at = 3 * index;
            *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
            if index < 5 && text[at + 2] != b':' {
                return None;
            }
        }
        Some(Mac(mac))
    }
}

const fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        b'A'..=b'F' => Some(text - b'A' + 10),
        _ => None,
    }
}

/// What stands for itself in a string.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

#[cfg(test)]
mod tests;
