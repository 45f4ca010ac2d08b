#!/bin/sh
# Tell the facts of this host, one a line: NAME VALUE. Changes nothing.
# $1: data directory of k0s   $2: what costs more, if wanted: certificates,wireguard
set -u
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
data=$1
extras=${2:-}
marker=/etc/k0s/infometis.json
binary=/usr/local/bin/k0s

say() { printf '%s %s\n' "$1" "$2"; }
have() { command -v "$1" >/dev/null 2>&1; }
# Programs are what takes time here, so that files of one line are read without any.
line() { value= && [ -r "$2" ] && { read -r value <"$2"; } 2>/dev/null; say "$1" "$value"; }
blob() {
  printf '%s ' "$1"
  base64 -w 0 <"$2"
  echo
}
wants() { case ,$extras, in *",$1,"*) return 0 ;; *) return 1 ;; esac; }

say clock "$(date +%s)"
# shellcheck disable=SC2046 # four words, always in this order
set -- $(uname -snrm)
say system "$1"
say hostname "$2"
say kernel "$3"
say arch "$4"
line machine /etc/machine-id
while IFS='=' read -r key value; do
  case $key in PRETTY_NAME) say os "$value" ;; esac
done 2>/dev/null </etc/os-release

# --- what a node needs
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then say cgroup 2; else say cgroup 1; fi
while read -r key value _; do
  case $key in MemTotal:) say memory "$value" && break ;; esac
done </proc/meminfo
while read -r key _; do
  case $key in /*) say swap "$key" ;; esac
done 2>/dev/null </proc/swaps
# The kernel gives these in one piece only, which `read` does not ask for.
cd /proc/sys && grep -H . kernel/random/boot_id fs/inotify/max_user_instances kernel/panic \
  kernel/panic_on_oops vm/max_map_count vm/overcommit_memory vm/panic_on_oom 2>/dev/null |
  while IFS=: read -r key value; do say "sysctl:$key" "$value"; done
folder=$data
while [ ! -d "$folder" ]; do folder=${folder%/*} && [ -n "$folder" ] || folder=/; done
df -Pk "$folder" | {
  read -r _
  read -r _ size _ free _
  say disk "$size $free"
}
while read -r key names; do
  case $key in
    '#'*) ;;
    *) case " $names " in *[[:space:]]localhost[[:space:]]*) say localhost yes ;; esac ;;
  esac
done 2>/dev/null </etc/hosts
have flock && say flock yes
if wants wireguard && { [ -d /sys/module/wireguard ] || modprobe -qn wireguard 2>/dev/null; }; then
  say wireguard yes
fi
ip -4 -o route get 198.51.100.1 2>/dev/null | while read -r words; do
  case $words in *' src '*) words=${words##* src } && say address "${words%% *}" ;; esac
done
ip -4 -o addr show scope global 2>/dev/null | while read -r _ _ _ address _; do
  say address "${address%%/*}"
done
if [ -d /run/systemd/system ]; then
  say init systemd
elif have rc-service && [ -d /run/openrc ]; then
  say init openrc
elif [ -d /etc/init.d ] && have service; then
  say init sysv
fi

# --- what of Kubernetes is here
status=down
known=
text=
[ -f "$marker" ] && text=$(cat "$marker")
if [ -e "$binary" ]; then
  stamp=$(stat -c %s:%Y:%i "$binary")
  say stamp "$stamp"
  case $text in
    *"\"$stamp\""*) known=yes ;;
    *)
      say sha256 "$(sha256sum "$binary")"
      say version "$(timeout 60 "$binary" version 2>/dev/null)"
      ;;
  esac
fi
for each in k0scontroller k0sworker; do
  if [ -e "/etc/systemd/system/$each.service" ] || [ -e "/etc/init.d/$each" ]; then
    say unit "$each"
  fi
done
# Who listens where matters until the host is ours.
if [ -z "$known" ] && have ss; then
  ss -Hlntp 2>/dev/null | while read -r _ _ _ local _ who; do
    say listens "${local##*:} ${local%:*} ${who:-}"
  done
fi
if [ -S /run/k0s/status.sock ]; then
  # It may wait for minutes while k0s starts; a short look is enough to know that it lives.
  if told=$(timeout 2 "$binary" status -o json 2>/dev/null); then
    say status "$(printf '%s' "$told" | base64 -w 0)"
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
[ -f /etc/k0s/k0s.yaml ] && say config "$(sha256sum /etc/k0s/k0s.yaml)"
if wants certificates; then
  for each in "$data"/pki/*.crt "$data"/pki/etcd/*.crt; do
    [ -f "$each" ] && blob "certificate:${each#"$data"/pki/}" "$each"
  done
fi
say end yes
