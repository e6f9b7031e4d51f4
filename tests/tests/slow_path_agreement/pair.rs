//! The two that shall agree, and user space between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use dataplane_common::{
    abi::{
        lookup::{LookupKey, LookupRecord},
        stats::{Counter, Direction},
        upcall::{PAIR, UpcallHeader},
    },
    punt::Punt,
    reason::DropReason,
};
use dataplane_tests::{
    policy::{BLUE, BLUE_RDID, RED, RED_RDID, SENDER, UPLINK_DEVICE, ca, on_demand},
    prog_run::{Action, Hook, Listener, Programs, UPLINK},
};
use dataplane_user::{
    policy::{
        in_use::{Answer, InUse, Lives},
        table_image::TableImage,
    },
    slowpath::{
        directory::{Ask, Directory},
        handlers::{self, Act, Handled},
        upcall::Upcall,
    },
};

use crate::{
    checks::{advertised, told, too_large, whole_again},
    rewriting::{self, translated},
    side::{Fate, Side},
};

/// Entries of the kernel's table, as if it had its default size.
const ROOM: usize = 65_536;

/// The two that shall agree.
pub(crate) struct Pair {
    whole: Side,
    partial: Side,
    directory: Directory,
    in_use: InUse,
    /// What was asked for and is in the kernel's table.
    kept: BTreeSet<LookupKey>,
}

impl Pair {
    pub(crate) fn new(whole: &TableImage, listeners: &[Listener; 2]) -> Self {
        let mut tables = whole.clone();
        for rdid in [BLUE_RDID, RED_RDID] {
            on_demand(&mut tables, rdid);
        }
        tables.config.upcall_ifindex = UPLINK_DEVICE;
        // As fast as they come: what the bucket does has tests of its own.
        tables.config.punt_interval = 0;
        let mut partial = tables.clone();
        let fixed = |record: &LookupRecord| !record.has(LookupRecord::ON_DEMAND);
        let records = tables.lookup.iter().filter(|(_, record)| fixed(record));
        partial.lookup = records.collect();
        let mut partial = Programs::load(&partial);
        let [pair, queue] = listeners;
        partial.listen(PAIR, pair);
        partial.listen(UPLINK, queue);
        partial.be_uplink();
        let gateways = [false, true].map(|v6| ca(v6, 0, 1)).to_vec();
        Self {
            whole: Side::new(Programs::load(whole)),
            partial: Side::new(partial),
            directory: Directory::of(
                tables,
                [(BLUE, gateways.clone()), (RED, gateways)].into(),
                BTreeMap::new(),
            ),
            in_use: InUse::new(Lives::DEFAULT, ROOM),
            kept: BTreeSet::new(),
        }
    }

