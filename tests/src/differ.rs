//! The programs beside the decision run in user space, over the same tables: the same verdict, the
//! same bytes, the same counters.

use anyhow::{Context as _, Result, ensure};
use dataplane_common::abi::{
    stats::Direction,
    upcall::{PAIR, Task, UpcallHeader},
};
use dataplane_user::policy::table_image::TableImage;
use xtask::lab::{Netns, inside, unique};

use crate::{
    model::{Said, Setting, decide},
    policy::{DEVICES, SENDER, UPLINK_DEVICE},
    prog_run::{Action, Counts, Hook, Listener, Programs, Ran},
    want::Want,
};

/// A namespace with a device for each number that tables name: copies of broadcasts are sent, even
/// in a test run.
pub struct Devices(Netns);

impl Devices {
    /// Makes them; they take everything and send nothing on.
    pub fn new(name: &str) -> Result<Self> {
        let netns = Netns::new(&unique(name))?.without_ipv6()?;
        for index in DEVICES.into_iter().chain([UPLINK_DEVICE]) {
            let (near, far) = (format!("d{index}"), format!("far{index}"));
            let (index, other) = (index.to_string(), (100 + index).to_string());
            netns.exec(&[
                "ip", "link", "add", &near, "index", &index, "type", "veth", "peer", "name", &far,
                "index", &other,
            ])?;
            for end in [near, far] {
                netns.exec(&["ip", "link", "set", &end, "mtu", "9000", "up"])?;
            }
        }
        Ok(Self(netns))
    }

    /// The namespace.
    pub const fn netns(&self) -> &Netns {
        &self.0
    }

    /// Runs tests in there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(&self.0, work)
    }
}

/// Both, over the tables of the moment.
pub struct Differ {
    programs: Programs,
    image: TableImage,
    attended: bool,
    /// What was counted when the tables came, and what shall have been since.
    before: Counts,
    expected: Counts,
    _listener: Option<Listener>,
}

impl Differ {
    /// Nobody listens at the upcall pair.
    pub fn new(image: &TableImage) -> Result<Self> {
        Self::over(image, None)
    }

    /// Somebody does, and has time for everything.
    pub fn attended(image: &TableImage) -> Result<Self> {
        Self::over(image, Some(Listener::open()?))
    }

    fn over(image: &TableImage, listener: Option<Listener>) -> Result<Self> {
        let mut programs = Programs::load(&TableImage::default());
        if let Some(listener) = &listener {
            programs.listen(PAIR, listener);
        }
        let mut differ = Self {
            before: programs.counts(),
            programs,
            image: TableImage::default(),
            attended: listener.is_some(),
            expected: Counts::default(),
            _listener: listener,
        };
        differ.take(image)?;
        Ok(differ)
    }

    /// Goes on over other tables.
    pub fn take(&mut self, image: &TableImage) -> Result<()> {
        self.counted()?;
        self.image = image.clone();
        if self.attended {
            self.image.config.upcall_ifindex = UPLINK_DEVICE;
            self.image.config.punt_interval = 0;
        }
        self.programs.fill(&self.image);
        Ok(())
    }

    /// One frame; what became of it, or `None`: the kernel takes no such frame.
    pub fn run(&mut self, hook: Hook, direction: Direction, frame: &[u8]) -> Result<Option<Want>> {
        let Ok(mut ran) = self.programs.try_run(hook, direction, frame, 0) else {
            return Ok(None);
        };
        let mut said = self.said(hook, direction, frame);
        if hook == Hook::Xdp && said.left_by_xdp {
            ensure!(
                ran == untouched(frame),
                "XDP shall leave it: {:?}\n  {:02x?}",
                ran.action,
                ran.frame
            );
            let Ok(again) = self.programs.try_run(Hook::Tc, direction, frame, 0) else {
                return Ok(None);
            };
            ran = again;
            said = self.said(Hook::Tc, direction, frame);
        }
        let want = said.want;
        self.expected.add(&want.counts(direction));
        same(&want, &ran, direction, frame)
            .with_context(|| format!("{hook:?} {direction:?} {frame:02x?}"))?;
        Ok(Some(want))
    }

    fn said(&self, hook: Hook, direction: Direction, frame: &[u8]) -> Said {
        let setting = Setting {
            verify: hook == Hook::Xdp,
            attended: self.attended,
        };
        decide(&self.image, direction, frame, setting)
    }

    /// Every counter is where the decision has it.
    pub fn counted(&mut self) -> Result<()> {
        let now = self.programs.counts();
        let moved = now.since(&self.before);
        ensure!(
            moved == self.expected,
            "counters\n  want {:?}\n  got  {moved:?}",
            self.expected
        );
        ensure!(now.conserved(), "not conserved: {now:?}");
        self.before = now;
        self.expected = Counts::default();
        Ok(())
    }
}

fn untouched(frame: &[u8]) -> Ran {
    Ran {
        action: Action::Pass,
        frame: frame.to_vec(),
    }
}

fn same(want: &Want, ran: &Ran, direction: Direction, frame: &[u8]) -> Result<()> {
    let wanted = match want {
        Want::Encapped(_, frame)
        | Want::Rewritten(_, frame)
        | Want::Delivered(_, _, frame)
        | Want::Replied(_, frame) => frame.clone(),
        Want::Punted(slot, punt, frame) => {
            let slot = match direction {
                Direction::Egress => *slot,
                Direction::Ingress => 0,
            };
            let header = UpcallHeader::new(Task::Handle, SENDER, slot, punt.number());
            [&header.to_bytes(), &frame[..]].concat()
        }
        Want::Passed => {
            ensure!(*ran == untouched(frame), "want it passed: {:?}", ran.action);
            return Ok(());
        }
        Want::Flooded(..) | Want::Dropped(..) => {
            ensure!(ran.action == Action::Drop, "want {want:?}, got {ran:02x?}");
            return Ok(());
        }
    };
    ensure!(
        ran.action == Action::Redirect && ran.frame == wanted,
        "want {want:02x?}\n  got  {ran:02x?}"
    );
    Ok(())
}
