//! Time that a textbook's program takes for a packet: it encapsulates, and checks and counts nothing.
//! The limit of ours.

use anyhow::{Context, Result};
use aya::programs::Xdp;
use xtask::lab::interrupted;

use super::{
    Figure, LOOK_EVERY, Plan, driven, per_packet,
    tables::{self, FIRST, FIRST_PA, HOSTS, OUR_PA, SENDER, mac},
    test_run::{self, Hook},
};
use crate::{
    paths::{
        room,
        textbook::{Records, Remote, load},
    },
    scenario::{Keys, PathName, Work},
};

const ENCAP: &str = "bench_textbook_encap";

/// Encapsulation over tables of all sizes, with the keys that ours is measured with.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.records {
        let here = remote(OUR_PA);
        let (mut ebpf, mut table) = load(SENDER, (here, room::room(*records)))?;
        fill(&mut table, tables::remotes(*records))?;
        let program = ebpf.program_mut(ENCAP).context("no such program")?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        for keys in [Keys::OneHot, Keys::Uniform] {
            let work = (Work::Encap, keys, *records);
            let mut figure = per_packet::figure(Hook::Xdp, work)?
                .with("path", PathName::TextbookXdp)
                .with("method", test_run::DRIVEN);
            figure.trials = driven::added(plan, program.fd()?, work)?;
            figures.push(figure);
        }
    }
    Ok(figures)
}

fn remote(pa: u32) -> Remote {
    Remote::new(pa.to_be_bytes(), mac(pa))
}

fn fill(table: &mut Records, records: u32) -> Result<()> {
    for k in 0..records {
        if (k as usize).is_multiple_of(LOOK_EVERY) {
            interrupted()?;
        }
        table.insert((FIRST + k).to_be_bytes(), remote(FIRST_PA + k % HOSTS), 0)?;
    }
    Ok(())
}
