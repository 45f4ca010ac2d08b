#!/bin/sh
# Becomes NiFi, so that signals reach the JVM and it shuts down in order, with its log on standard
# output: NiFi writes it to a file only. tail ends with the process whose id this shell hands over.
set -eu

home=${NIFI_HOME:-/opt/nifi/nifi-current}
logs=${NIFI_LOG_DIR:-$home/logs}

: >>"$logs/nifi-app.log"
tail -n 0 -F --pid="$$" "$logs/nifi-app.log" &
# Where the image keeps uv, which Python processors use.
export PATH="$PATH:/home/nifi/.local/bin"
cd "$home"
exec bin/nifi.sh run
