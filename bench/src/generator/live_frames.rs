//! Frames made by an XDP program that `BPF_PROG_TEST_RUN` runs with live frames: the fastest sender
//! that a kernel without pktgen has.
//!
//! A call costs some 28 ms before its first frame, and its time shows only when it is over. So there is
//! one call for a whole measurement, with a number of frames that it never reaches, and a signal ends it.

pub(crate) mod program;
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

use anyhow::{Context, Result, anyhow};
use aya::{
    Ebpf,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};

use super::{Generator, Load, cpus, keys::Pattern};
use crate::{
    paths::{Frames, Place, topology},
    programs,
};

/// Frames of one bulk; the kernel's default.
const BATCH: u32 = 64;

/// The generator.
pub struct LiveFrames {
    shared: Arc<Shared>,
    cpus: Vec<usize>,
    /// Frames made on each CPU when it was started.
    before: Vec<u64>,
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
        let cpus = cpus::first(load.threads)?;
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
            cpus,
            before: Vec::new(),
            running: Vec::new(),
        })
    }
}

impl Generator for LiveFrames {
    fn send(&mut self, frames: u32) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let cpu = *self.cpus.first().context("no threads")?;
        let sent = thread::spawn(move || {
            shared.settle(cpu)?;
            shared.run(frames)
        });
        sent.join().map_err(|_| anyhow!("the generator panicked"))?
    }

    fn start(&mut self) -> Result<()> {
        self.shared.stop.store(false, Ordering::Release);
        self.before = self.shared.made()?;
        for cpu in self.cpus.iter().copied() {
            let shared = Arc::clone(&self.shared);
            let work = move || {
                shared.settle(cpu)?;
                while !shared.stop.load(Ordering::Acquire) {
                    shared.run(u32::MAX)?;
                }
                Ok(())
            };
            let name = format!("generator-{cpu}");
            self.running
                .push(thread::Builder::new().name(name).spawn(work)?);
        }
        Ok(())
    }

    fn all_send(&self) -> Result<bool> {
        let made = self.shared.made()?;
        let sends = |cpu: &usize| made.get(*cpu) > self.before.get(*cpu);
        Ok(self.cpus.iter().all(sends))
    }

    fn stop(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Release);
        let end = |thread: JoinHandle<Result<()>>| {
            // A signal that arrives before the call begins ends nothing, so it is sent again.
            while !thread.is_finished() {
                signal::interrupt(&thread);
                thread::sleep(Duration::from_millis(1));
            }
            let ended = thread.join();
            ended.map_err(|_| anyhow!("the generator panicked"))?
        };
        // All of them end, whatever one says.
        let ended: Vec<_> = self.running.drain(..).map(end).collect();
        ended.into_iter().collect()
    }

    fn sent(&self) -> Result<u64> {
        Ok(self.shared.made()?.iter().sum())
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
    /// Frames made so far, CPU by CPU.
    fn made(&self) -> Result<Vec<u64>> {
        programs::by_cpu(&self.ebpf, "MADE")
    }

    /// Moves the calling thread to a CPU and into the namespace of the device.
    fn settle(&self, cpu: usize) -> Result<()> {
        cpus::pin(cpu)?;
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
