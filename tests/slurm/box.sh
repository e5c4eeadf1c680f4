#!/usr/bin/env bash
# A real Slurm on one Debian machine, for tests: slurmctld, slurmdbd with MariaDB (the plugin and sbatch both check the
# account), munge, and one node "box" with pretended cores, memory and GPUs. Run as root.
#
#   box.sh install   apt-get the Debian packages; starts and enables no service
#   box.sh start     a fresh cluster; ends what an earlier call may have left
#   box.sh stop      end every job and daemon, delete the cluster
#   box.sh env       what a client needs:  eval "$(tests/slurm/box.sh env)"
#
# Everything lies in one folder, SKYLOOM_SLURM_DIR; every daemon listens on loopback or on a socket in that folder.
# Partitions, features and QOS carry the names of the sites that profiles/ knows, so that their profiles can be tried.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
BOX=${SKYLOOM_SLURM_DIR:-/tmp/skyloom-slurm}
ACCOUNT=skyloom_test
PORT=${SKYLOOM_SLURM_PORT:-16800} # and the two after it
PACKAGES=(munge slurmctld slurmd slurm-client slurmdbd mariadb-server-core mariadb-client-core)
DAEMONS=(munged mariadbd slurmdbd slurmctld slurmd) # in the order of their start
CLIENTS=(sacct sacctmgr sbatch scancel scontrol sinfo squeue srun sshare)

die() { echo "box.sh: error: $*" >&2; exit 1; }

install() {
  local missing=() package
  for package in "${PACKAGES[@]}"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ ! -e /usr/sbin/policy-rc.d ]; then # tells Debian's packages to start no service
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  export DEBIAN_FRONTEND=noninteractive
  dpkg --configure -a >/dev/null # an earlier install that was cut off
  apt-get install -yqq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || { # an old or empty package list
    apt-get update -qq && apt-get install -yqq --no-install-recommends "${missing[@]}" >/dev/null
  } || die "apt-get could not install: ${missing[*]}"
  # The packages enable their services for the next boot.
  systemctl disable munge slurmctld slurmd slurmdbd >/dev/null 2>&1 || true
}

