#!/bin/sh
# Ready: a standalone node answers; a member of a cluster is connected. Asked on the management port,
# which listens on loopback only; HTTP probes on 8443 would fail NiFi's check of host and SNI.
set -eu

path=health
if [ "${CLUSTERED:?}" = true ]; then
  path=health/cluster
fi
exec curl -fsS -m 8 -o /dev/null "http://127.0.0.1:52020/$path"
