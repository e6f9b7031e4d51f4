//! The kernel's pktgen, in the namespace of the source: skbs from kernel threads, one a CPU.
//!
//! Its files show the namespace of the thread that opens them, so all is done on threads inside.

mod commands;

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use xtask::lab::run;

use super::{Generator, Load, cpus, keys::Pattern};
use crate::{
    paths::{Absence, Frames, Place, topology},
    scenario::Keys,
};

/// The files of the calling thread's namespace.
const FOLDER: &str = "/proc/thread-self/net/pktgen";
/// Bytes of Ethernet, IPv4 and UDP headers.
const UDP_HEAD: usize = 42;
/// How often something is asked again.
const LOOK: Duration = Duration::from_millis(2);

/// The generator.
pub struct Pktgen {
    netns: Arc<File>,
    device: &'static str,
    /// Commands for the device, without the number of packets.
    commands: Vec<String>,
    cpus: Vec<usize>,
    running: Option<JoinHandle<Result<()>>>,
    sent: u64,
}

/// Whether this kernel has it; loads the module if there is one.
pub fn available() -> bool {
    Path::new(FOLDER).exists()
        || (run(Command::new("modprobe").args(["--quiet", "pktgen"])).is_ok()
            && Path::new(FOLDER).exists())
}

/// Whether it can make such packets; why not.
pub fn can(frames: &Frames, load: &Load) -> Result<(), &'static str> {
    if load.keys == Keys::Zipf {
        return Err("pktgen has no Zipf");
    }
    if frames.head.len() != UDP_HEAD {
        return Err("pktgen sends UDP only, and these frames are born encapsulated");
    }
    Ok(())
}

impl Pktgen {
    /// Prepares to send `frames` out of `source`.
    pub fn new(source: &Place, frames: &Frames, load: &Load) -> Result<Self, Absence> {
        let refuse = |why: &str| Err(Absence::NotAvailable(why.to_owned()));
        if !available() {
            return refuse("this kernel has no pktgen (modprobe pktgen finds no module)");
        }
        if let Err(why) = can(frames, load) {
            return refuse(why);
        }
        let pattern = Pattern::new(load.keys, load.records, load.seed);
        Ok(Self {
            netns: Arc::new(File::open(source.netns.path()).context("the namespace")?),
            device: source.device,
            commands: commands::commands(frames, &pattern)?,
            cpus: cpus::first(load.threads)?,
            running: None,
            sent: 0,
        })
    }
}

impl Generator for Pktgen {
    fn send(&mut self, frames: u32) -> Result<()> {
        self.configure(1, frames)?;
        self.inside(|| control("start"))?;
        self.sent += self.sent_by(1)?;
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.configure(self.cpus.len(), 0)?;
        let netns = Arc::clone(&self.netns);
        let work = move || {
            topology::enter_file(&netns)?;
            control("start")
        };
        let name = "pktgen".to_owned();
        self.running = Some(thread::Builder::new().name(name).spawn(work)?);
        Ok(())
    }

    fn all_send(&self) -> Result<bool> {
        self.inside(|| {
            let mut sent = self.cpus.iter().map(|cpu| sofar(&name(self.device, *cpu)));
            sent.try_fold(true, |all, sent| Ok(all && sent? > 0))
        })
    }

    fn stop(&mut self) -> Result<()> {
        let Some(thread) = self.running.take() else {
            return Ok(());
        };
        // One that comes before the start stops nothing, so it is said again.
        let stopped = self.inside(|| {
            while !thread.is_finished() {
                control("stop")?;
                thread::sleep(LOOK);
            }
            Ok(())
        });
        let ended = thread
            .join()
            .map_err(|_| anyhow!("pktgen's thread panicked"))?;
        stopped.and(ended)?;
        self.sent += self.sent_by(self.cpus.len())?;
        Ok(())
    }

    fn sent(&self) -> Result<u64> {
        Ok(self.sent)
    }
}

impl Drop for Pktgen {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("pktgen failed: {error:#}");
        }
    }
}

impl Pktgen {
    /// Gives the device to the first `threads` CPUs alone; `count` packets each, 0: without end.
    fn configure(&self, threads: usize, count: u32) -> Result<()> {
        self.inside(|| {
            for (number, cpu) in self.cpus.iter().enumerate() {
                let thread = format!("kpktgend_{cpu}");
                tell(&thread, "rem_device_all")?;
                if number >= threads {
                    continue;
                }
                let device = name(self.device, *cpu);
                tell(&thread, &format!("add_device {device}"))?;
                tell(&device, &format!("count {count}"))?;
                for command in &self.commands {
                    tell(&device, command)?;
                }
            }
            Ok(())
        })
    }

    /// Packets of the last run.
    fn sent_by(&self, threads: usize) -> Result<u64> {
        self.inside(|| {
            let cpus = self.cpus.iter().take(threads);
            cpus.map(|cpu| sofar(&name(self.device, *cpu))).sum()
        })
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let enter = || {
            topology::enter_file(&self.netns)?;
            work()
        };
        let done = thread::scope(|scope| scope.spawn(enter).join());
        done.map_err(|_| anyhow!("a thread of pktgen panicked"))?
    }
}

fn name(device: &str, cpu: usize) -> String {
    format!("{device}@{cpu}")
}

fn control(command: &str) -> Result<()> {
    tell("pgctrl", command)
}

fn tell(file: &str, command: &str) -> Result<()> {
    let path = Path::new(FOLDER).join(file);
    // Its last byte is taken for the end of the line.
    fs::write(&path, format!("{command}\n"))
        .with_context(|| format!("cannot write {command:?} to {}", path.display()))
}

fn sofar(device: &str) -> Result<u64> {
    const WORD: &str = "pkts-sofar:";
    let path = Path::new(FOLDER).join(device);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (_, rest) = text
        .split_once(WORD)
        .with_context(|| format!("no {WORD} in {}", path.display()))?;
    let number = rest.split_whitespace().next().unwrap_or_default();
    number.parse().with_context(|| format!("{WORD} {number:?}"))
}
