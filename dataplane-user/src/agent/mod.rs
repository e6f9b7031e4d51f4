//! The agent: one task that owns the host's state and makes the kernel follow the policy.
//!
//! Whatever happens (the store changes, a device comes, a route moves, a second
//! passes) has the same answer, [`reconcile`]: look at everything, compile, commit
//! the difference. So there is no order of events to get wrong.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use dataplane_common::id::Mac;
use rtnetlink::Handle;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use crate::{
    dataplane::{Dataplane, attach::Hooks, foreign::Foreign, links::Device, records::Untended},
    policy::{Facts, Ids, PortKey, document::PortMode, table_image::TableImage},
    ports::{self, upcall::UpcallPair},
    settings::Settings,
    slowpath::service::SlowPath,
    store::SharedStore,
    underlay::{self, path_mtu},
};

mod commands;
mod events;
mod joining;
mod learning;
pub mod lock;
mod meet;
mod mtu;
mod plain;
mod presence;
mod reconcile;
mod redirects;
mod slow_path;
mod source;
mod upcalls;
mod uplinks;
pub mod view;
mod wanted;

pub use commands::Command;
pub use view::View;

/// How to reach the agent.
#[derive(Clone)]
pub struct AgentHandle {
    /// Takes commands.
    pub commands: mpsc::Sender<Command>,
    /// What the agent last saw and did.
    pub view: watch::Receiver<Arc<View>>,
    /// Takes what routers of the underlay tell of paths.
    pub path_mtus: path_mtu::Teller,
}

/// The agent's state.
pub struct Agent {
    settings: Settings,
    store: SharedStore,
    dataplane: Dataplane,
    netlink: Handle,
    /// What serves `netlink`; without it nothing can be asked.
    connection: JoinHandle<()>,
    ports: ports::Manager,
    napi: ports::napi::Watch,
    resolver: underlay::Resolver,
    groups: underlay::Groups,
    presence: presence::Presence,
    path_mtus: underlay::PathMtus,
    told_mtus: path_mtu::Told,
    changed: Arc<Notify>,
    store_changed: Arc<AtomicBool>,
    commands: mpsc::Receiver<Command>,
    publish: watch::Sender<Arc<View>>,

    source: source::Source,
    /// The policy has had this host in this run.
    known: bool,
    ids: Ids,
    /// What the store has of them, and which store ([`source::Source::store`]).
    saved_ids: Option<(u64, Ids)>,
    /// Why it ends after this round.
    ended: Option<Ended>,
    /// By the name in the settings; those with programs attached.
    uplinks: BTreeMap<String, Uplink>,
    known_uplinks: uplinks::Known,
    plain: plain::Plain,
    /// What the store has of them, and which store.
    saved_uplinks: (u64, uplinks::Known),
    /// What the kernel's maps hold, but for what [`SlowPath`] has in them.
    image: TableImage,
    slow_path: SlowPath,
    /// The devices through which packets go to user space and back, with their programs attached.
    upcall: Option<UpcallPair>,
    /// What `image` was compiled from, if all of it went in.
    compiled: Option<(u64, Facts)>,
    generation: u64,
    states: BTreeMap<PortKey, ports::State>,
    /// Ports whose programs are attached: device and mode.
    attached: BTreeMap<PortKey, (u32, PortMode)>,
    /// What did not go into the maps.
    failures: Vec<String>,
    reach: BTreeMap<IpAddr, underlay::Reach>,
    /// Addresses that were learned here.
    learned: learning::Learned,
    /// What the last round took.
    took: Duration,
}

