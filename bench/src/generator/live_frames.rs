//! Frames made by an XDP program that `BPF_PROG_TEST_RUN` runs with live frames: the fastest sender
//! that a kernel without pktgen has.
//!
//! A call costs some 28 ms before its first frame, and its time shows only when it is over. So there is
//! one call for a whole measurement, with a number of frames that it never reaches, and a signal ends it.

mod program;
mod signal;

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use aya::{
    Ebpf,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{Generator, Load, keys::Pattern};
use crate::{
    paths::{Frames, Place, topology},
    programs,
};

/// Frames of one bulk; the kernel's default.
const BATCH: u32 = 64;

/// The generator.
pub struct LiveFrames {
    shared: Arc<Shared>,
    threads: usize,
    running: Vec<JoinHandle<Result<()>>>,
}

/// What its threads have in common.
struct Shared {
    ebpf: Ebpf,
    netns: File,
    device: u32,
    frame: Vec<u8>,
    stop: AtomicBool,
}

impl LiveFrames {
    /// Prepares to send `frames` out of `source`.
    pub fn new(source: &Place, frames: &Frames, load: &Load) -> Result<Self> {
        let threads = usize::try_from(load.threads)?;
        enough(threads, cpus()?.len())?;
        let device = topology::ifindex(&source.netns, source.device)?;
        let pattern = Pattern::new(load.keys, load.records, load.seed);
        let mut frame = frames.head.clone();
        frame.resize(usize::from(frames.length).max(frame.len()), 0);
        let shared = Shared {
            ebpf: program::load(frames, &pattern, (load.seed, device))?,
            netns: File::open(source.netns.path())?,
            device,
            frame,
            stop: AtomicBool::new(false),
        };
        signal::install()?;
        Ok(Self {
            shared: Arc::new(shared),
            threads,
            running: Vec::new(),
        })
    }
}

impl Generator for LiveFrames {
    fn send(&mut self, frames: u32) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let sent = thread::spawn(move || {
            shared.settle(0)?;
            shared.run(frames)
        });
        sent.join().map_err(|_| anyhow!("the generator panicked"))?
    }

    fn start(&mut self) -> Result<()> {
        self.shared.stop.store(false, Ordering::Release);
        for number in 0..self.threads {
            let shared = Arc::clone(&self.shared);
            let work = move || {
                shared.settle(number)?;
                while !shared.stop.load(Ordering::Acquire) {
                    shared.run(u32::MAX)?;
                }
                Ok(())
            };
            let name = format!("generator-{number}");
            self.running
                .push(thread::Builder::new().name(name).spawn(work)?);
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        for thread in self.running.drain(..) {
            // A signal that arrives before the call begins ends nothing, so it is sent again.
            while !thread.is_finished() {
                signal::interrupt(&thread);
                thread::sleep(Duration::from_millis(1));
            }
            thread
                .join()
                .map_err(|_| anyhow!("the generator panicked"))??;
        }
        Ok(())
    }

    fn sent(&self) -> Result<u64> {
        programs::total(&self.shared.ebpf, "MADE")
    }
}

impl Drop for LiveFrames {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("the generator failed: {error:#}");
        }
    }
}

impl Shared {
    /// Moves the calling thread to the n-th CPU and into the namespace of the device.
    fn settle(&self, number: usize) -> Result<()> {
        let cpu = cpus()?.get(number).copied().context("a CPU went")?;
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)?;
        topology::enter_file(&self.netns)
    }

    /// Sends so many frames, or fewer when a signal comes.
    fn run(&self, frames: u32) -> Result<()> {
        let program: &Xdp = self
            .ebpf
            .program(program::NAME)
            .context("no generator")?
            .try_into()?;
        let context = program::context(self.frame.len(), self.device)?;
        let ran = program.test_run(TestRunOptions {
            data_in: Some(&self.frame),
            ctx_in: Some(&context),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::new()
        });
        match ran {
            Err(error) if !signal::ended(&error) => Err(error).context("cannot run the generator"),
            _ => Ok(()),
        }
    }
}

/// CPUs that this process may use.
pub(super) fn cpus() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Some(rustix::process::getpid()))?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect())
}

/// Fails unless each thread can have a CPU of its own.
pub(super) fn enough(threads: usize, cpus: usize) -> Result<()> {
    ensure!(
        threads <= cpus,
        "{threads} generator threads need a CPU each, and this process may use {cpus}; ask for fewer queues"
    );
    Ok(())
}
