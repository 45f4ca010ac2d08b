#!/bin/sh
# Remove k0s from this host, and every trace of it that was not there before.
# $1: data directory   $2: service   $3: yes where the binary is ours
# $4...: what was there before us, as paths and link:NAME
set -u
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
data=$1
unit=$2
ours=$3
shift 3
binary=/usr/local/bin/k0s

before() {
  wanted=$1
  shift
  for each; do [ "$each" = "$wanted" ] && return 0; done
  return 1
}

if [ -d /run/systemd/system ]; then
  systemctl stop "$unit" >/dev/null 2>&1
elif command -v rc-service >/dev/null 2>&1 && [ -d /run/openrc ]; then
  rc-service "$unit" stop >/dev/null 2>&1
elif [ -x "/etc/init.d/$unit" ]; then
  "/etc/init.d/$unit" stop >/dev/null 2>&1
fi

# What is left of it: k0s itself, and the parts that a killed k0s leaves behind.
leftovers() {
  for process in /proc/[0-9]*; do
    words=$(tr '\000' ' ' 2>/dev/null <"$process/cmdline")
    case $words in
      "$data"/bin/* | "$binary controller"* | "$binary worker"*) echo "${process##*/}" ;;
    esac
  done
}
for signal in TERM KILL; do
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    pids=$(leftovers)
    [ -n "$pids" ] || break 2
    # shellcheck disable=SC2086 # one word a process
    kill -s "$signal" $pids 2>/dev/null
    sleep 1
  done
done
pids=$(leftovers)
if [ -n "$pids" ]; then
  echo "processes of k0s do not end: $pids" >&2
  exit 1
fi

if [ -x "$binary" ]; then
  timeout 300 "$binary" reset --data-dir="$data" >/dev/null 2>&1 ||
    echo "k0s reset failed; its files are removed all the same" >&2
fi

# Deepest first, or a mount above hides the one below.
awk -v data="$data/" 'index($2, data) == 1 { print $2 }' /proc/mounts | sort -r |
  while read -r mount; do umount "$mount" || umount -l "$mount"; done
if [ -d "$data" ]; then
  find "$data" -xdev -mindepth 1 -delete
  before "$data" "$@" || rmdir "$data"
fi
for file in "/etc/systemd/system/$unit.service" "/etc/init.d/$unit" "/var/log/$unit.log" \
  "/var/log/$unit.err" "/var/run/$unit.pid"; do
  rm -f -- "$file"
done
rm -f /etc/rc[0-6].d/[SK][0-9][0-9]"$unit"
rm -rf -- "/etc/systemd/system/$unit.service.d"
[ -d /run/systemd/system ] && systemctl daemon-reload
rm -f -- /etc/k0s/k0s.yaml /etc/k0s/infometis-*
for folder in /run/k0s /var/lib/cni /var/lib/calico /var/log/pods /var/log/containers \
  /var/log/calico /usr/libexec/k0s /var/log/k0s /opt/cni /etc/cni; do
  before "$folder" "$@" || rm -rf --one-file-system -- "$folder"
done
for link in cni0 kube-bridge kube-dummy-if dummyvip0 nodelocaldns vxlan.calico wireguard.cali; do
  if [ -e "/sys/class/net/$link" ] && ! before "link:$link" "$@"; then
    ip link delete "$link" 2>/dev/null
  fi
done
[ "$ours" = yes ] && rm -f -- "$binary"
if [ -e "$data" ] && ! before "$data" "$@"; then
  echo "$data cannot be removed" >&2
  exit 1
fi
# Our mark goes last: as long as it is there, a second run knows that the rest is ours.
rm -f -- /etc/k0s/infometis.json
if ! before /etc/k0s "$@"; then rmdir /etc/k0s 2>/dev/null; fi
exit 0
