//! The control CLI; see `docs/nvectl.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    dataplane_user::cli::main()
}
