//! The CPUs of a measurement.

use anyhow::{Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Those that this process may use.
pub(crate) fn allowed() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Some(rustix::process::getpid()))?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect())
}

/// Keeps the calling thread to one of them.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// The first ones, one for each thread; fails unless there are so many.
pub(super) fn first(threads: u32) -> Result<Vec<usize>> {
    let threads = usize::try_from(threads)?;
    let mut cpus = allowed()?;
    ensure!(
        threads <= cpus.len(),
        "{threads} generator threads need a CPU each, and this process may use {}; ask for fewer queues",
        cpus.len()
    );
    cpus.truncate(threads);
    Ok(cpus)
}

/// One on which none of so many threads generates, if there is one.
pub(crate) fn beside(threads: u32) -> Result<Option<usize>> {
    Ok(allowed()?.into_iter().nth(usize::try_from(threads)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_generators_has_none_of_their_cpus() {
        let all = allowed().expect("CPUs");
        assert_eq!(beside(0).expect("CPUs"), Some(all[0]));
        let threads = u32::try_from(all.len()).expect("few");
        assert_eq!(beside(threads).expect("CPUs"), None);
    }

    #[test]
    fn each_thread_has_a_cpu_or_is_told_that_there_is_none() {
        let all = allowed().expect("CPUs");
        assert_eq!(first(1).expect("a CPU"), all[..1]);
        let refused = first(1 << 20).expect_err("too many").to_string();
        assert!(refused.contains("ask for fewer queues"), "{refused}");
    }
}