configure() {
  local host address client gpu
  host=$(hostname -s)
  address=$(getent ahostsv4 "$host" | awk 'NR == 1 {print $1}')
  # Slurm listens on every interface, or on what the host's own name resolves to. With 127.0.1.1 srun waits for ever.
  [ "$address" = 127.0.0.1 ] || die "the host name $host resolves to ${address:-nothing}, expected 127.0.0.1:" \
    "put the line '127.0.0.1 $host' first into /etc/hosts"
  mkdir -p "$BOX"/{bin,dev,log,spool,state}
  head -c 1024 /dev/urandom >"$BOX/munge.key"
  chmod 600 "$BOX/munge.key"
  # A GPU must be a character device, or CUDA_VISIBLE_DEVICES stays unset.
  for gpu in 0 1 2 3; do ln -s /dev/null "$BOX/dev/nvidia$gpu"; done
  echo "Name=gpu Type=a100 Flags=nvidia_gpu_env File=$BOX/dev/nvidia[0-3]" >"$BOX/gres.conf"
  cat >"$BOX/slurm.conf" <<CONF
ClusterName=skyloom
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$BOX/munge.socket
StateSaveLocation=$BOX/state
SlurmdSpoolDir=$BOX/spool
SlurmctldPidFile=$BOX/slurmctld.slurmpid
SlurmdPidFile=$BOX/slurmd.slurmpid
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Nothing is pinned or limited: the node pretends to more than the machine has.
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=2
EnforcePartLimits=ALL
KillWait=10
MinJobAge=300
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 1))
AccountingStoragePass=$BOX/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
NodeName=box NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 2)) CPUs=32 RealMemory=494000 Gres=gpu:a100:4 Feature=cpu,gpu
PartitionName=boost_usr_prod Nodes=box Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=lrd_all_serial Nodes=box MaxTime=04:00:00 State=UP
CONF
  (umask 077 && cat >"$BOX/slurmdbd.conf" <<CONF
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((PORT + 1))
CommunicationParameters=NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$BOX/munge.socket
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
PidFile=$BOX/slurmdbd.slurmpid
CONF
  )
  # In a job the plugin drops SLURM_CONF before it calls srun, and there is no /etc/slurm/slurm.conf to fall back on.
  for client in "${CLIENTS[@]}"; do
    printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/%s "$@"\n' "$BOX/slurm.conf" "$client" >"$BOX/bin/$client"
  done
  chmod 755 "$BOX"/bin/*
}

launch() { # NAME COMMAND...: in the background, its pid in a file
  local name=$1
  shift
  setsid "$@" </dev/null >>"$BOX/log/$name" 2>&1 &
  echo $! >"$BOX/$name.pid"
}

wait_for() { # WHAT COMMAND...
  local what=$1 end=$((SECONDS + 40))
  shift
  until timeout 5 "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { tail -n 5 "$BOX"/log/* >&2; stop; die "no answer from $what"; }
    sleep 0.1
  done
}

start() {
  command -v slurmctld >/dev/null && command -v mariadbd >/dev/null || die "packages missing: run '$0 install' first"
  stop
  trap 'stop; exit 130' INT TERM
  configure
  PATH=$BOX/bin:$PATH
  # --force: munged dislikes a folder that lies in /tmp
  launch munged munged --foreground --force --key-file="$BOX/munge.key" --socket="$BOX/munge.socket" \
    --pid-file="$BOX/munged.slurmpid" --seed-file="$BOX/munge.seed" --log-file="$BOX/log/munged.file"
  mariadb-install-db --no-defaults --user=root --datadir="$BOX/db" --auth-root-authentication-method=socket \
    --auth-root-socket-user=root --skip-test-db >"$BOX/log/mariadb-install-db" 2>&1 || die "$(cat "$BOX/log/mariadb-install-db")"
  launch mariadbd mariadbd --no-defaults --user=root --datadir="$BOX/db" --socket="$BOX/mysql.socket" --skip-networking \
    --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --skip-log-bin
  wait_for munged munge --no-input --socket="$BOX/munge.socket"
  wait_for MariaDB mariadb --no-defaults --socket="$BOX/mysql.socket" --execute="select 1"
  # slurmdbd takes the database's socket from MYSQL_UNIX_PORT
  launch slurmdbd env SLURM_CONF="$BOX/slurmdbd.conf" MYSQL_UNIX_PORT="$BOX/mysql.socket" slurmdbd -D
  wait_for slurmdbd sacctmgr --noheader show cluster
  sacctmgr --immediate --quiet add cluster skyloom >/dev/null
  sacctmgr --immediate --quiet add account $ACCOUNT cluster=skyloom >/dev/null
  sacctmgr --immediate --quiet add qos boost_qos_dbg,regular,shared,debug >/dev/null
  sacctmgr --immediate --quiet add user root account=$ACCOUNT qos=normal,boost_qos_dbg,regular,shared,debug >/dev/null
  launch slurmctld env SLURM_CONF="$BOX/slurm.conf" slurmctld -D
  wait_for slurmctld scontrol ping
  launch slurmd env SLURM_CONF="$BOX/slurm.conf" slurmd -D -N box
  wait_for "the node" sh -c 'test "$(sinfo --noheader --format=%t --partition=boost_usr_prod)" = idle'
  trap - INT TERM
}

# The name guards against a pid that was given away anew; a dead process that nobody has fetched has no command line.
alive() { grep -qsa "$1" "/proc/$(cat "$BOX/$1.pid" 2>/dev/null)/cmdline"; }

stop() {
  local i name file
  [ -d "$BOX" ] || return 0
  [ -e "$BOX/munge.key" ] || die "$BOX is not a folder of this script"
  # First the jobs. Their processes carry the cluster's name, those too whose parent is dead.
  if alive slurmd; then kill -TERM "$(cat "$BOX/slurmd.pid")"; fi
  for file in $(grep -lsaz '^SLURM_CLUSTER_NAME=skyloom$' /proc/[0-9]*/environ); do
    file=${file%/environ}
    kill -KILL "${file#/proc/}" 2>/dev/null || true
  done
  for ((i = ${#DAEMONS[@]} - 1; i >= 0; i--)); do
    name=${DAEMONS[i]}
    if alive "$name"; then kill -TERM "$(cat "$BOX/$name.pid")"; fi
    for _ in {1..100}; do alive "$name" || break; sleep 0.1; done
    if alive "$name"; then kill -KILL "$(cat "$BOX/$name.pid")"; fi
  done
  rm -rf "$BOX"
}

case ${1:-} in
  install | start | stop) [ "$(id -u)" = 0 ] || die "run as root"; "$1" ;;
  env) printf 'export PATH=%s/bin:$PATH SKYLOOM_ACCOUNT=%s\n' "$BOX" $ACCOUNT ;;
  *) sed -n '2,/^set -euo/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
