//! A socket and a kernel's table, as far as a worker sees of them.

use std::{
    collections::VecDeque,
    io,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex},
    time::Duration,
};

use dataplane_common::abi::lookup::{LookupKey, LookupRecord};

use crate::slowpath::{
    channel::{Account, Channel},
    resolver,
};

/// A socket whose far end is the test.
#[derive(Clone, Default)]
pub(super) struct Fake(pub(super) Arc<Mutex<Frames>>);

#[derive(Default)]
pub(super) struct Frames {
    pub(super) incoming: VecDeque<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
}

impl Channel for Fake {
    fn receive(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        let incoming = std::mem::take(&mut self.0.lock().unwrap().incoming);
        for frame in &incoming {
            each(frame);
        }
        incoming.len()
    }
    fn send(&mut self, parts: &[&[u8]]) -> bool {
        self.0.lock().unwrap().sent.push(parts.concat());
        true
    }
    fn turn(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn wait(&self, _: BorrowedFd<'_>, _: Duration) -> io::Result<()> {
        Ok(())
    }
    fn account(&self) -> Account {
        Account::default()
    }
    fn refused(&self) -> u64 {
        0
    }
}

/// The kernel's table.
#[derive(Clone, Default)]
pub(super) struct Table(pub(super) Arc<Mutex<Vec<(LookupKey, LookupRecord)>>>);

impl resolver::Table for Table {
    fn put(&mut self, key: LookupKey, record: LookupRecord) -> Result<(), aya::maps::MapError> {
        self.0.lock().unwrap().push((key, record));
        Ok(())
    }
    fn remove(&mut self, key: &LookupKey) -> Result<(), aya::maps::MapError> {
        self.0.lock().unwrap().retain(|(known, _)| known != key);
        Ok(())
    }
    fn idle(&self, _: &LookupKey) -> Duration {
        Duration::ZERO
    }
}
