//! Copies of the programs that were loaded, because the next build overwrites them. A dataplane
//! can be taken out only by a build that knows its maps.

use super::{Record, State};
use anyhow::{Context, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Folder of the copies: one folder for each, with a number as its name.
const COPIES: &str = "bin";

impl State {
    /// Copies an `nved` and the `nvectl` beside it; the copy of `nved`.
    pub(super) fn copy(&self, nved: &Path) -> Result<PathBuf> {
        let last = self.copies()?.filter_map(|copy| number(&copy)).max();
        let folder = self.file(COPIES).join((last.unwrap_or(0) + 1).to_string());
        let to = |name: &str| folder.join(name);
        let copied = fs::create_dir_all(&folder)
            .and_then(|()| fs::copy(nved.with_file_name("nvectl"), to("nvectl")))
            .and_then(|_| fs::copy(nved, to("nved")));
        copied.with_context(|| {
            let (from, to) = (nved.display(), folder.display());
            format!("cannot copy {from} and its nvectl to {to}")
        })?;
        Ok(to("nved"))
    }

    /// Removes all copies but the one that this record is of.
    pub(super) fn remove_copies(&self, but: Option<&Record>) -> Result<()> {
        let keep = but.and_then(|record| record.nved.parent());
        for copy in self.copies()?.filter(|copy| Some(copy.as_path()) != keep) {
            let removed = fs::remove_dir_all(&copy);
            removed.with_context(|| format!("cannot remove {}", copy.display()))?;
        }
        if keep.is_none() {
            // Fails where there is no folder either.
            fs::remove_dir(self.file(COPIES)).ok();
        }
        Ok(())
    }

    fn copies(&self) -> Result<impl Iterator<Item = PathBuf>> {
        let folder = self.file(COPIES);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| folder.display().to_string()),
        };
        let entries = entries.into_iter().flatten().flatten();
        Ok(entries.map(|entry| entry.path()))
    }
}

fn number(copy: &Path) -> Option<u32> {
    copy.file_name()?.to_str()?.parse().ok()
}
