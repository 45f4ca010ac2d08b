#!/bin/sh
# Tell the facts of this host, one a line: NAME VALUE. Changes nothing.
# $1: data directory of k0s   $2: "certificates" to send those too
set -u
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
data=$1
marker=/etc/k0s/infometis.json
binary=/usr/local/bin/k0s

say() { printf '%s %s\n' "$1" "$2"; }
blob() { printf '%s %s\n' "$1" "$(base64 <"$2" | tr -d '\n')"; }
have() { command -v "$1" >/dev/null 2>&1; }
first() { head -n 1 "$1" 2>/dev/null; }

say clock "$(date +%s)"
say hostname "$(uname -n)"
say arch "$(uname -m)"
say kernel "$(uname -r)"
say machine "$(first /etc/machine-id)"
say boot "$(first /proc/sys/kernel/random/boot_id)"
# shellcheck source=/dev/null
say os "$(. /etc/os-release 2>/dev/null && printf '%s' "${PRETTY_NAME:-}")"
[ "$(uname -s)" = Linux ] || say system "$(uname -s)"

# --- what a node needs
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then say cgroup 2; else say cgroup 1; fi
while read -r key value _; do
  case $key in MemTotal:) say memory "$value" ;; esac
done </proc/meminfo
say swaps "$(($(wc -l </proc/swaps 2>/dev/null || echo 1) - 1))"
say instances "$(first /proc/sys/fs/inotify/max_user_instances)"
for each in kernel.panic kernel.panic_on_oops vm.overcommit_memory vm.panic_on_oom; do
  say sysctl "$each $(first "/proc/sys/$(echo "$each" | tr . /)")"
done
folder=$data
while [ ! -d "$folder" ]; do folder=${folder%/*}; [ -n "$folder" ] || folder=/; done
df -Pk "$folder" | {
  read -r _
  read -r _ size _ free _
  say disk "$size $free"
}
grep -Eq '^[^#]*[[:space:]]localhost([[:space:]]|$)' /etc/hosts 2>/dev/null && say localhost yes
have flock && say flock yes
if [ -d /sys/module/wireguard ] || modprobe -qn wireguard 2>/dev/null; then say wireguard yes; fi
address=$(ip -4 route get 198.51.100.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' | head -n 1)
all=$(ip -4 -o addr show scope global 2>/dev/null | sed 's/.* inet \([0-9.]*\).*/\1/')
for each in ${address:-} $all; do
  say address "$each"
done
if [ -d /run/systemd/system ]; then
  say init systemd
elif have rc-service && [ -d /run/openrc ]; then
  say init openrc
elif [ -d /etc/init.d ] && have service; then
  say init sysv
fi
have ss && ss -Hlntp 2>/dev/null | while read -r _ _ _ local _ who; do
  say listens "${local##*:} ${local%:*} ${who:-}"
done

# --- what of Kubernetes is here
status=down
if [ -e "$binary" ]; then
  stamp=$(stat -c %s:%Y:%i "$binary")
  say stamp "$stamp"
  if ! grep -qs "\"$stamp\"" "$marker"; then
    say sha256 "$(sha256sum "$binary" | cut -d ' ' -f 1)"
    say version "$(timeout 20 "$binary" version 2>/dev/null | head -n 1)"
  fi
fi
for each in k0scontroller k0sworker; do
  if [ -e "/etc/systemd/system/$each.service" ] || [ -e "/etc/init.d/$each" ]; then
    say unit "$each"
  fi
done
if [ -S /run/k0s/status.sock ]; then
  # It may wait for minutes while k0s starts; a short look is enough to know that it lives.
  if text=$(timeout 4 "$binary" status -o json 2>/dev/null); then
    say status "$(printf '%s' "$text" | base64 | tr -d '\n')"
    status=up
  elif [ $? -eq 124 ]; then
    say starting yes
    status=up
  fi
fi
for process in /proc/[0-9]*; do
  # Without a single fork: a busy host has hundreds of processes. `read` drops the zero bytes
  # between the words, and says no since there is no end of line; what it read is there.
  name=
  words=
  { read -r name <"$process/comm"; } 2>/dev/null
  { IFS= read -r words <"$process/cmdline"; } 2>/dev/null
  case $words in
    "$data"/bin/*) say component "${process##*/} $name" ;;
    "$binary"controller* | "$binary"worker*)
      [ "$status" = up ] || say process "${process##*/} k0s"
      ;;
    *)
      case $name in
        kubelet | k3s* | rke2* | kubelite) say foreign "process $name (${process##*/})" ;;
      esac
      ;;
  esac
done
for each in /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /etc/rancher /var/snap/microk8s; do
  [ -e "$each" ] && say foreign "$each"
done
for each in "$data" /etc/k0s /etc/cni /opt/cni /run/k0s /var/lib/cni /var/lib/calico \
  /var/log/pods /var/log/containers /var/log/calico /usr/libexec/k0s /var/log/k0s; do
  [ -e "$each" ] && say present "$each"
done
for each in /sys/class/net/*; do
  say link "${each##*/}"
done
for each in pki/ca.crt etcd/member kubelet.conf db; do
  [ -e "$data/$each" ] && say data "$each"
done
[ -f "$marker" ] && blob marker "$marker"
[ -f /etc/k0s/k0s.yaml ] && say config "$(sha256sum /etc/k0s/k0s.yaml | cut -d ' ' -f 1)"
if [ "${2:-}" = certificates ]; then
  for each in "$data"/pki/*.crt "$data"/pki/etcd/*.crt; do
    [ -f "$each" ] && blob "certificate:${each#"$data"/pki/}" "$each"
  done
fi
say end yes
