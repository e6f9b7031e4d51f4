//! The forms of answers.

use std::io;

use clap::ValueEnum;
use serde::Serialize;

use super::context::Context;
use crate::render;

/// Form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// The usual columns.
    Table,
    /// All columns.
    Wide,
    /// JSON, versioned.
    Json,
    /// YAML; documents as `apply` takes them.
    Yaml,
    /// Names only, one a line.
    Name,
}

/// Form of an answer that is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// JSON, versioned.
    Json,
    /// YAML.
    Yaml,
}

/// Writes a value for programs.
pub(super) fn structured(
    context: &mut Context<'_>,
    format: Format,
    value: &impl Serialize,
) -> io::Result<()> {
    match format {
        Format::Yaml => render::yaml_into(&mut context.out, value),
        Format::Json | Format::Table => render::json_into(&mut context.out, value),
    }
}
