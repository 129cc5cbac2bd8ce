# Makes the root directory of one host of the namespace lab and becomes the program that runs there. Called in a mount
# namespace of its own, so that nothing here is seen outside. The machine's /usr is there, read-only; all else is new.
#   sh container.sh ROOT CHECKOUT BUILD NODE UID READ-ONLY CAPABILITIES WORKDIR MOUNTS... -- COMMAND...
# A mount: bind:SOURCE:TARGET, read:SOURCE:TARGET or tmpfs:OPTIONS:TARGET.
set -eu
root=$1 checkout=$2 build=$3 node=$4 uid=$5 read_only=$6 capabilities=$7 workdir=$8
shift 8

mkdir -p "$root"
mount -t tmpfs -o mode=0755 tandem-lab "$root"
cd "$root"
mkdir -p usr proc sys dev etc opt/tandem run tmp var/lib
chmod 1777 tmp
for name in bin sbin lib lib32 lib64 libx32; do
  [ -L "/$name" ] && cp -P "/$name" .
  if [ -d "/$name" ] && [ ! -L "/$name" ]; then mkdir "$name" && mount --rbind "/$name" "$name"; fi
done
mount --bind -o ro /usr usr
for name in proc sys dev; do mount --rbind "/$name" "$name"; done
mount -t tmpfs -o mode=1777 tandem-lab dev/shm
for name in ld.so.cache ld.so.conf nsswitch.conf protocols services; do
  if [ -e "/etc/$name" ]; then cp "/etc/$name" etc/; fi
done
printf 'root:x:0:0::/:/bin/sh\ntandem:x:%s:%s::/var/lib/tandem:/bin/sh\n' "$uid" "$uid" >etc/passwd
printf 'root:x:0:\ntandem:x:%s:\n' "$uid" >etc/group

mount -t tmpfs -o mode=0755 tandem-lab usr/local
mkdir usr/local/bin
touch usr/local/bin/node
mount --bind "$node" usr/local/bin/node
printf '#!/bin/sh\nexec node /opt/tandem/build/src/main.js "$@"\n' >usr/local/bin/tandem
chmod +x usr/local/bin/tandem
mount --bind -o ro "$checkout" opt/tandem
mount --bind -o ro "$build" opt/tandem/build

while [ "$1" != -- ]; do
  kind=${1%%:*} rest=${1#*:}
  source=${rest%:*} target=.${rest##*:}
  case "$kind" in
    tmpfs) mkdir -p "$target" && mount -t tmpfs -o "$source" tandem-lab "$target" ;;
    *)
      if [ -d "$source" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}" && touch "$target"; fi
      mount --bind "$source" "$target"
      if [ "$kind" = read ]; then mount -o remount,bind,ro "$target"; fi
      ;;
  esac
  shift
done
shift
if [ "$read_only" = yes ]; then mount -o remount,ro "$root"; fi

bounds=-all
for name in $capabilities; do bounds=$bounds,+$name; done
exec chroot "$root" /usr/bin/env -i --chdir="$workdir" PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/bin/setpriv --reuid "$uid" --regid "$uid" --clear-groups --bounding-set "$bounds" --inh-caps -all -- "$@"
