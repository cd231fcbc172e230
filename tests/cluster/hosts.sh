#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several hosts on one machine: network namespaces on one bridge. hosts.sh up N | hosts.sh down. Host i has address 10.77.0.i.
set -euo pipefail
case "${1:?up N or down}" in
  up)
    ip link add retain-bridge type bridge
    ip addr add 10.77.0.254/24 dev retain-bridge
    ip link set retain-bridge up
    for i in $(seq 1 "${2:?number of hosts}"); do
      ip netns add "retain$i"
      ip link add "retain-port$i" type veth peer name eth0 netns "retain$i"
      ip link set "retain-port$i" master retain-bridge up
      ip -n "retain$i" addr add "10.77.0.$i/24" dev eth0
      ip -n "retain$i" link set eth0 up
      ip -n "retain$i" link set lo up
    done
    ;;
  down)
    ip netns list | awk '/^retain[0-9]/ {print $1}' | while read -r name; do
      ip netns pids "$name" | xargs -r kill -KILL
      ip link del "retain-port${name#retain}" 2>/dev/null || true
      ip netns del "$name"
    done
    ip link del retain-bridge 2>/dev/null || true
    ;;
  *) echo "hosts.sh up N | hosts.sh down" >&2; exit 2 ;;
esac
