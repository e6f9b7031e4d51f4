# The first process, on the final root file system: mounts what a system has, runs the command,
# and tells its exit status when all that it said is on its way.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb

mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm /run/lock /run/netns
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
hostname guest
ulimit -l unlimited
ulimit -n 65536
/run/guest/busybox ip link set lo up

layer() { :; }
share() { :; }
. /run/guest/settings
for module in $MODULES; do          # nothing here loads modules by their devices
    /usr/sbin/modprobe "$module" || echo "guest: cannot load $module"
done

port() {                            # NAME
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" != "$1" ] || echo "/dev/${port##*/}"
    done
}
exec 3>"$(port out)" 4>"$(port err)" 5>"$(port result)"

# Pipes and not the ports themselves: a command may open its standard output again.
mkfifo /run/guest/out /run/guest/err
{ cat /run/guest/out >&3; : >/run/guest/out-done; } &
{ cat /run/guest/err >&4; : >/run/guest/err-done; } &
/run/guest/busybox sh /run/guest/command \
    </dev/null >/run/guest/out 2>/run/guest/err 3>&- 4>&- 5>&-
status=$?

# What the command left running may hold its output open for ever.
patience=100
while [ $patience -gt 0 ] && ! [ -e /run/guest/out-done -a -e /run/guest/err-done ]; do
    usleep 20000
    patience=$((patience - 1))
done
sync
echo "$status" >&5
poweroff -f
