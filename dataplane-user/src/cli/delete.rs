//! `nvectl delete KIND NAME`, `nvectl delete -f FILE...`

use std::{cmp::Reverse, path::PathBuf};

use super::{
    context::Context,
    failure::{Failure, OK},
    input::Inputs,
    kind::Kind,
    name,
};
use crate::{policy::Key, render};

/// Arguments of `delete`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of object: singular, plural or short.
    #[arg(value_parser = Kind::parse, requires = "name", required_unless_present = "file")]
    kind: Option<Kind>,
    /// The object: a port or route as VMNETWORK/NAME, a lookup record as VSID/CA or VSID/MAC.
    name: Option<String>,
    /// VM network of a port or route.
    #[arg(short = 'n', long)]
    vm_network: Option<String>,
    /// Delete the objects that these files describe; `-` reads standard input.
    #[arg(short, long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["kind", "vm_network"])]
    file: Vec<PathBuf>,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let (Some(kind), Some(name)) = (args.kind, &args.name) else {
        return files(context, &args.file).await;
    };
    let key = name::resolve(context, kind, name, args.vm_network.as_deref()).await?;
    one(context, &key).await?;
    Ok(OK)
}

/// Deletes what files describe: first what refers to others. What is not there
/// is no failure.
async fn files(context: &mut Context<'_>, files: &[PathBuf]) -> Result<u8, Failure> {
    let mut keys = Vec::new();
    Inputs::read(files)?.for_each(|_, document| keys.push(Key::of(document)))?;
    let rank = |key: &Key| {
        Kind::ALL
            .iter()
            .position(|kind| kind.as_str() == key.kind())
    };
    keys.sort_by_key(|key| Reverse(rank(key)));
    let mut done = 0;
    for key in &keys {
        match one(context, key).await {
            Ok(()) => done += 1,
            Err(Failure::NotFound(message, _)) => context.say(&message)?,
            Err(failure) if done == 0 => return Err(failure),
            Err(failure) => return Err(Failure::Partly(done, Box::new(failure))),
        }
    }
    Ok(OK)
}

async fn one(context: &mut Context<'_>, key: &Key) -> Result<(), Failure> {
    let report = name::delete(context, key).await?;
    for change in &report.changes {
        render::change_into(&mut context.out, &change.object, change.action, false)?;
    }
    Ok(())
}
