# The first process: makes the machine's root file system the guest's, with everything that is
# written kept in memory. Runs in busybox, with nothing but the archive's files.
B=/bin/busybox
fail() { $B echo "guest: $*" >/dev/console; $B poweroff -f; }

$B mkdir -p /proc /dev /lower /rw /root
$B mount -t proc proc /proc
for module in /modules/*; do
    $B insmod "$module" || fail "cannot load $module"
done

# Each layer is a file system of its own: overlayfs takes no folder together with one above it.
files() {                           # TAG OPTIONS FOLDER
    $B mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$2" "$1" "$3" ||
        fail "cannot mount $1 at $3"
}
lower=
layer() {                           # TAG
    $B mkdir -p "/lower/$1"
    files "$1" cache=loose,ro "/lower/$1"
    lower="$lower/lower/$1:"
}
share() { :; }
. /guest/settings
layer machine

$B mount -t tmpfs rw /rw
$B mkdir /rw/upper /rw/work
$B mount -t overlay -o "lowerdir=${lower%:},upperdir=/rw/upper,workdir=/rw/work" root /root ||
    fail "cannot lay a writable file system over the machine's"

share() {                           # TAG FOLDER
    files "$1" cache=mmap,rw "/root$2"
}
layer() { :; }
. /guest/settings

$B mount -t tmpfs run /root/run
$B cp -r /guest /root/run/guest
$B cp $B /root/run/guest/busybox
$B mount -t devtmpfs dev /root/dev
# Moved and not left out: the shell starts its own programs by /proc/self/exe, and the machine's
# /proc, which is among the shared files, has QEMU there.
$B mount --move /proc /root/proc
exec $B switch_root /root /run/guest/busybox sh /run/guest/late
