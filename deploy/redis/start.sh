#!/bin/sh
# start.sh redis|sentinel|witness — starts one of the three from its file beside this script, with the password of a file.
# Redis and Sentinel write what they learn (who is primary) into their own file, so it lives with the data and is made once.
#   PASSWORD_FILE  the password (/run/secrets/redis-password)
#   SELF           the name by which others reach this one (the host's)
#   REPLICA_OF     the first primary, for a Redis that is not it
set -eu
kind="$1"
password="$(cat "${PASSWORD_FILE:-/run/secrets/redis-password}")"
self="${SELF:-$(hostname)}"
here="$(dirname "$0")"
data="${DATA:-/data}"
case "$password" in *[\"\\]*) echo 'the password must not hold quotes or backslashes' >&2; exit 1 ;; esac

if [ ! -f "$data/$kind.conf" ]; then
  umask 077
  cp "$here/$kind.conf" "$data/$kind.conf.new"
  {
    printf '\ndir "%s"\nrequirepass "%s"\n' "$data" "$password"
    # The user of Countersign, with the rights of docs/operations-redis.md and no others.
    read -r user rights < "$here/$kind.acl"
    printf 'user %s reset on >"%s" %s\n' "$user" "$password" "$rights"
    case "$kind" in
      redis)
        printf 'masterauth "%s"\nreplica-announce-ip %s\n' "$password" "$self"
        if [ -n "${REPLICA_OF:-}" ]; then printf 'replicaof %s 6379\n' "$REPLICA_OF"; fi
        ;;
      sentinel)
        printf 'sentinel auth-pass countersign "%s"\nsentinel sentinel-pass "%s"\nsentinel announce-ip %s\n' "$password" "$password" "$self"
        ;;
    esac
  } >> "$data/$kind.conf.new"
  mv "$data/$kind.conf.new" "$data/$kind.conf"
fi

if [ "$kind" = sentinel ]; then exec redis-server "$data/$kind.conf" --sentinel; fi
exec redis-server "$data/$kind.conf"