/// An uplink that programs are attached to.
#[derive(Clone, Debug)]
struct Uplink {
    device: Device,
    mac: Mac,
    hooks: Hooks,
    driver: String,
    mtu: u32,
    /// Programs of somebody else on it.
    others: Vec<Foreign>,
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel's side.
    #[error(transparent)]
    Dataplane(#[from] crate::dataplane::Error),
    /// Netlink.
    #[error("cannot open a netlink socket: {0}")]
    Socket(#[from] std::io::Error),
    /// A netlink request.
    #[error("cannot list interfaces: {0}")]
    Netlink(#[from] rtnetlink::Error),
    /// An uplink that is not there.
    #[error("uplink {0} is not there and never was; name existing interfaces with --uplink")]
    NoUplink(String),
}

/// Why the agent ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A new one opens a new connection.
    #[error("netlink connection ended; the dataplane forwards on, start nved again")]
    Netlink,
    /// What programs read is not what this one writes: a new one takes it over.
    #[error("{0}; the dataplane forwards on, start nved again once no other runs")]
    Table(Untended),
}

/// How long events may gather before they are answered together.
const GATHER: Duration = Duration::from_millis(30);
/// How often everything is looked at, also what told no event (a namespace that is a link).
const TICK: Duration = Duration::from_secs(1);

/// Until then; for ever where there is no such moment.
async fn reached(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// Loads the dataplane, attaches to the uplinks and reads what the kernel holds.
    pub async fn start(
        settings: Settings,
        store: SharedStore,
    ) -> Result<(Self, AgentHandle), StartError> {
        let (connection, netlink, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let known_uplinks = uplinks::known(&*store, &settings.host).await;
        let devices = uplinks::find(&settings, &netlink, &known_uplinks).await?;
        let plain = plain::Plain::known(&*store, &settings.host).await;
        let mut dataplane = source::load_meanwhile(&store, &settings).await?;
        let image = dataplane.read()?;
        let (path_mtus, told_mtus) = path_mtu::channel();
        let slow_path = SlowPath::new(
            settings.slow_path,
            (&settings.pin, &dataplane.maps.lookup),
            path_mtus.clone(),
        )?;
        let adopted = image.config.abi_version != 0;
        let attached = uplinks::attach_all(&mut dataplane, &settings, &devices, adopted);
        if attached.is_err() {
            // Nothing was here before this start, so nothing stays.
            dataplane.unload(|_| None)?;
        }
        let uplinks = attached?;
        let (sender, commands) = mpsc::channel(64);
        let (publish, view) = watch::channel(Arc::default());
        let changed = Arc::new(Notify::new());
        let store_changed = Arc::new(AtomicBool::new(true));
        underlay::watch::spawn(changed.clone())?;
        let told = changed.clone();
        ports::watch::namespaces(move || told.notify_one())?;
        events::follow_store(store.clone(), changed.clone(), store_changed.clone());
        let adopted = image.underlay.values().copied();
        let adopted = adopted.filter_map(underlay::Reach::adopted);
        let reach = adopted.collect();
        let agent = Self {
            ports: ports::Manager::new(netlink.clone(), &settings),
            resolver: underlay::Resolver::new(netlink.clone(), settings.neighbours),
            groups: underlay::Groups::default(),
            presence: presence::Presence::adopt(netlink.clone(), &image),
            path_mtus: underlay::PathMtus::default(),
            told_mtus,
            ids: source::new_ids(),
            saved_ids: None,
            ended: None,
            napi: ports::napi::Watch::new(netlink.clone()),
            settings,
            store,
            dataplane,
            netlink,
            connection,
            changed,
            store_changed,
            commands,
            publish,
            source: source::Source::default(),
            known: false,
            uplinks,
            saved_uplinks: (0, known_uplinks.clone()),
            known_uplinks,
            plain,
            image,
            slow_path,
            upcall: None,
            compiled: None,
            generation: 0,
            states: BTreeMap::new(),
            attached: BTreeMap::new(),
            failures: Vec::new(),
            reach,
            learned: learning::Learned::default(),
            took: Duration::ZERO,
        };
        let handle = AgentHandle {
            commands: sender,
            view,
            path_mtus,
        };
        Ok((agent, handle))
    }

    /// Runs until `stop` says so or the dataplane is unloaded. Stopping leaves the
    /// dataplane as it is. An error where the kernel cannot be asked any more.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Ended> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // When what events told is answered; commands and ticks do not wait for that.
        let mut due: Option<tokio::time::Instant> = None;
        let shared = self.slow_path.shared();
        loop {
            tokio::select! {
                command = self.commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    if self.execute(command).await {
                        return Ok(());
                    }
                }
                Some(told) = self.told_mtus.recv() => {
                    if self.hear_of_path(told) {
                        self.changed.notify_one();
                    }
                }
                () = shared.learning.claimed() => self.learn(shared.learning.take()).await,
                () = self.changed.notified(), if due.is_none() => {
                    due = Some(tokio::time::Instant::now() + self.pause());
                }
                () = reached(due), if due.is_some() => {
                    due = None;
                    self.reconcile().await;
                }
                () = reached(self.presence.due()) => self.presence.announce(),
                _ = tick.tick() => self.reconcile().await,
                _ = stop.changed() => return Ok(()),
                _ = &mut self.connection => return Err(Ended::Netlink),
            }
            if let Some(ended) = self.ended.take() {
                return Err(ended);
            }
        }
    }

    /// How long events gather: three times what a round takes, so that a flood of them costs a quarter
    /// of a CPU; but a second at most, so that long rounds do not make the kernel follow late.
    fn pause(&self) -> Duration {
        (3 * self.took).clamp(GATHER, TICK)
    }
}
