//! `nvectl diff -f FILE...`

use std::collections::HashMap;

use similar::TextDiff;

use super::{
    context::Context,
    failure::{Failure, NO, OK},
    input::{Files, Inputs},
    kind::Kind,
};
use crate::{
    policy::{Key, document::Document},
    render,
};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let mut given: Vec<(String, Document)> = Vec::new();
    Inputs::read(&args.files.file)?
        .for_each(|file, document| given.push((file.to_owned(), document.clone())))?;
    let stored = stored(context, &given).await?;
    let mut differing = 0;
    for (file, document) in &given {
        let key = Key::of(document);
        let old = stored.get(&key);
        if old == Some(document) {
            continue;
        }
        differing += 1;
        let old = old.map(render::document_yaml).transpose()?;
        let new = render::document_yaml(document)?;
        let before = match old {
            Some(_) => format!("stored {key}"),
            None => "/dev/null".to_owned(),
        };
        let old = old.unwrap_or_default();
        let diff = TextDiff::from_lines(&old, &new);
        let mut unified = diff.unified_diff();
        unified.header(&before, &format!("{file} {key}"));
        write!(context.out, "{unified}")?;
    }
    Ok(if differing == 0 { OK } else { NO })
}

/// What is stored of the kinds that the files have; derived records are not.
async fn stored(
    context: &Context<'_>,
    given: &[(String, Document)],
) -> Result<HashMap<Key, Document>, Failure> {
    let mut stored = HashMap::new();
    for kind in Kind::ALL {
        let of_kind =
            |(_, document): &(String, Document)| Key::of(document).kind() == kind.as_str();
        if !given.iter().any(of_kind) {
            continue;
        }
        let list = context.client.list(kind.as_str()).await?;
        for object in list.items {
            if object.status.derived_from.is_none() {
                stored.insert(Key::of(&object.document), object.document);
            }
        }
    }
    Ok(stored)
}
