#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real Slurm of one node, without root's configuration: slurm.sh up DIR | slurm.sh down DIR. Needs Debian's slurm-wlm and munge,
# and root. Then: export SLURM_CONF=DIR/slurm.conf
set -euo pipefail
dir=$(readlink -f "${2:?folder}")
if [ "${1:?up or down}" = down ]; then
  for file in "$dir"/slurmd.pid "$dir"/slurmctld.pid "$dir"/munged.pid; do
    [ -f "$file" ] && kill "$(cat "$file")" 2>/dev/null || true
  done
  exit 0
fi
mkdir -p "$dir/state" "$dir/spool" /run/munge
[ -f /etc/munge/munge.key ] || mungekey
chown -R munge: /run/munge /etc/munge /var/log/munge /var/lib/munge
if ! pgrep -x munged > /dev/null; then
  su munge -s /bin/bash -c munged
  cp /run/munge/munged.pid "$dir"
fi
host=$(hostname)
cat > "$dir/slurm.conf" <<CONF
ClusterName=retain
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=pmix
OverTimeLimit=0
KillWait=30
NodeName=$host CPUs=$(nproc --all) RealMemory=$(awk '/MemTotal/{print int($2/1024*0.8)}' /proc/meminfo) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$dir/slurm.conf
slurmctld
slurmd
for _ in $(seq 40); do
  sinfo -h -o %T 2>/dev/null | grep -q idle && exit 0
  sleep 0.5
done
echo "no idle node after 20 s" >&2
tail -n 20 "$dir"/*.log >&2
exit 1
