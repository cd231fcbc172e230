#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mpirun's remote shell: remote_shell.sh ADDRESS COMMAND… runs the command in the network namespace that has the address.
name=retain${1##*.}
shift
exec ip netns exec "$name" bash -c "$*"
