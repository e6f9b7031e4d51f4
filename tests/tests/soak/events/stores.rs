//! Stores that fail, and policy that changes.

use anyhow::Result;
use dataplane_tests::net::refused;

use super::{World, degraded};

pub(super) fn full(world: &mut World) -> Result<()> {
    world.disk.fill()?;
    // More than the pages that the store has to spare.
    let label = format!("env: {}", "x".repeat(2 << 20));
    let file = world.policy().replace("env: demo", &label);
    let file = world.site.file("full.yaml", file)?;
    let said = world
        .site
        .nvectl(0, &["apply", "-f", &file.to_string_lossy()])?;
    refused(&said, 1, &["make room"])?;
    degraded(world, 0, "make room")?;
    world.disk.free()
}

pub(super) fn lost(world: &mut World) -> Result<()> {
    std::fs::remove_file(world.store())?;
    degraded(world, 0, "replaced")?;
    world.site.apply(0, &world.policy()).map(drop)
}

pub(super) fn damaged(world: &mut World) -> Result<()> {
    std::fs::write(world.store(), b"no store any more")?;
    degraded(world, 0, "policy.redb")?;
    std::fs::remove_file(world.store())?;
    degraded(world, 0, "replaced")?;
    world.site.apply(0, &world.policy()).map(drop)
}

pub(super) fn records(world: &mut World) -> Result<()> {
    let variant = world.random.below(200) + 10;
    let records = (100..250).map(|last| {
        format!(
            "apiVersion: nve/v1\nkind: LookupRecord\nmetadata: {{vmNetwork: blue}}\nspec: \
             {{virtualSubnetId: 6001, customerAddress: 10.0.0.{last}, macAddress: \
             02:00:00:00:{variant:02x}:{last:02x}, providerAddress: 192.0.2.2}}\n---\n"
        )
    });
    let text: String = records.collect();
    for host in [0, 1] {
        world.site.apply(host, &text)?;
    }
    Ok(())
}
