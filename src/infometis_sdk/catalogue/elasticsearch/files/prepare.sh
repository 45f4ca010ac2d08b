#!/bin/sh
# Fills the writable config folder of one Elasticsearch node: what the image ships, the rendered
# settings, and the read-only user. Runs in an init container of the same image before every start
# of the pod, on an empty folder, so that a new image brings its own new files.
set -eu

: "${POD_NAME:?}" "${INITIAL_MASTER_NODES:?}"
shipped=${SHIPPED_DIR:-/usr/share/elasticsearch/config}
rendered=${RENDERED_DIR:-/etc/infometis}
config=${CONFIG_DIR:-/mnt/config}
data=${DATA_DIR:-/usr/share/elasticsearch/data}
reader=${READER_DIR:-/etc/infometis-reader}
role=infometis_reader

umask 077
cp -R "$shipped/." "$config/"
rm -f "$config/elasticsearch.keystore"
cp "$rendered/elasticsearch.yml" "$config/elasticsearch.yml"
cp "$rendered/roles.yml" "$config/roles.yml"

# The file realm knows bcrypt by the prefix $2a$ only and takes anything else for a plain password.
# 2a, 2b and 2y name the same algorithm for passwords of up to 72 bytes.
user=$(cat "$reader/username")
# shellcheck disable=SC2016 # the dollar signs are part of the hash
hash=$(sed -n '1s/^\$2[aby]\$/$2a$/p' "$reader/bcrypt")
if [ -z "$hash" ]; then
  printf 'prepare: the reader credential holds no bcrypt hash\n' >&2
  exit 78
fi
printf '%s:%s\n' "$user" "$hash" >"$config/users"
printf '%s:%s\n' "$role" "$user" >"$config/users_roles"

# Only the first pod may found a cluster, and only with a majority of the first nodes. Should this pod
# lose its volume, it cannot found a second cluster beside the first: the others hold a newer state and
# never vote for an empty node, so it joins them. A cluster that grows from one node to three is safe
# too: new nodes can only join. A volume with an index was a member already; there the setting would
# be ignored, with a warning twice a day.
if [ "${POD_NAME##*-}" = 0 ] && [ -z "$(ls -A "$data/indices" 2>/dev/null)" ]; then
  printf '\ncluster.initial_master_nodes: [%s]\n' "$INITIAL_MASTER_NODES" >>"$config/elasticsearch.yml"
fi
