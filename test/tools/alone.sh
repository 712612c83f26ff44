#!/bin/bash
# test/tools/alone.sh COMMAND...
#
# Run it in a network and with IPC objects of its own, so that neither ports nor
# shared memory can be taken by servers of another release, which don't see what
# Cluster.pm has locked here.  Of the network there is but 127.0.0.1 and ::1.
exec unshare --net --ipc bash -c 'ip link set lo up && exec "$@"' bash "$@"
