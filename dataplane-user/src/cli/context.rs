//! What every verb needs.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use crate::{control::client::Client, render::View};

/// The agent, and where to write.
pub(super) struct Context<'a> {
    /// The agent.
    pub(super) client: Client,
    /// Data.
    pub(super) out: &'a mut dyn Write,
    /// Talk.
    err: &'a mut dyn Write,
    /// Columns of the terminal; `None` when stdout is none.
    width: Option<u16>,
}

impl<'a> Context<'a> {
    pub(super) fn new(client: Client, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let width = || comfy_table::Table::new().width();
        let terminal = io::stdout().is_terminal();
        Self {
            client,
            out,
            err,
            width: terminal.then(width).flatten(),
        }
    }

    /// How tables are shown: to the terminal's width, or as wide as they are.
    pub(super) fn view(&self, wide: bool) -> View {
        let width = self.width;
        View { wide, width }
    }

    /// Says something that is no data.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.err, "{text}").map_err(Failure::Output)
    }
}
