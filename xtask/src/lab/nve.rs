//! A running `nved` and the `nvectl` that talks to it.

use super::{
    BPFFS, Netns, Output, PATIENCE, Proc, TempDir, output, remove_pins, run_always, unique,
};
use super::{bpffs_mounted, wait_until};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long an `nved` may take to load its programs and open its socket.
const START: Duration = Duration::from_secs(30);

/// Where an `nved` runs and keeps its things.
#[derive(Debug, Clone)]
pub struct NveSpec {
    /// The name of its Host document.
    pub host: String,
    /// `--uplink-mode`: auto, xdp or tc.
    pub mode: String,
    /// Folder for store, socket and log.
    pub dir: PathBuf,
    /// Folder for its pins, in the BPF file system.
    pub pin: PathBuf,
    /// Goes on when this process ends; its output goes to `nved.log` in `dir`.
    pub detached: bool,
    /// Interfaces of the underlay.
    pub uplinks: Vec<String>,
    /// Further flags of `nved`.
    pub flags: Vec<String>,
    /// The `nved` to run, where it is not the one of this build.
    pub program: Option<PathBuf>,
}

impl NveSpec {
    /// An `nved` of this build with uplink `eth0`, its state in `dir` and its pins in `pin`.
    pub fn new(host: &str, mode: &str, dir: &Path, pin: PathBuf) -> Self {
        Self {
            host: host.to_owned(),
            mode: mode.to_owned(),
            dir: dir.to_owned(),
            pin,
            detached: false,
            uplinks: vec!["eth0".to_owned()],
            flags: Vec::new(),
            program: None,
        }
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("nved.sock")
    }

    /// The `nved` itself.
    pub fn daemon(&self, netns: &Netns) -> Result<Command> {
        let file = match &self.program {
            Some(file) => file.clone(),
            None => program("nved")?,
        };
        let mut nved = netns.command(&file.to_string_lossy());
        nved.args(["--host", &self.host, "--uplink", &self.uplinks.join(",")]);
        nved.args(["--uplink-mode", &self.mode]).args(&self.flags);
        let store = format!("redb://{}", self.dir.join("policy.redb").display());
        nved.args(["--store", &store, "--socket"])
            .arg(self.socket());
        nved.arg("--pin").arg(&self.pin);
        Ok(nved)
    }

    /// `nvectl` with the socket of this `nved`; the arguments are for the caller to add.
    pub fn client(&self) -> Result<Command> {
        let mut nvectl = Command::new(program("nvectl")?);
        nvectl.arg("--socket").arg(self.socket());
        Ok(nvectl)
    }
}

/// A running `nved`. Dropping it unloads the dataplane, ends the process, and removes pins and state.
#[derive(Debug)]
pub struct Nve {
    spec: NveSpec,
    proc: Option<Proc>,
    /// Removed after the process ended.
    state: Option<TempDir>,
}

impl Nve {
    /// Starts an `nved` for `host` in its namespace, uplink `eth0`, with state of its own.
    pub fn start(netns: &Netns, host: &str, mode: &str) -> Result<Self> {
        Self::start_as(netns, host, mode, |_| ())
    }

    /// [`Nve::start`] with changes to what it would run.
    pub fn start_as(
        netns: &Netns,
        host: &str,
        mode: &str,
        change: impl FnOnce(&mut NveSpec),
    ) -> Result<Self> {
        let state = TempDir::new(host)?;
        let pin = Path::new(BPFFS).join(unique(host));
        let mut spec = NveSpec::new(host, mode, state.path(), pin);
        change(&mut spec);
        let mut nve = Self::start_with(netns, spec)?;
        nve.state = Some(state);
        Ok(nve)
    }

    /// Starts an `nved` as told, and waits until its socket answers.
    pub fn start_with(netns: &Netns, spec: NveSpec) -> Result<Self> {
        if !bpffs_mounted() {
            bail!("no BPF file system at {BPFFS}; run: mount -t bpf bpf {BPFFS}");
        }
        let mut nve = Self {
            spec,
            proc: None,
            state: None,
        };
        nve.resume(netns)?;
        Ok(nve)
    }

    /// Ends `nved` with SIGTERM; its dataplane goes on forwarding.
    pub fn stop(&mut self) {
        self.proc = None;
    }

