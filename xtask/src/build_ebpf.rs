//! `cargo xtask build-ebpf`: the object with the programs, as `nved` embeds it.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use xtask::shell;

/// Builds it the way the agent's build script does, and prints where it is and its size.
pub(crate) fn run() -> Result<()> {
    let messages = shell::cargo_messages(&["build", "--package", "dataplane-user"])?;
    let out = messages.iter().find_map(out_dir).context(
        "the build script of dataplane-user left no folder; was it built with AYA_BUILD_SKIP set?",
    )?;
    // TARGET/debug/build/PACKAGE-HASH/out
    let target = out
        .ancestors()
        .nth(4)
        .context("the build folder is not in a target folder")?;
    let object = target.join("nve.bpf.o");
    let built = out.join("nve");
    let bytes = std::fs::copy(&built, &object)
        .with_context(|| format!("cannot copy {} to {}", built.display(), object.display()))?;
    println!("{} {bytes} bytes", object.display());
    Ok(())
}

fn out_dir(message: &Value) -> Option<&Path> {
    let ours = message["reason"] == "build-script-executed"
        && message["package_id"].as_str()?.contains("/dataplane-user#");
    ours.then(|| message["out_dir"].as_str().map(Path::new))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn out_dir_is_the_agents() {
        let message = |package: &str| {
            json!({
                "reason": "build-script-executed",
                "package_id": format!("path+file:///src/{package}#0.1.0"),
                "out_dir": "/t/debug/build/x/out",
            })
        };
        assert_eq!(
            out_dir(&message("dataplane-user")),
            Some(Path::new("/t/debug/build/x/out"))
        );
        assert_eq!(out_dir(&message("dataplane-ebpf")), None);
        assert_eq!(out_dir(&json!({"reason": "build-finished"})), None);
    }
}
