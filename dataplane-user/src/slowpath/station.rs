//! A queue's thread for as long as its device is there: it opens a socket and works, and does so
//! again when the socket or the worker fails.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsRawFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::{
    Limits,
    budget::Budgets,
    channel::{Account, Channel, Mode},
    health::{Health, Seat},
    hold::Hold,
    lane::ring,
    socket::Xsk,
    worker::{Control, End, Office, Queue, Worker},
};
use crate::dataplane::{load::MAPS_FOLDER, maps::Maps};

/// A running thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Station {
    control: Control,
    health: Arc<Mutex<Health>>,
    thread: Option<JoinHandle<()>>,
}

/// What each socket of a station needs.
struct Desk {
    seat: Seat,
    sockets: PathBuf,
    queue: Queue,
    office: Office,
    control: Control,
    limits: Limits,
    health: Arc<Mutex<Health>>,
    takes_over: bool,
}

/// Between two attempts, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A bell that threads wait on.
pub fn bell() -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(eventfd(
        0,
        EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC,
    )?))
}

impl Station {
    /// Starts the thread, and waits until it has tried to open a socket. `pin`: the folder of the pinned maps;
    /// `bell` wakes it; `former`: of the station whose work it takes over, if there was one.
    pub fn start(
        seat: Seat,
        queue: Queue,
        office: Office,
        (limits, pin, bell, former): (Limits, &Path, Arc<OwnedFd>, Option<&Health>),
    ) -> io::Result<Self> {
        let control = Control {
            bell,
            stop: Arc::new(AtomicBool::new(false)),
            restart: Arc::new(AtomicBool::new(false)),
        };
        let health = Arc::new(Mutex::new(former.cloned().unwrap_or_default()));
        let desk = Desk {
            seat,
            sockets: pin.join(MAPS_FOLDER).join("XSKS"),
            queue,
            office,
            control: control.clone(),
            limits,
            health: health.clone(),
            takes_over: former.is_some(),
        };
        let name = format!("nve-up-{}-{}", seat.ifindex, seat.queue);
        let thread = thread::Builder::new().name(name);
        let (tried, first) = crossbeam_channel::bounded(1);
        let thread = thread.spawn(move || {
            desk.keep(&tried, || {
                let socket = desk.open()?;
                let mode = socket.mode();
                Ok((socket, mode))
            });
        });
        let thread = Some(thread?);
        // Whoever is told that the host is ready shall lose no packet.
        let _ = first.recv_timeout(PAUSE.1);
        Ok(Self {
            control,
            health,
            thread,
        })
    }

    /// How it is.
    pub fn health(&self) -> Health {
        lock(&self.health).clone()
    }

    /// Whether its thread ended by itself, which no fault of a worker brings about.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it; how it was in the end.
    pub fn end(self) -> Health {
        let health = self.health.clone();
        drop(self);
        lock(&health).clone()
    }

    /// Ends the worker and its socket; what waits in it is dropped and counted, and the station
    /// starts another.
    pub fn restart(&self) {
        self.control.restart.store(true, Ordering::Relaxed);
        ring(&self.control.bell);
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Relaxed);
        ring(&self.control.bell);
        if let Some(thread) = self.thread.take() {
            // It catches what its worker panics with.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn stopped(&self) -> bool {
        self.control.stop.load(Ordering::Relaxed)
    }

