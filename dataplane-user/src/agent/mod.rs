//! The agent: one task that owns the host's state and makes the kernel follow the policy.
//!
//! Whatever happens (the store changes, a device comes, a route moves, a second
//! passes) has the same answer, [`reconcile`]: look at everything, compile, commit
//! the difference. So there is no order of events to get wrong.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dataplane_common::id::Mac;
use rtnetlink::Handle;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    control::protocol::{CounterCount, DropCount, Restarted, Unloaded, UpcallCount},
    dataplane::{Dataplane, attach::Hooks, foreign::Foreign, links::Device},
    policy::{Facts, Ids, PortKey, document::PortMode, table_image::TableImage},
    ports::{self, upcall::UpcallPair},
    settings::Settings,
    slowpath::service::SlowPath,
    store::SharedStore,
    underlay::{self, path_mtu},
};

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

pub use view::View;

/// What others ask of the agent.
#[derive(Debug)]
pub enum Command {
    /// Reconcile now; answered when it is done.
    Reconcile(oneshot::Sender<()>),
    /// Read the drops.
    Drops(oneshot::Sender<Result<Vec<DropCount>, String>>),
    /// Read the counters.
    Counters(oneshot::Sender<Result<Vec<CounterCount>, String>>),
    /// Read what the slow path did.
    Upcalls(oneshot::Sender<Vec<UpcallCount>>),
    /// End every worker of the slow path; others take their places.
    RestartSlowPath(oneshot::Sender<Restarted>),
    /// Take everything out of the kernel and stop.
    Unload(oneshot::Sender<Result<Unloaded, String>>),
}

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

/// Why the agent ends by itself: a new one opens a new connection.
#[derive(Debug, thiserror::Error)]
#[error("netlink connection ended; the dataplane forwards on, start nved again")]
pub struct NetlinkEnded;

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
        let mut dataplane = Dataplane::load(&settings)?;
        let image = dataplane.read()?;
        let (path_mtus, told_mtus) = path_mtu::channel();
        let slow_path = SlowPath::new(settings.slow_path, &settings.pin, path_mtus.clone())?;
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
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), NetlinkEnded> {
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
                _ = &mut self.connection => return Err(NetlinkEnded),
            }
        }
    }

    /// How long events gather: three times what a round takes, so that a flood of them costs a quarter
    /// of a CPU; but a second at most, so that long rounds do not make the kernel follow late.
    fn pause(&self) -> Duration {
        (3 * self.took).clamp(GATHER, TICK)
    }

    /// Whether that was the end.
    async fn execute(&mut self, command: Command) -> bool {
        // Whoever asked may be gone; then nobody misses the answer.
        match command {
            Command::Reconcile(done) => {
                self.store_changed.store(true, Ordering::Relaxed);
                self.reconcile().await;
                let _ = done.send(());
                false
            }
            Command::Drops(reply) => {
                let _ = reply.send(self.drops().map_err(|error| error.to_string()));
                false
            }
            Command::Counters(reply) => {
                let _ = reply.send(self.counters().map_err(|error| error.to_string()));
                false
            }
            Command::Upcalls(reply) => {
                let _ = reply.send(self.upcalls());
                false
            }
            Command::RestartSlowPath(reply) => {
                let workers = self.slow_path.seats.restart();
                tracing::info!("workers of the slow path restart: {workers}");
                let _ = reply.send(Restarted { workers });
                false
            }
            Command::Unload(reply) => {
                let unloaded = self.unload().await;
                let end = unloaded.is_ok();
                let _ = reply.send(unloaded);
                end
            }
        }
    }

    fn drops(&self) -> Result<Vec<DropCount>, crate::dataplane::Error> {
        let slots = self.slots().into_iter();
        let items = slots.map(|(slot, port)| {
            let mut items = self.dataplane.drops(slot, &port)?;
            self.add_drops(&mut items, (slot, &port));
            Ok(items)
        });
        Ok(items
            .collect::<Result<Vec<_>, crate::dataplane::Error>>()?
            .concat())
    }

    fn counters(&self) -> Result<Vec<CounterCount>, crate::dataplane::Error> {
        let slots = self.slots().into_iter();
        let items = slots.map(|(slot, port)| self.dataplane.counters(slot, &port));
        Ok(items.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Slots in use and whose they are.
    fn slots(&self) -> BTreeMap<u32, String> {
        let used = self.image.vports.values().map(|vport| vport.slot);
        let ports = used.filter_map(|slot| Some((slot, self.ids.port_in(slot)?.to_owned())));
        let uplink = (0, crate::dataplane::stats::UPLINK.to_owned());
        std::iter::once(uplink).chain(ports).collect()
    }

    async fn unload(&mut self) -> Result<Unloaded, String> {
        let seen = self.look().await;
        let seen = seen.map_err(|error| format!("cannot list interfaces: {error}"))?;
        let started = Instant::now();
        // The devices first: without its program a port would reach the host's own stack.
        let pinned = self
            .dataplane
            .devices()
            .map_err(|error| error.to_string())?;
        let mut devices = self.ports.remove_others(std::iter::empty(), &seen).await;
        devices.extend(self.unload_slow_path(&seen).await);
        devices.extend(self.ports.remove_of_other_hosts(&pinned, &seen).await);
        let removed = self
            .dataplane
            .unload(|ifindex| Some(seen.by_index(ifindex)?.name.clone()))
            .map_err(|error| error.to_string())?;
        self.resolver.leave(pinned);
        self.restore_promiscuity(&seen).await;
        self.leave_presence().await;
        if let Err(error) = self.resolver.unload(self.uplink_devices()).await {
            tracing::warn!("neighbours of the underlay stay managed: {error}");
        }
        tracing::info!("unloaded in {:?}", started.elapsed());
        Ok(Unloaded {
            detached: removed.detached,
            pins: removed.pins,
            devices,
        })
    }
}
