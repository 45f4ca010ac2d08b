#!/bin/sh
# One writer on this host. $1: acquire | refresh | release   $2: our token
# acquire: $3 seconds after which a lock that nobody refreshed is stale, $4 a token that may be
# replaced since its holder is known to be dead; who we are comes on standard input.
# Ends with 75 where somebody else holds it, and prints its age in seconds, its token and who it is.
set -u
umask 077
folder=/run/infometis
file=$folder/lock
while :; do
  mkdir -p "$folder" || exit 1
  exec 9>"$folder/guard"
  flock -w 60 9 || exit 1
  # Whoever releases the lock removes the guard, on which others may be waiting just now.
  [ "$(stat -c %i "$folder/guard" 2>/dev/null)" = "$(stat -L -c %i /dev/fd/9)" ] && break
done

holder=
[ -f "$file" ] && holder=$(head -n 1 "$file")
case $1 in
  acquire)
    if [ -n "$holder" ] && [ "$holder" != "$2" ] && [ "$holder" != "${4:-}" ]; then
      age=$(($(date +%s) - $(stat -c %Y "$file")))
      # A clock that was set back makes it look young for ever: then it is stale too.
      if [ "$age" -lt "$3" ] && [ "$age" -gt "-$3" ]; then
        printf '%s\n' "$age"
        cat "$file"
        exit 75
      fi
    fi
    {
      printf '%s\n' "$2"
      cat
    } >"$file.new" && mv -f "$file.new" "$file"
    ;;
  refresh)
    [ "$holder" = "$2" ] || exit 75
    touch "$file"
    ;;
  release)
    [ "$holder" = "$2" ] || exit 0
    rm -f "$file" "$folder/guard"
    rmdir "$folder" 2>/dev/null
    exit 0
    ;;
esac
