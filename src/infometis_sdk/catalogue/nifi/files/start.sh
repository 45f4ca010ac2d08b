#!/bin/sh
# Becomes NiFi, so that signals reach the JVM and it shuts down in order, with its log on standard
# output: NiFi writes it to a file only. tail ends with the process whose id this shell hands over.
set -eu

home=${NIFI_HOME:-/opt/nifi/nifi-current}
logs=${NIFI_LOG_DIR:-$home/logs}

# From where the log ends now, so that not a line is lost however late tail begins.
: >>"$logs/nifi-app.log"
begin=$(($(wc -c <"$logs/nifi-app.log") + 1))
tail -c "+$begin" -F --pid="$$" "$logs/nifi-app.log" &
# Where the image keeps uv, which Python processors use.
export PATH="$PATH:/home/nifi/.local/bin"
cd "$home"
exec bin/nifi.sh run
