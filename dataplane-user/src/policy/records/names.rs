//! Values that many records share, by small numbers; and addresses as bytes.

use std::{collections::HashMap, hash::Hash, net::IpAddr};

use super::record::Kind;

/// Values by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) pas: Numbers<IpAddr>,
    pub(super) kinds: Numbers<Kind>,
    /// PA and kind of records, by their numbers.
    pub(super) sites: Numbers<(u32, u32)>,
}

impl Names {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.pas.values.len() + self.kinds.values.len() + self.sites.values.len()
    }

    /// PA and kind of a number.
    pub(super) fn site(&self, number: usize) -> (IpAddr, &Kind) {
        let (pa, kind) = self.sites.values[number];
        (
            self.pas.values[pa as usize],
            &self.kinds.values[kind as usize],
        )
    }

    /// Kinds of what was being written have this revision.
    pub(super) fn written(&mut self, revision: u64) {
        let kinds = &mut self.kinds;
        for (number, kind) in (0..).zip(&mut kinds.values) {
            if kind.revision == Kind::NOW {
                kinds.known.remove(kind);
                kind.revision = revision;
                kinds.known.entry(kind.clone()).or_insert(number);
            }
        }
    }
}

/// The numbers that records of a batch get in a set.
pub(super) struct Sites<'n> {
    known: &'n mut Numbers<(u32, u32)>,
    /// By the batch's numbers.
    pas: Vec<u32>,
    kinds: Vec<u32>,
}

impl<'n> Sites<'n> {
    /// The set has the names of the batch from now on.
    pub(super) fn of(names: &'n mut Names, batch: &Names) -> Self {
        let pas = batch.pas.values.iter();
        let pas = pas.map(|pa| names.pas.of(pa)).collect();
        let kinds = batch.kinds.values.iter();
        let kinds = kinds.map(|kind| names.kinds.of(kind)).collect();
        Self {
            known: &mut names.sites,
            pas,
            kinds,
        }
    }

    /// The number of PA and kind, given by the batch's numbers.
    pub(super) fn number(&mut self, pa: u32, kind: u32) -> u32 {
        let site = (self.pas[pa as usize], self.kinds[kind as usize]);
        self.known.of(&site)
    }
}

/// Values and their numbers.
#[derive(Clone, Debug)]
pub(super) struct Numbers<T> {
    pub(super) values: Vec<T>,
    known: HashMap<T, u32>,
    last: u32,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            known: HashMap::new(),
            last: 0,
        }
    }
}

impl<T: Eq + Hash + Clone> Numbers<T> {
    /// The number of a value that has one.
    pub(super) fn get(&self, value: &T) -> Option<u32> {
        if self.values.get(self.last as usize) == Some(value) {
            return Some(self.last);
        }
        self.known.get(value).copied()
    }

    /// The number of a value, which has one from now on.
    pub(super) fn of(&mut self, value: &T) -> u32 {
        if let Some(number) = self.get(value) {
            self.last = number;
            return number;
        }
        self.last = u32::try_from(self.values.len()).expect("there are fewer than addresses");
        self.known.insert(value.clone(), self.last);
        self.values.push(value.clone());
        self.last
    }
}

/// The bytes of an address of one family.
pub(super) trait Octets: Copy + Ord {
    fn of(address: IpAddr) -> Option<Self>;
}

impl Octets for [u8; 4] {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address.octets()),
            IpAddr::V6(_) => None,
        }
    }
}

impl Octets for [u8; 16] {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.octets()),
        }
    }
}
