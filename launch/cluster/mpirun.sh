#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# retain on several hosts with Open MPI: mpirun.sh HOSTFILE RANKS retain-arguments…
# One thread a rank unless OMP_NUM_THREADS says otherwise. Open MPI kills its ranks one second after it is told to stop;
# odls_base_sigkill_timeout leaves them time to save.
set -euo pipefail
hostfile=${1:?hostfile}
ranks=${2:?number of ranks}
shift 2
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec mpirun --hostfile "$hostfile" -np "$ranks" --map-by "slot:PE=$OMP_NUM_THREADS" --bind-to core \
  --mca odls_base_sigkill_timeout "${RETAIN_SAVE_SECONDS:-120}" -x OMP_NUM_THREADS retain "$@"
