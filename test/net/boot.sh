# Boots systemd as process 1 of namespaces of its own, on a root directory that is made here: the machine's /usr
# read-only, everything else new. Units of the machine are not among it, and nothing that sets the kernel is started.
#   sh boot.sh ROOT CHECKOUT BUILD NODE
set -eu
root=$1 checkout=$2 build=$3 node=$4

if [ "${5:-}" != inside ]; then
  # A control group of its own, which the new namespace takes for the whole tree. `ip netns exec` hides the machine's.
  mkdir -p "$root.cgroups" "$root.disk"
  mount -t cgroup2 cgroup2 "$root.cgroups"
  mkdir "$root.cgroups/tandem-test-$$"
  echo $$ >"$root.cgroups/tandem-test-$$/cgroup.procs"
  exec unshare --mount --pid --fork --cgroup --uts --ipc --kill-child sh "$0" "$@" inside
fi

mkdir -p "$root"
mount -t tmpfs -o mode=0755 tandem-test "$root"
cd "$root"
mkdir -p usr proc sys dev etc/systemd/system opt/tandem root run tmp var/lib var/log var/tmp
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then cp -P "/$name" .; fi
done
mount --bind -o ro /usr usr
mount -t tmpfs -o mode=0755 tandem-test usr/local
mkdir usr/local/bin
touch usr/local/bin/node
mount --bind "$node" usr/local/bin/node
printf '#!/bin/sh\nexec node /opt/tandem/build/src/main.js "$@"\n' >usr/local/bin/tandem
chmod +x usr/local/bin/tandem
mount --bind -o ro "$checkout" opt/tandem
mount --bind -o ro "$build" opt/tandem/build
mount -t tmpfs -o mode=0755 tandem-test run
mount --bind "$root.disk" var/lib

cp /etc/ld.so.cache /etc/nsswitch.conf etc/
echo 'root:x:0:0::/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
touch etc/shadow etc/gshadow etc/fstab
echo 0123456789abcdef0123456789abcdef >etc/machine-id
# In the place of Debian's: theirs would also load modules and set kernel variables.
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.socket\n' >etc/systemd/system/sysinit.target
printf '[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n' >etc/systemd/system/test.target

mount -t tmpfs -o mode=0755 tandem-test dev
for name in null zero full random urandom; do
  touch "dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tandem-test dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
exec chroot "$root" /usr/bin/env -i container=tandem-test PATH=/usr/local/bin:/usr/sbin:/usr/bin \
  /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no
