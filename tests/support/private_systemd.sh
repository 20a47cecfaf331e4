#!/bin/sh
# Boots a systemd in namespaces of its own and runs a command in it: private_systemd.sh PROJECT OUT COMMAND
#
# It sees this machine's files through an overlay that is thrown away, has its own processes and a network with nothing
# but loopback, and ends with the command. PROJECT is copied to /opt/verifier, OUT is shared: `booted` appears in it once
# systemd runs, `said` has what the command wrote. For root only.
set -eu

project=$1 out=$2 command=$3
cgroup=verifier-test-$$

if [ "${4:-}" != inside ]; then
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        mkdir "$hierarchy/$cgroup"
        echo $$ >"$hierarchy/$cgroup/cgroup.procs"
    done
    # A systemd that does not end is killed; so is all in it.
    timeout --kill-after=5 90 unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child \
        sh "$0" "$project" "$out" "$command" inside || :
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -e "$hierarchy/$cgroup" ] || continue
        echo $$ >"$hierarchy/cgroup.procs"
        # What was killed takes a moment to be gone.
        for _ in 1 2 3 4 5; do
            find "$hierarchy/$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || :
            [ -e "$hierarchy/$cgroup" ] || break
            sleep 1
        done
    done
    exit 0
fi

mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs sysfs sys
if [ -e /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p opt/verifier opt/out
cp -a "$project/." opt/verifier/
mount --bind "$out" opt/out
ip link set lo up

# Nothing of this machine's own services starts.
find etc/systemd/system -name '*.wants' -prune -exec rm -r {} +
ln -sf /lib/systemd/system/basic.target etc/systemd/system/default.target
mkdir etc/systemd/system/basic.target.wants
ln -s ../run.service etc/systemd/system/basic.target.wants/run.service
cat >etc/systemd/system/run.service <<UNIT
[Unit]
After=sysinit.target
DefaultDependencies=no
[Service]
Type=oneshot
WorkingDirectory=/opt/verifier
StandardOutput=file:/opt/out/said
StandardError=file:/opt/out/said
ExecStartPre=/bin/touch /opt/out/booted
ExecStart=/bin/sh -c '$command'
ExecStopPost=/bin/systemctl exit 0
UNIT

mkdir old
pivot_root . old
cd /
umount -l /old
# systemd hands credentials over by mounts that have to be seen by all.
mount --make-rshared /
exec env -i container=other PATH="/usr/sbin:/usr/bin:/sbin:/bin" /lib/systemd/systemd --system --log-target=console
