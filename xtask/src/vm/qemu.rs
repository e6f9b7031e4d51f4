//! QEMU's command line.

use super::accel::Accel;
use super::clock;
use super::initramfs::{layer_tag, layers, share_tag};
use super::kernel::Kernel;
use super::tools::Tools;
use super::{Guest, files::Files};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// No address randomisation and no mitigations: they cost time in emulation. The emulated clock is
/// good enough (its check fails where the machine is busy), and a busy machine is no hang.
const KERNEL_LINE: &str = "console=ttyS0 loglevel=5 panic=-1 nokaslr mitigations=off tsc=reliable \
    no_timer_check nowatchdog oops=panic rcupdate.rcu_cpu_stall_timeout=120 net.ifnames=0";

/// The command that boots a guest.
pub(super) fn command(
    guest: &Guest,
    kernel: &Kernel,
    tools: &Tools,
    (accel, files): (Accel, &Files),
) -> Result<Command> {
    let mut qemu = machine(kernel, tools, (accel, files))?;
    qemu.args(["-m", &guest.memory.to_string()]);
    qemu.args(["-smp", &guest.cpus.to_string()]);
    share(&mut qemu, "machine", Path::new("/"), ",readonly=on");
    for (number, folder) in layers(kernel, tools).enumerate() {
        share(&mut qemu, &layer_tag(number), folder, ",readonly=on");
    }
    for (number, folder) in guest.writable.iter().enumerate() {
        share(&mut qemu, &share_tag(number), folder, "");
    }
    qemu.args(["-device", "virtio-serial-pci"]);
    for file in [&files.out, &files.err, &files.result] {
        qemu.arg("-chardev").arg(into_file(file.name, &file.path));
        let port = format!("virtserialport,chardev={0},name={0}", file.name);
        qemu.arg("-device").arg(port);
    }
    Ok(guest.nics.wrap(qemu, guest.cpus))
}

/// A machine that boots, with no devices but a console.
pub(super) fn machine(
    kernel: &Kernel,
    tools: &Tools,
    (accel, files): (Accel, &Files),
) -> Result<Command> {
    let mut qemu = tools.qemu();
    qemu.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
    qemu.args(["-display", "none"]).args(accel.args());
    for folder in tools.firmware()? {
        qemu.arg("-L").arg(folder);
    }
    qemu.arg("-kernel").arg(kernel.image());
    qemu.arg("-initrd").arg(files.initramfs());
    qemu.args(["-append", &kernel_line(accel)]);
    qemu.arg("-chardev")
        .arg(into_file("console", &files.console.path));
    qemu.args(["-serial", "chardev:console"]);
    Ok(qemu)
}

/// A guest that measures an emulated counter on a busy machine gets it wrong: its clocks then run too
/// fast, and deadlines are over too early. So it is told.
fn kernel_line(accel: Accel) -> String {
    let told = (accel == Accel::Tcg).then(clock::tsc_khz).flatten();
    let told = told.map(|khz| format!(" tsc_early_khz={khz}"));
    KERNEL_LINE.to_owned() + &told.unwrap_or_default()
}

fn share(qemu: &mut Command, tag: &str, folder: &Path, more: &str) {
    let folder = option(folder);
    qemu.arg("-virtfs").arg(format!(
        "local,path={folder},mount_tag={tag},id={tag},security_model=none,multidevs=remap{more}"
    ));
}

fn into_file(id: &str, file: &Path) -> String {
    format!("file,id={id},path={}", option(file))
}

/// A path as a value in a list of options.
fn option(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
