//! Why a record is not in the table.

use aya::maps::MapError;

use super::writer::{Full, Misfit};

/// Why a record is not in the table.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There are as many records as there may be.
    #[error("the table has its {0} records")]
    Full(u64),
    /// Neither of the key's buckets has a place, and another seed has just been tried.
    #[error("{0}, which is tried again with another hash every 10 s")]
    Crowded(#[from] Full),
    /// The kernel gave no larger table, and is not asked again yet.
    #[error("the table cannot grow beyond its {records} records: {reason}")]
    Starved {
        /// Records in the table.
        records: u64,
        /// What the kernel said.
        reason: String,
    },
    /// Readers are in a table that is not this one's.
    #[error(
        "another process has put a table of its own in place; two nved cannot have the same pins"
    )]
    Foreign,
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] MapError),
}

/// A map that could not be looked after.
#[derive(Debug, thiserror::Error)]
#[error("map {map}: {refused}")]
pub struct Untended {
    /// The map.
    pub map: &'static str,
    /// Why.
    pub refused: Refused,
}

impl Untended {
    /// What looking after some maps came to: the first of their faults, but before all others that a
    /// table is somebody else's, for it ends who looks after them.
    pub fn first(done: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let faults = done.into_iter().filter_map(Result::err);
        let first = faults.min_by_key(|fault| !matches!(fault.refused, Refused::Foreign));
        first.map_or(Ok(()), Err)
    }
}

/// A table of no size that a home's memory has.
impl From<Misfit> for Refused {
    fn from(misfit: Misfit) -> Self {
        Self::Kernel(MapError::IoError(std::io::Error::other(misfit)))
    }
}

/// An error with what is behind it.
pub(in crate::dataplane) fn told(error: &MapError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_somebody_else_is_told_before_another_fault() {
        let of = |map, refused| Err(Untended { map, refused });
        let first = |done: [Result<(), Untended>; 3]| Untended::first(done).map_err(|it| it.map);
        assert_eq!(first([Ok(()), Ok(()), Ok(())]), Ok(()));
        let full = || Refused::Full(1);
        let two = [Ok(()), of("LOOKUP6", full()), of("MACS", full())];
        assert_eq!(first(two), Err("LOOKUP6"));
        let foreign = [of("LOOKUP", full()), Ok(()), of("MACS", Refused::Foreign)];
        assert_eq!(first(foreign), Err("MACS"));
    }
}
