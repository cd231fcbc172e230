#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# retain on several hosts with Open MPI: mpirun.sh HOSTFILE RANKS retain-arguments…
# One thread a rank unless OMP_NUM_THREADS says otherwise, each rank on cores of its own (RETAIN_BIND=none: wherever it likes).
# SIGTERM, SIGINT and SIGUSR1 ask the ranks to save and end with status 3; the second one ends them at once. (mpirun itself kills its
# ranks a second after SIGTERM, and passes SIGUSR1 on.) Open MPI learns that a host is gone by TCP's keep-alive, five minutes later
# unless told otherwise; here 14 seconds.
set -euo pipefail
hostfile=${1:?hostfile}
ranks=${2:?number of ranks}
shift 2
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
placement=(--map-by "slot:PE=$OMP_NUM_THREADS" --bind-to core)
[ "${RETAIN_BIND:-core}" = none ] && placement=(--map-by slot --bind-to none --oversubscribe)
setsid mpirun --hostfile "$hostfile" -np "$ranks" "${placement[@]}" \
  --mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 3 --mca oob_tcp_keepalive_probes 3 \
  -x OMP_NUM_THREADS "${RETAIN:-retain}" "$@" &
job=$!
asked=USR1
trap 'kill -"$asked" "$job"; asked=TERM' TERM INT USR1
# An mpirun that talks to a host out of reach can wait for a quarter of an hour after its ranks have ended.
name=$(basename "${RETAIN:-retain}" | cut -c1-15)
ranks_seen=no
seconds_alone=0
while kill -0 "$job" 2>/dev/null; do
  sleep 1 &
  wait $! || true
  if pgrep -x -P "$job" "$name" > /dev/null; then
    ranks_seen=yes seconds_alone=0
  elif [ "$ranks_seen" = yes ] && [ $((seconds_alone += 1)) -ge 10 ]; then
    kill -KILL "$job"
  fi
done
wait "$job"
