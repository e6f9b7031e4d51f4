//! `nvectl get KIND [NAME]`

use super::{
    context::Context,
    failure::{Failure, OK},
    kind::{Kind, Target},
    name,
    output::{Format, Output, structured},
};
use crate::{
    control::protocol::{ObjectList, ObjectView},
    policy::document::{ApiVersion, Document},
    render,
};

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of object (singular, plural or short), `drops`, `counters`, `upcalls` or `all`.
    #[arg(value_name = "KIND", value_parser = Target::parse)]
    target: Target,
    /// One object: a port or route as VMNETWORK/NAME, a lookup record as VSID/CA or VSID/MAC.
    name: Option<String>,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Table, hide_possible_values = true,
        value_name = "table|wide|json|yaml|name")]
    output: Output,
    /// Only what belongs to this VM network.
    #[arg(short = 'n', long)]
    vm_network: Option<String>,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let vm_network = args.vm_network.as_deref();
    let list = match (args.target, &args.name) {
        (Target::Objects(kind), None) => listed(context, kind, vm_network).await?,
        (Target::Objects(kind), Some(name)) => {
            let key = name::resolve(context, kind, name, vm_network).await?;
            let object = name::fetch(context, &key).await?;
            list_of(format!("{}List", kind.as_str()), vec![object])
        }
        (Target::All, None) => all(context, vm_network).await?,
        (Target::Drops, None) => return drops(context, &args).await,
        (Target::Counters, None) => return counters(context, &args).await,
        (Target::Upcalls, None) => return upcalls(context, &args).await,
        (Target::All | Target::Drops | Target::Counters | Target::Upcalls, Some(name)) => {
            return Err(Failure::usage(
                format!("`{name}` is one argument too many: this list has no names"),
                "narrow it with `-n VMNETWORK`",
            ));
        }
    };
    show(context, &list, args.output, args.name.is_some())?;
    Ok(OK)
}

async fn listed(
    context: &Context<'_>,
    kind: Kind,
    vm_network: Option<&str>,
) -> Result<ObjectList, Failure> {
    if vm_network.is_some() && matches!(kind, Kind::Host | Kind::ProviderNetwork) {
        return Err(Failure::usage(
            format!("a {} belongs to no VM network", kind.word()),
            "leave `-n` out",
        ));
    }
    let mut list = context.client.list(kind.as_str()).await?;
    list.items.retain(|object| belongs(object, vm_network));
    Ok(list)
}

async fn all(context: &Context<'_>, vm_network: Option<&str>) -> Result<ObjectList, Failure> {
    let mut items = Vec::new();
    for kind in Kind::ALL {
        let list = context.client.list(kind.as_str()).await?;
        items.extend(list.items.into_iter().filter(|o| belongs(o, vm_network)));
    }
    Ok(list_of("List".to_owned(), items))
}

fn list_of(kind: String, items: Vec<ObjectView>) -> ObjectList {
    ObjectList {
        api_version: ApiVersion::V1,
        kind,
        items,
    }
}

fn belongs(object: &ObjectView, vm_network: Option<&str>) -> bool {
    let Some(wanted) = vm_network else {
        return true;
    };
    let network = match &object.document {
        Document::VMNetwork(d) => d.metadata.name.as_deref(),
        Document::Port(d) => d.metadata.vm_network.as_deref(),
        Document::LookupRecord(d) => d.metadata.vm_network.as_deref(),
        Document::CustomerRoute(d) => d.metadata.vm_network.as_deref(),
        Document::Host(_) | Document::ProviderNetwork(_) => None,
    };
    network == Some(wanted)
}

fn show(
    context: &mut Context<'_>,
    list: &ObjectList,
    output: Output,
    named: bool,
) -> Result<(), Failure> {
    match output {
        Output::Json => structured(context, Format::Json, list)?,
        Output::Yaml => documents(context, list, named)?,
        Output::Name => render::names_into(&mut context.out, list)?,
        Output::Table | Output::Wide if list.items.is_empty() => {
            context.say("nothing found")?;
        }
        Output::Table | Output::Wide => {
            let view = context.view(output == Output::Wide);
            render::objects_into(&mut context.out, list, view)?;
        }
    }
    Ok(())
}

/// Documents for `apply`. A derived record is its port's to tell, so it is left
/// out of lists and shown as a comment when asked for by name.
fn documents(context: &mut Context<'_>, list: &ObjectList, named: bool) -> Result<(), Failure> {
    let (derived, written): (Vec<&ObjectView>, Vec<&ObjectView>) = list
        .items
        .iter()
        .partition(|object| object.status.derived_from.is_some());
    render::documents_into(&mut context.out, written.iter().map(|o| &o.document))?;
    for object in derived.iter().filter(|_| named) {
        for line in render::document_yaml(&object.document)?.lines() {
            writeln!(context.out, "# {line}")?;
        }
    }
    if !derived.is_empty() {
        context.say(&format!(
            "{} lookup records are derived from ports and no input for `apply`",
            derived.len()
        ))?;
    }
    Ok(())
}

async fn drops(context: &mut Context<'_>, args: &Args) -> Result<u8, Failure> {
    let mut list = context.client.drops().await?;
    list.items.retain(|drop| of_network(&drop.port, args));
    match form(args.output, "drops")? {
        Some(format) => structured(context, format, &list)?,
        None if list.items.is_empty() => context.say("no drops")?,
        None => {
            let view = context.view(args.output == Output::Wide);
            render::drops_into(&mut context.out, &list, view)?;
        }
    }
    Ok(OK)
}

async fn counters(context: &mut Context<'_>, args: &Args) -> Result<u8, Failure> {
    let mut list = context.client.counters().await?;
    list.items.retain(|count| of_network(&count.port, args));
    match form(args.output, "counters")? {
        Some(format) => structured(context, format, &list)?,
        None if list.items.is_empty() => context.say("no packets counted yet")?,
        None => {
            let view = context.view(args.output == Output::Wide);
            render::counters_into(&mut context.out, &list, view)?;
        }
    }
    Ok(OK)
}

async fn upcalls(context: &mut Context<'_>, args: &Args) -> Result<u8, Failure> {
    let mut list = context.client.upcalls().await?;
    let wanted = |name: &str| args.vm_network.as_deref().is_none_or(|only| only == name);
    list.items.retain(|upcalls| wanted(&upcalls.vm_network));
    match args.output {
        Output::Json => structured(context, Format::Json, &list)?,
        Output::Yaml => structured(context, Format::Yaml, &list)?,
        Output::Name => render::upcall_names_into(&mut context.out, &list)?,
        Output::Table | Output::Wide if list.items.is_empty() => {
            context.say("no VM network has ports on this host")?;
        }
        Output::Table | Output::Wide => {
            let view = context.view(args.output == Output::Wide);
            render::upcalls_into(&mut context.out, &list, view)?;
        }
    }
    Ok(OK)
}

fn of_network(port: &str, args: &Args) -> bool {
    let network = port.split_once('/').map(|(network, _)| network);
    args.vm_network.is_none() || args.vm_network.as_deref() == network
}

/// The form for programs; `None` is a table.
fn form(output: Output, what: &str) -> Result<Option<Format>, Failure> {
    match output {
        Output::Json => Ok(Some(Format::Json)),
        Output::Yaml => Ok(Some(Format::Yaml)),
        Output::Table | Output::Wide => Ok(None),
        Output::Name => Err(Failure::usage(
            format!("{what} have no names"),
            "use `-o table`, `wide`, `json` or `yaml`",
        )),
    }
}
