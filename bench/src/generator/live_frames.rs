//! Frames made by an XDP program that `BPF_PROG_TEST_RUN` runs with live frames: the fastest sender
//! that a kernel without pktgen has.
//!
//! A call costs some 28 ms before its first frame, and its time shows only when it is over. So there is
//! one call for a whole measurement, with a number of frames that it never reaches, and a signal ends it.

use std::{
    fs::File,
    os::unix::thread::JoinHandleExt,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use aya::{
    Ebpf,
    programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{
    Generator, Load,
    keys::{Pattern, SAMPLES},
};
use crate::{
    paths::{Frames, Place, topology},
    programs,
};

/// Words of the head in the program.
const WORDS: usize = 12;
/// Frames of one bulk; the kernel's default.
const BATCH: u32 = 64;
const PROGRAM: &str = "bench_generate";

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
            ebpf: program(frames, &pattern, (load.seed, device))?,
            netns: File::open(source.netns.path())?,
            device,
            frame,
            stop: AtomicBool::new(false),
        };
        install_handler()?;
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
                interrupt(&thread);
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
            .program(PROGRAM)
            .context("no generator")?
            .try_into()?;
        let context = context(self.frame.len(), self.device)?;
        let ran = program.test_run(TestRunOptions {
            data_in: Some(&self.frame),
            ctx_in: Some(&context),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::new()
        });
        match ran {
            Err(error) if !interrupted(&error) => Err(error).context("cannot run the generator"),
            _ => Ok(()),
        }
    }
}

/// Loads the program with everything that is constant for this path.
fn program(frames: &Frames, pattern: &Pattern, (seed, device): (u64, u32)) -> Result<Ebpf> {
    let head = words(&frames.head)?;
    let head_words = u32::try_from(frames.head.len().div_ceil(8))?;
    let key_offset = u32::try_from(frames.key_offset)?;
    let checksum_offset = u32::try_from(frames.checksum_offset.unwrap_or(0))?;
    let checksum = checksum(frames)?;
    let sampled = u32::from(pattern.samples.is_some());
    let mut loader = programs::loader();
    programs::set(&mut loader, "HEAD", &head);
    programs::set(&mut loader, "SEED", &seed);
    let numbers = [
        ("HEAD_WORDS", head_words),
        ("KEY_OFFSET", key_offset),
        ("FIRST_KEY", frames.first_key),
        ("CHECKSUM_OFFSET", checksum_offset),
        ("CHECKSUM", checksum),
        ("KEYS", pattern.keys),
        ("SAMPLED", sampled),
        ("DEVICE", device),
    ];
    for (name, value) in &numbers {
        programs::set(&mut loader, name, value);
    }
    if pattern.samples.is_some() {
        loader.map_max_entries("SAMPLES", u32::try_from(SAMPLES)?);
    }
    let mut ebpf = loader.load(programs::OBJECT)?;
    let generator: &mut Xdp = ebpf
        .program_mut(PROGRAM)
        .context("no generator")?
        .try_into()?;
    generator.load()?;
    if let Some(samples) = &pattern.samples {
        fill(&ebpf, samples)?;
    }
    Ok(ebpf)
}

fn fill(ebpf: &Ebpf, samples: &[u32]) -> Result<()> {
    let map = MapHandle::from_map_id(programs::map_id(ebpf, "SAMPLES")?)?;
    let count = u32::try_from(samples.len())?;
    let keys: Vec<u8> = (0..count).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = samples.iter().flat_map(|key| key.to_ne_bytes()).collect();
    map.update_batch(&keys, &values, count, MapFlags::ANY, MapFlags::ANY)
        .context("cannot fill map SAMPLES")
}

fn words(head: &[u8]) -> Result<[u64; WORDS]> {
    let room = WORDS * size_of::<u64>();
    if head.len() > room {
        bail!(
            "the head of a frame has {} bytes, the generator has room for {room}",
            head.len()
        );
    }
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(head.chunks(size_of::<u64>())) {
        let mut whole = [0; size_of::<u64>()];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    Ok(words)
}

fn checksum(frames: &Frames) -> Result<u32> {
    let Some(offset) = frames.checksum_offset else {
        return Ok(0);
    };
    let bytes = frames
        .head
        .get(offset..offset + 2)
        .context("the checksum is outside the head")?;
    Ok(u32::from(bytes[0]) << 8 | u32::from(bytes[1]))
}

/// `struct xdp_md` of a frame that came from queue 0 of the device.
fn context(len: usize, device: u32) -> Result<[u8; 24]> {
    const DATA_END: usize = 4;
    const INGRESS_IFINDEX: usize = 12;
    let len = u32::try_from(len)?;
    let mut context = [0; 24];
    context[DATA_END..DATA_END + 4].copy_from_slice(&len.to_ne_bytes());
    context[INGRESS_IFINDEX..INGRESS_IFINDEX + 4].copy_from_slice(&device.to_ne_bytes());
    Ok(context)
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

fn interrupted(error: &ProgramError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::Interrupted;
        }
        cause = current.source();
    }
    false
}

/// A signal that nobody else uses here.
fn signal() -> i32 {
    libc::SIGRTMIN() + 4
}

/// A handler that does nothing: the signal only has to end a system call.
fn install_handler() -> Result<()> {
    static INSTALLED: Once = Once::new();
    extern "C" fn nothing(_: i32) {}
    let mut installed = Ok(());
    INSTALLED.call_once(|| {
        // SAFETY: all zeros is a valid `sigaction`: no flags (so calls are not restarted), no mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(i32) as libc::sighandler_t;
        // SAFETY: the handler touches nothing, so it may run at any point of any thread; the
        // pointer is to a local that outlives the call.
        if unsafe { libc::sigaction(signal(), &raw const action, std::ptr::null_mut()) } != 0 {
            installed = Err(std::io::Error::last_os_error());
        }
    });
    installed.context("cannot install a signal handler")
}

fn interrupt(thread: &JoinHandle<Result<()>>) {
    // SAFETY: the thread was not joined, so its handle is valid even if it has ended; the signal
    // has a handler since the generator was made.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), signal()) };
}
