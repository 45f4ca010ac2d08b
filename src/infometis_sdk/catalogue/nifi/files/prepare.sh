#!/bin/sh
# Fills the writable conf folder of one NiFi node: what the image ships, the rendered settings, and
# what comes from credentials. Runs in an init container of the same image before every start of the
# pod, on an empty folder, so that a new image brings its own new files; what must last (flow,
# repositories, state, extensions) lies on the volume. The image's own start script is not used: it
# passes the password on a command line and cannot set up certificates in PEM.
set -eu

: "${POD_NAME:?}" "${HEADLESS_SERVICE:?}" "${CLUSTERED:?}" "${HEAP:?}"
shipped=${SHIPPED_DIR:-/opt/nifi/nifi-current/conf}
rendered=${RENDERED_DIR:-/etc/infometis}
conf=${CONF_DIR:-/mnt/conf}
data=${DATA_DIR:-/var/lib/nifi}
admin=${ADMIN_DIR:-/etc/infometis-admin}
key=${KEY_DIR:-/etc/infometis-key}

say() { printf 'prepare: %s\n' "$1" >&2; }

# overlay FILE LINES: replaces entries of FILE by those of LINES with the same key, adds the others.
overlay() {
  awk '
    function key_of(line, at) {
      at = index(line, "=")
      return (at > 1 && line !~ /^[ \t]*[#!]/) ? substr(line, 1, at - 1) : ""
    }
    FNR == NR { if ((k = key_of($0)) != "") { if (!(k in value)) order[++n] = k; value[k] = $0 }; next }
    (k = key_of($0)) != "" && (k in value) { if (!(k in done)) print value[k]; done[k] = 1; next }
    { print }
    END { for (i = 1; i <= n; i++) if (!(order[i] in done)) print value[order[i]] }
  ' "$2" "$1" >"$1.new"
  mv "$1.new" "$1"
}

xml() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' "$1"; }

umask 077
cp -R "$shipped/." "$conf/"
for folder in conf/archive database_repository flowfile_repository content_repository \
  provenance_repository status_repository nar_repository assets connector_assets nar_extensions \
  python_extensions state/local; do
  mkdir -p "$data/$folder"
done

cp "$rendered/state-management.xml" "$conf/state-management.xml"

{
  cat "$rendered/nifi.properties"
  if [ "$CLUSTERED" = true ]; then
    # The host is what other nodes call; listening on the interfaces by name keeps loopback open,
    # which port forwarding needs. Every container runtime calls a pod's interface eth0.
    printf 'nifi.web.https.host=%s.%s\n' "$POD_NAME" "$HEADLESS_SERVICE"
    printf 'nifi.web.https.network.interface.eth0=eth0\nnifi.web.https.network.interface.lo=lo\n'
    printf 'nifi.cluster.node.address=%s.%s\n' "$POD_NAME" "$HEADLESS_SERVICE"
  else
    printf 'nifi.web.https.host=0.0.0.0\n'
  fi
  printf 'nifi.remote.input.host=%s.%s\n' "$POD_NAME" "$HEADLESS_SERVICE"
  # A backslash would be read as the start of an escape.
  printf 'nifi.sensitive.props.key=%s\n' "$(sed 's/\\/\\\\/g' "$key/key")"
} >"$conf/settings"
overlay "$conf/nifi.properties" "$conf/settings"

printf 'java.arg.2=-Xms%sm\njava.arg.3=-Xmx%sm\n' "$HEAP" "$HEAP" >"$conf/settings"
overlay "$conf/bootstrap.conf" "$conf/settings"
rm "$conf/settings"

# NiFi verifies strictly against bcrypt version 2b; 2a, 2b and 2y name the same algorithm for
# passwords of up to 72 bytes.
# shellcheck disable=SC2016 # the dollar signs are part of the hash
hash=$(sed -n '1s/^\$2[aby]\$/$2b$/p' "$admin/bcrypt")
if [ -z "$hash" ]; then
  say "the admin credential holds no bcrypt hash"
  exit 78
fi
cat >"$conf/login-identity-providers.xml" <<XML
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<loginIdentityProviders>
    <provider>
        <identifier>single-user-provider</identifier>
        <class>org.apache.nifi.authentication.single.user.SingleUserLoginIdentityProvider</class>
        <property name="Username">$(xml "$admin/username")</property>
        <property name="Password">$hash</property>
    </provider>
</loginIdentityProviders>
XML
say "settings of $POD_NAME are in place"