    /// One frame both ways; how it went the second.
    pub(crate) fn agree(
        &mut self,
        hook: Hook,
        direction: Direction,
        frame: &[u8],
        keep: bool,
    ) -> Result<&'static str> {
        let want = self.whole.run(hook, direction, frame);
        let got = self.partial.run(hook, direction, frame);
        let (Some(want), Some(got)) = (want, got) else {
            return Ok("refused by the kernel");
        };
        let Some(upcall) = Self::upcall((direction, frame), &got)? else {
            ensure!(
                want == got,
                "directly\n  want {want:02x?}\n  got  {got:02x?}"
            );
            return Ok("directly");
        };
        let mut asked = None;
        let act = match handlers::handle(&self.directory, &upcall) {
            Handled::Now(act) => act,
            Handled::Wait(ask) => {
                self.answer(ask)?;
                asked = Some(ask.key);
                handlers::go_on(&self.directory, &upcall)
            }
            // No port here learns.
            other @ (Handled::Learn(..) | Handled::Lease(..)) => {
                anyhow::bail!("nobody asked for {other:02x?}")
            }
        };
        let way = self.act(direction, (&upcall, act), &want)?;
        self.kept.extend(asked);
        if !keep {
            self.forget();
        }
        Ok(way)
    }

    /// Both kept to the law of conservation.
    pub(crate) fn conserved(&self) -> bool {
        self.partial.seen.conserved() && self.whole.seen.conserved()
    }

    /// What the kernel's table was given goes out of it.
    fn forget(&mut self) {
        for key in std::mem::take(&mut self.kept) {
            self.partial.programs.set_entry(key, None);
        }
    }

    /// What user space gets, if it is asked.
    fn upcall((direction, frame): (Direction, &[u8]), got: &Fate) -> Result<Option<Upcall>> {
        let (received, punted) = match direction {
            Direction::Egress => (Counter::EgressReceived, Counter::EgressPunted),
            Direction::Ingress => (Counter::IngressReceived, Counter::IngressPunted),
        };
        let counters: Vec<Counter> = got.moved.counters.keys().map(|key| key.1).collect();
        if !counters.contains(&punted) {
            return Ok(None);
        }
        ensure!(counters == [received, punted], "{counters:?}");
        ensure!(got.action == Action::Redirect && got.moved.drops.is_empty());
        let bytes = got.frame.as_deref().context("no frame")?;
        // A queue's own socket gets the frame without a header.
        let upcall = if bytes == frame {
            Some(Upcall::raw(bytes, Instant::now(), SENDER))
        } else {
            Upcall::read(bytes, Instant::now())
        };
        Ok(Some(upcall.context("no upcall")?))
    }

    /// What the resolver does.
    fn answer(&mut self, ask: Ask) -> Result<()> {
        let question = (ask.key, ask.vsid);
        let answer = self
            .in_use
            .ask(&self.directory.tables, question, Instant::now());
        let Answer::Write(record) = answer else {
            anyhow::bail!("no room for an answer about {ask:?}")
        };
        self.partial
            .programs
            .set_entry(ask.key, Some(record.into()));
        Ok(())
    }

    /// What the worker does, compared with what the whole table did.
    fn act(
        &mut self,
        direction: Direction,
        (upcall, act): (&Upcall, Act),
        want: &Fate,
    ) -> Result<&'static str> {
        match act {
            Act::Again(frames) if frames == std::slice::from_ref(&upcall.frame) => {
                let got = self.back(direction, upcall, &upcall.frame)?;
                ensure!(
                    *want == got,
                    "given back\n  want {want:02x?}\n  got  {got:02x?}"
                );
                Ok("given back")
            }
            Act::Again(fragments) => {
                too_large(want)?;
                whole_again(&upcall.frame, &fragments)?;
                for fragment in &fragments {
                    let want = self.whole.run(Hook::Tc, direction, fragment);
                    let want = want.context("a fragment is a frame")?;
                    let got = self.back(direction, upcall, fragment)?;
                    ensure!(
                        want == got,
                        "fragment\n  want {want:02x?}\n  got  {got:02x?}"
                    );
                    ensure!(want.action == Action::Redirect, "{want:02x?}");
                }
                Ok("fragmented")
            }
            Act::Tell { frame, reason } => {
                ensure!(want.reasons() == [reason], "{want:02x?} {reason:?}");
                self.handed_over(&frame)?;
                told(&self.directory.tables, &upcall.frame, &frame.1, reason)?;
                Ok(if reason == DropReason::TtlExceeded {
                    "told of the last hop"
                } else if reason == DropReason::GatewayBound {
                    "told by the gateway"
                } else {
                    "told"
                })
            }
            Act::Answer(header, frame) => {
                self.handed_over(&(header, frame.clone()))?;
                if handlers::why(&self.directory, upcall) == Punt::RewriteError {
                    ensure!(want.reasons() == [rewriting::UNHEARD], "{want:02x?}");
                    translated(&self.directory.tables, &upcall.frame, &frame)?;
                    return Ok("told of what was rewritten");
                }
                // Nobody listens there.
                let unheard = DropReason::PuntFailed;
                ensure!(want.reasons() == [unheard], "{want:02x?}");
                advertised(&upcall.frame, &frame)?;
                Ok("answered")
            }
            Act::Narrow(pa, mtu) => {
                ensure!(want.reasons() == [DropReason::PuntFailed], "{want:02x?}");
                let mut hops = self.directory.tables.underlay.values();
                ensure!(hops.any(|hop| hop.pa == pa.into()), "{pa} is nobody's");
                ensure!(mtu > 0, "nothing goes to {pa}");
                Ok("narrowed")
            }
            // No policy here has broadcasts.
            Act::Spread(..) => anyhow::bail!("nobody asked for {act:02x?}"),
            Act::Drop(reason) => {
                // A program does not look into what the underlay quotes, nor at the checksum of a
                // solicitation and what stands before it.
                let unread =
                    want.reasons() == [DropReason::PuntFailed] && reason == DropReason::ArpNoRecord;
                let reason = if upcall.punt == Punt::PathMtu || unread {
                    DropReason::PuntFailed
                } else {
                    reason
                };
                ensure!(want.reasons() == [reason], "{want:02x?} {reason:?}");
                ensure!(want.action == Action::Drop);
                Ok("dropped by user space")
            }
        }
    }

    /// A frame that user space made gets to its port as it is.
    fn handed_over(&self, (header, frame): &(UpcallHeader, Vec<u8>)) -> Result<()> {
        let ran = self.partial.programs.give_back(*header, frame);
        ensure!(ran.action == Action::Redirect && ran.frame == *frame);
        Ok(())
    }

    /// Gives a frame back; the counters without the one that says so.
    fn back(&mut self, direction: Direction, upcall: &Upcall, frame: &[u8]) -> Result<Fate> {
        let again = match direction {
            Direction::Egress => Counter::EgressReinjected,
            Direction::Ingress => Counter::IngressReinjected,
        };
        let ran = self.partial.programs.give_back(upcall.back(), frame);
        let mut moved = self.partial.moved();
        let all = moved.counters.len();
        moved.counters.retain(|key, _| key.1 != again);
        ensure!(moved.counters.len() + 1 == all, "not counted as given back");
        Ok(Fate::of(ran, moved))
    }
}