    /// Starts `nved` again after [`Nve::stop`], with the same store and pins.
    pub fn resume(&mut self, netns: &Netns) -> Result<()> {
        self.spawn(netns)?;
        self.wait_for_socket()
    }

    /// Starts `nved`, and kills it after a while, wherever it is by then.
    pub fn start_and_kill(&mut self, netns: &Netns, after: Duration) -> Result<()> {
        self.spawn(netns)?;
        std::thread::sleep(after);
        self.kill()
    }

    fn spawn(&mut self, netns: &Netns) -> Result<()> {
        let mut nved = self.spec.daemon(netns)?;
        self.proc = Some(if self.spec.detached {
            Proc::spawn_detached(&mut nved, &self.spec.dir.join("nved.log"))?
        } else {
            Proc::spawn(&mut nved)?
        });
        Ok(())
    }

    /// The folder, socket and pins it uses.
    pub fn spec(&self) -> &NveSpec {
        &self.spec
    }

    /// How the next [`Nve::resume`] starts it.
    pub fn spec_mut(&mut self) -> &mut NveSpec {
        &mut self.spec
    }

    /// Ends `nved` with SIGKILL; its dataplane goes on forwarding.
    pub fn kill(&mut self) -> Result<()> {
        self.proc.take().map_or(Ok(()), Proc::kill)
    }

    /// Ends `nved` with SIGTERM, which has to be enough within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<Output> {
        let proc = self.proc.take().context("nved is not running")?;
        proc.terminate(limit)
    }

    /// The process id of `nved`.
    pub fn pid(&self) -> Option<u32> {
        self.proc.as_ref().map(Proc::pid)
    }

    /// What `nved` has logged so far.
    pub fn log(&self) -> String {
        self.proc
            .as_ref()
            .map(|proc| proc.stdout() + &proc.stderr())
            .unwrap_or_default()
    }

    /// Runs `nvectl` with these arguments; its exit code is the caller's to judge.
    pub fn nvectl(&self, args: &[&str]) -> Result<Output> {
        output(self.spec.client()?.args(args), PATIENCE)
    }

    /// Keeps everything when the guard goes.
    pub fn leave(mut self) {
        if let Some(proc) = self.proc.take() {
            proc.leave();
        }
        std::mem::forget(self);
    }

    fn wait_for_socket(&mut self) -> Result<()> {
        let what = format!("nved of {}", self.spec.host);
        let spec = self.spec.clone();
        let proc = self.proc.as_mut().context("nved is not running")?;
        let mut ended = None;
        let answer = wait_until(&what, START, || {
            if let Err(error) = proc.still_running() {
                ended = Some(error);
                return Ok(Some(()));
            }
            // Degraded is an answer too: nothing has been applied yet.
            let status = output(spec.client()?.arg("status"), PATIENCE)?;
            match status.code() {
                0 | 1 => Ok(Some(())),
                _ => status.success().map(|_| None),
            }
        });
        match ended {
            Some(error) => Err(error),
            None => answer.with_context(|| self.log()),
        }
    }
}

impl Drop for Nve {
    fn drop(&mut self) {
        let unloaded = self
            .spec
            .client()
            .and_then(|mut nvectl| run_always(nvectl.arg("unload")));
        let running = self
            .proc
            .as_mut()
            .is_some_and(|proc| proc.still_running().is_ok());
        if let (true, Err(error)) = (running, unloaded) {
            eprintln!("nved of {} did not unload: {error:#}", self.spec.host);
        }
        self.proc = None;
        if let Err(error) = remove_pins(&self.spec.pin) {
            eprintln!("{error:#}");
        }
    }
}

/// The folder with `nved` and `nvectl`: `NVE_BIN_DIR`, or where cargo put the running program.
pub fn bin_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("NVE_BIN_DIR") {
        return Ok(dir.into());
    }
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let dir = exe.parent().context("this program is in no folder")?;
    // Test programs are one folder below the others.
    let dir = if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    };
    Ok(dir.to_owned())
}

fn program(name: &str) -> Result<PathBuf> {
    let file = bin_dir()?.join(name);
    if !file.exists() {
        bail!(
            "{} is not there; run `cargo build`, or name its folder in NVE_BIN_DIR",
            file.display()
        );
    }
    Ok(file)
}