    /// One socket after another, as `open` makes them; `tried` hears of each attempt.
    fn keep<C: Channel>(
        &self,
        tried: &Sender<()>,
        mut open: impl FnMut() -> io::Result<(C, Mode)>,
    ) {
        let (mut pause, longest) = PAUSE;
        let mut first = !self.takes_over;
        let mut closed: Option<Instant> = None;
        while !self.stopped() {
            let begun = Instant::now();
            let opened = open();
            // The kernel takes a socket away a little after it was closed: while that may last, the
            // wish that ended it says more than that its queue is busy.
            let leaving = closed.is_some_and(|closed| closed.elapsed() < longest);
            self.told(|health| match &opened {
                Ok((_, mode)) => {
                    health.mode = Some(*mode);
                    health.restarts += u64::from(!first);
                }
                Err(error) if leaving && error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) => health.trouble = error.to_string(),
            });
            // Only the first is waited for.
            let _ = tried.try_send(());
            let wanted = opened.is_ok_and(|(socket, _)| {
                first = false;
                let wanted = self.work(socket);
                closed = wanted.then(Instant::now);
                wanted
            });
            if wanted || begun.elapsed() > longest {
                pause = PAUSE.0;
            }
            self.rest(pause);
            pause = (2 * pause).min(longest);
        }
    }

    fn open(&self) -> io::Result<Xsk> {
        let Seat {
            ifindex,
            queue,
            place,
        } = self.seat;
        let zero_copy = self.limits.zero_copy;
        let socket = Xsk::open(ifindex, queue, zero_copy)?;
        let mut sockets = Maps::sockets_at(&self.sockets).map_err(io::Error::other)?;
        let placed = sockets.set(place, socket.descriptor().as_raw_fd(), 0);
        placed.map_err(io::Error::other)?;
        Ok(socket)
    }

    /// Until the socket or the worker fails, or somebody wants it to end; whether that was it.
    fn work<C: Channel>(&self, socket: C) -> bool {
        let room = (
            Hold::new(self.limits.hold),
            Budgets::new(self.limits.budget),
        );
        let queue = self.queue.clone();
        let office = self.office.clone();
        let mut worker = Worker::new((socket, queue), office, self.control.clone(), room);
        let health = &self.health;
        let before = lock(health).refused;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            worker.run(|account, hold, refused| {
                let mut health = lock(health);
                (health.account, health.held) = (account, hold.len());
                health.held_of.clone_from(hold.tenants());
                health.refused = before + refused;
            })
        }));
        self.vacate();
        // Where the worker panicked it may do so again.
        let closed = catch_unwind(AssertUnwindSafe(|| worker.close()));
        let (trouble, wanted) = match ended {
            Ok(Ok(End::Stopped)) => (String::new(), true),
            Ok(Ok(End::Restarted)) => ("restarted on request".to_owned(), true),
            Ok(Err(error)) => (error.to_string(), false),
            Err(panic) => (format!("the worker panicked: {}", said(&*panic)), false),
        };
        if let Err(panic) = closed {
            tracing::error!("a worker panicked at its end, too: {}", said(&*panic));
        }
        let (lost, refused) = (worker.lost(), worker.refused());
        if !wanted {
            let Seat { ifindex, queue, .. } = self.seat;
            tracing::warn!("slow path, interface {ifindex}, queue {queue}: {trouble}");
        }
        self.told(|health| {
            health.mode = None;
            health.trouble = trouble;
            (health.account, health.held) = (Account::default(), 0);
            health.held_of.clear();
            health.lost += lost as u64;
            health.refused = before + refused;
        });
        wanted
    }

    /// Programs find the socket no more, and count what they would have sent to it.
    fn vacate(&self) {
        let sockets = Maps::sockets_at(&self.sockets);
        // The kernel does it as well when the socket is closed, a little later.
        let _ = sockets.and_then(|mut sockets| sockets.unset(self.seat.place));
    }

    /// Waits, or until it rings.
    fn rest(&self, pause: Duration) {
        let mut bell = [PollFd::new(&self.control.bell, PollFlags::IN)];
        // What rang before was for the worker; to stop is looked at after it, so as not to miss it.
        let _ = rustix::io::read(&*self.control.bell, &mut [0; 8]);
        if self.stopped() {
            return;
        }
        if let Ok(pause) = Timespec::try_from(pause) {
            let _ = poll(&mut bell, Some(&pause));
        }
    }

    fn told(&self, tell: impl FnOnce(&mut Health)) {
        tell(&mut lock(&self.health));
    }
}

fn lock(health: &Mutex<Health>) -> std::sync::MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason was given")
}

#[cfg(test)]
mod tests;
