//! A test that cannot run here says so, and the runner counts it.

use std::io::Write;

/// The environment variable with the file that collects the reasons.
pub const SKIP_LOG: &str = "NVE_SKIP_LOG";

/// Says that the calling test is skipped, and why. The test returns right after.
///
/// ```no_run
/// if !std::path::Path::new("/dev/net/tun").exists() {
///     return xtask::lab::skip("no /dev/net/tun");
/// }
/// ```
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    let line = format!("skipped: {test}: {why}\n");
    eprint!("{line}");
    let Some(path) = std::env::var_os(SKIP_LOG) else {
        return;
    };
    // One write of a short line to a file in append mode does not mix with another's.
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let logged = log.and_then(|mut file| file.write_all(line.as_bytes()));
    logged.expect("the skip log is writable");
}
