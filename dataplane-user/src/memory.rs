//! Memory that is free.

/// What is as large as this goes back to the system as soon as it is free, bytes.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 20;

/// Has the allocator give back what is large as soon as it is free; to be called first of all.
///
/// Left alone it learns from the first very large list that is freed to keep up to 64 MiB at the end of
/// each thread's memory, which [`give_back`] does not reach: 8 MB and more after a change of a million
/// records.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: the function takes plain numbers, and the allocator's own locks; it refuses what it
        // does not know.
        unsafe {
            libc::mallopt(parameter, LARGE);
        }
    }
}

/// Gives memory that was freed back to the system: a change of very many records leaves much of it.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function has no preconditions: it takes the allocator's own locks, and touches only
    // what is not allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}
