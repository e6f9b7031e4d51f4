//! `nvectl describe KIND NAME`

use serde::Serialize;

use super::{
    context::Context,
    failure::{Failure, OK},
    kind::Kind,
    name,
};
use crate::{
    control::protocol::ObjectStatus,
    policy::{Key, PortKey},
    render,
};

/// Arguments of `describe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of object: singular, plural or short.
    #[arg(value_parser = Kind::parse)]
    kind: Kind,
    /// The object: a port or route as VMNETWORK/NAME, a lookup record as VSID/CA or VSID/MAC.
    name: String,
    /// VM network of a port or route.
    #[arg(short = 'n', long)]
    vm_network: Option<String>,
}

/// What is shown below the document.
#[derive(Serialize)]
struct Below<'a> {
    status: &'a ObjectStatus,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let vm_network = args.vm_network.as_deref();
    let key = name::resolve(context, args.kind, &args.name, vm_network).await?;
    let object = name::fetch(context, &key).await?;
    render::documents_into(&mut context.out, [&object.document])?;
    let status = &object.status;
    render::yaml_into(&mut context.out, &Below { status })?;
    if let Key::Port(port) = &key {
        traffic(context, port).await?;
    }
    Ok(OK)
}

/// Counters and drops of a port, as tables.
async fn traffic(context: &mut Context<'_>, port: &PortKey) -> Result<(), Failure> {
    let name = port.to_string();
    let mut counters = context.client.counters().await?;
    counters.items.retain(|count| count.port == name);
    let mut drops = context.client.drops().await?;
    drops.items.retain(|drop| drop.port == name);
    if !counters.items.is_empty() {
        let view = context.view(false);
        writeln!(context.out)?;
        render::counters_into(&mut context.out, &counters, view)?;
    }
    if !drops.items.is_empty() {
        let view = context.view(true);
        writeln!(context.out)?;
        render::drops_into(&mut context.out, &drops, view)?;
    }
    Ok(())
}
