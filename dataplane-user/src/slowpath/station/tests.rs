use std::{os::fd::BorrowedFd, sync::atomic::AtomicUsize};

use dataplane_common::{
    abi::upcall::{Task, UpcallHeader},
    punt::Punt,
    reason::DropReason,
};

use super::*;
use crate::{
    policy::in_use::{InUse, Lives},
    slowpath::{
        counts::Counts,
        directory::Shared,
        lane::Lane,
        worker::tests::{IFINDEX, directory, udp},
    },
};

/// A socket that has one packet, and is no good after that.
struct Faulty {
    turns: usize,
    fault: fn() -> io::Result<()>,
}

impl Channel for Faulty {
    fn receive(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        self.turns += 1;
        if self.turns > 1 {
            return 0;
        }
        let header = UpcallHeader::new(Task::Handle, IFINDEX, 3, Punt::Miss.number());
        each(&[&header.to_bytes()[..], &udp(7, b"x")].concat());
        1
    }
    fn send(&mut self, _: &[&[u8]]) -> bool {
        true
    }
    fn turn(&mut self) -> io::Result<()> {
        (self.fault)()
    }
    fn wait(&self, _: BorrowedFd<'_>, _: Duration) -> io::Result<()> {
        Ok(())
    }
    /// One of its frames is nowhere.
    fn account(&self) -> Account {
        Account {
            all: 4,
            free: 1,
            receiving: 2,
            sending: 0,
        }
    }
    fn refused(&self) -> u64 {
        2
    }
}

/// A desk whose questions nobody answers.
fn desk() -> (
    Desk,
    crossbeam_channel::Receiver<super::super::resolver::Question>,
) {
    let shared = Arc::new(Shared::new(InUse::new(Lives::DEFAULT, 1024)));
    shared.replace(Arc::new(directory()), &mut shared.in_use());
    let (questions, unanswered) = crossbeam_channel::bounded(16);
    let control = Control {
        bell: bell().unwrap(),
        stop: Arc::default(),
        restart: Arc::default(),
    };
    let (_, lane) = Lane::new(control.bell.clone());
    let desk = Desk {
        seat: Seat {
            ifindex: IFINDEX,
            queue: 0,
            place: 0,
        },
        sockets: PathBuf::new(),
        queue: Queue::Pair(lane),
        office: Office {
            shared,
            counts: Arc::new(Counts::default()),
            questions,
            paths: crate::underlay::path_mtu::channel().0,
        },
        control,
        limits: Limits::DEFAULT,
        health: Arc::default(),
        takes_over: false,
    };
    (desk, unanswered)
}

/// Workers at sockets with this fault; how it ended, after `sockets` of them.
fn after(sockets: usize, fault: fn() -> io::Result<()>) -> (Health, Vec<(DropReason, u64)>) {
    let (desk, _unanswered) = desk();
    let opened = AtomicUsize::new(0);
    desk.keep(&crossbeam_channel::bounded(1).0, || {
        if opened.fetch_add(1, Ordering::Relaxed) == sockets {
            desk.control.stop.store(true, Ordering::Relaxed);
            return Err(io::Error::other("no more of them"));
        }
        Ok((Faulty { turns: 0, fault }, Mode::Copy))
    });
    let drops = desk.office.counts.drops(3).into_iter();
    let drops = drops.map(|(reason, count)| (reason, count.packets));
    let health = lock(&desk.health).clone();
    (health, drops.collect())
}

#[test]
fn a_worker_that_panics_is_followed_by_another_and_what_it_held_is_counted() {
    let (health, drops) = after(3, || panic!("a fault of ours"));
    assert_eq!(drops, [(DropReason::WorkerLost, 3)], "one of each worker");
    assert_eq!((health.restarts, health.lost), (2, 3));
    assert_eq!((health.mode, health.held), (None, 0));
    assert_eq!(health.refused, 6, "of all sockets");
}

#[test]
fn what_a_worker_panicked_with_is_told() {
    let (desk, _unanswered) = desk();
    let fault = || panic!("a fault of ours");
    desk.work(Faulty { turns: 0, fault });
    let trouble = lock(&desk.health).trouble.clone();
    assert_eq!(trouble, "the worker panicked: a fault of ours");
}

#[test]
fn a_socket_that_fails_is_followed_by_another() {
    let (health, drops) = after(2, || Err(io::ErrorKind::NotConnected.into()));
    assert_eq!(drops, [(DropReason::WorkerLost, 2)]);
    assert_eq!(health.restarts, 1);
    assert_eq!(health.trouble, "no more of them");
}

/// What is told when a worker ended on request and its next socket cannot be opened.
fn told_after_a_restart(error: io::ErrorKind) -> String {
    let (desk, _unanswered) = desk();
    let mut opened = 0;
    desk.keep(&crossbeam_channel::bounded(1).0, || {
        opened += 1;
        if opened > 1 {
            desk.control.stop.store(true, Ordering::Relaxed);
            return Err(error.into());
        }
        desk.control.restart.store(true, Ordering::Relaxed);
        let fault = || Ok(());
        Ok((Faulty { turns: 0, fault }, Mode::Copy))
    });
    let health = lock(&desk.health);
    assert_eq!(health.mode, None);
    health.trouble.clone()
}

#[test]
fn a_queue_that_is_busy_after_a_restart_is_no_trouble() {
    let busy = told_after_a_restart(io::ErrorKind::ResourceBusy);
    assert_eq!(busy, "restarted on request");
    let down = told_after_a_restart(io::ErrorKind::NetworkDown);
    assert_eq!(
        down,
        io::Error::from(io::ErrorKind::NetworkDown).to_string()
    );
}
