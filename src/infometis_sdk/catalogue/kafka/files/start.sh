#!/bin/sh
# Starts one Kafka node: derives its role from the ordinal of its pod, formats the volume once,
# and becomes the server, so that signals reach the JVM and it shuts down in a controlled way.
# The image's own start script is not used: it would append every KAFKA_ variable to the settings
# and fall back to a cluster id that all installations share.
set -eu

: "${POD_NAME:?}" "${HEADLESS_SERVICE:?}" "${CLUSTER_ID:?}"
settings=${SETTINGS_DIR:-/etc/infometis}/server.properties
run=${RUN_DIR:-/tmp/kafka}
home=${KAFKA_HOME:-/opt/kafka}
# Empty: all addresses. A test on one machine gives each node an address of its own.
bind=${BIND_ADDRESS:-}

say() { printf 'start: %s\n' "$1" >&2; }

ordinal=${POD_NAME##*-}
case $ordinal in
  '' | *[!0-9]*)
    say "the pod name $POD_NAME does not end in an ordinal"
    exit 64
    ;;
esac

voters=$(sed -n 's/^controller\.quorum\.voters *= *//p' "$settings")
case ",$voters" in
  *",$ordinal@"*)
    roles=broker,controller
    listeners="INTERNAL://$bind:9092,EXTERNAL://$bind:9094,CONTROLLER://$bind:9093"
    ;;
  *)
    roles=broker
    listeners="INTERNAL://$bind:9092,EXTERNAL://$bind:9094"
    ;;
esac

# Each broker is reached by itself: from inside by the name of its pod, and from outside
# through the border by the same name below the public domain.
inside=$POD_NAME.$HEADLESS_SERVICE
if [ -n "${PUBLIC_DOMAIN:-}" ]; then
  outside=$POD_NAME.$PUBLIC_DOMAIN:${PUBLIC_PORT:-443}
else
  outside=$inside:9094
fi

mkdir -p "$run"
{
  cat "$settings"
  printf '\nnode.id=%s\nprocess.roles=%s\nlisteners=%s\n' "$ordinal" "$roles" "$listeners"
  printf 'advertised.listeners=INTERNAL://%s:9092,EXTERNAL://%s\n' "$inside" "$outside"
} >"$run/server.properties"

# Formatting writes meta.properties last: where it is, the volume is formatted.
data=$(sed -n 's/^log\.dirs *= *//p' "$settings")
if [ -f "$data/meta.properties" ]; then
  found=$(sed -n 's/^cluster\.id=//p' "$data/meta.properties")
  if [ "$found" != "$CLUSTER_ID" ]; then
    say "the volume belongs to Kafka cluster $found, and this is $CLUSTER_ID; it is left alone"
    exit 78
  fi
else
  "$home/bin/kafka-storage.sh" format --cluster-id "$CLUSTER_ID" --config "$run/server.properties" --ignore-formatted
fi

say "node $ordinal as $roles"
exec "$home/bin/kafka-server-start.sh" "$run/server.properties"
