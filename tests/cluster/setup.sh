#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the cluster tests need beside Retain's own packages: network namespaces, Slurm, and root to make them.
set -euo pipefail
[ "$(id -u)" -eq 0 ] || { echo "the cluster tests make network namespaces and start Slurm: run them as root" >&2; exit 1; }
missing=()
for pair in ip:iproute2 tc:iproute2 pgrep:procps slurmctld:slurm-wlm sbatch:slurm-wlm munged:munge; do
  command -v "${pair%%:*}" > /dev/null || missing+=("${pair##*:}")
done
python3 -c "import yaml" 2> /dev/null || missing+=(python3-yaml)
[ ${#missing[@]} -eq 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >&2
