#!/bin/sh
# Becomes systemd as process 1 of the caller's new namespaces, with the machine's files below an
# overlay, a control group of its own as the root of cgroup2, and no unit but those in UNITS.
#   boot-systemd.sh WORK UNITS PROGRAMS      WORK: an empty folder; PROGRAMS: for /usr/sbin
set -eu
work=$1 units=$2 programs=$3 root=$1/root
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
cp "$programs/nved" "$programs/nvectl" "$root/usr/sbin/"

mount -t proc proc "$root/proc"
# Of the kernel's settings those of the network alone, which are the namespace's own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount --rbind /sys "$root/sys"
# No more devices than these: what systemd makes and links in /dev must not be the machine's.
mount -t tmpfs tmpfs "$root/dev"
mkdir "$root/dev/net"
for device in null zero full random urandom tty net/tun; do
    [ -e "/dev/$device" ] || continue
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
umount -R "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/netns"
mount --rbind /run/netns "$root/run/netns"

mount -t tmpfs tmpfs "$root/etc/systemd/system"
mkdir "$root/etc/nved"
cp -r "$units/." "$root/etc/systemd/system/"
mv "$root/etc/systemd/system/nved.toml" "$root/etc/nved/"
# Nothing of what a machine does at boot: no udev, no mounts, no log-in.
for name in sysinit basic shutdown alone; do
    printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $name \
        > "$root/etc/systemd/system/$name.target"
done

cd "$root"
mkdir old
pivot_root . old
umount -l /old
# As systemd finds it on a machine: what is mounted later reaches the services.
mount --make-rshared /
export container=nve-test
exec /lib/systemd/systemd --system --unit=alone.target --log-target=console --show-status=no
