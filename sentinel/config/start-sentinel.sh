#!/bin/sh
# Starts a sentinel: renders its file into REDIS_DATA, then becomes redis-server in sentinel mode.
#
# The file is rendered anew at each start, so that a changed setting or password counts after a restart. What
# Sentinel itself wrote there is kept: its id, the epochs, who is the master, whom it knows.
set -eu
umask 077

: "${REDIS_SERVER:=redis-server}"             # the binary
: "${REDIS_DATA:=/data}"                      # a writable directory that outlives the process
: "${REDIS_SECRETS:=/run/secrets}"            # the directory with one file for each password
: "${REDIS_BIND:=0.0.0.0}"                    # where to listen
: "${REDIS_PORT:=26379}"
: "${REDIS_ANNOUNCE_HOST:=}"                  # how others reach this sentinel: an address; a name turns names on
: "${REDIS_ACL:=yes}"                         # no: no users and no passwords, for loopback only
: "${REDIS_TLS:=no}"                          # yes: everybody has to speak TLS
: "${REDIS_TLS_AUTH_CLIENTS:=optional}"       # yes: whoever shows no certificate is refused
: "${REDIS_TLS_CA:=}"                         # PEM files; empty: redis_tls_ca, _cert and _key in REDIS_SECRETS
: "${REDIS_TLS_CERT:=}"
: "${REDIS_TLS_KEY:=}"
: "${SENTINEL_MASTER_NAME:=verifier}"
: "${SENTINEL_MASTER:?name the first master as SENTINEL_MASTER=\"host port\"}"
: "${SENTINEL_QUORUM:=2}"
# Milliseconds. How they add up with the deadline of a request: docs/decisions/0019-one-budget-of-time.md.
: "${SENTINEL_DOWN_AFTER_MS:=4000}"           # silent for so long: a sentinel takes a node for down
: "${SENTINEL_FAILOVER_TIMEOUT_MS:=5000}"     # a failover that failed is tried again after twice this
# Known beforehand, one "host port" (of sentinels "host port id") a line, so that a topology just started is
# whole at once; left empty, they are found within some ten seconds.
: "${SENTINEL_ID:=}"
: "${SENTINEL_KNOWN_REPLICAS:=}"
: "${SENTINEL_KNOWN_SENTINELS:=}"

config=${0%/*}
# shellcheck source=render.sh
. "$config/render.sh"
require_tls_files

require_version

rendered=$REDIS_DATA/sentinel.conf

# Prints the lines of that kind which Sentinel left in its file.
kept() {
    grep -E "^sentinel ($1) " "$rendered" || :
}

# Prints a line for each known instance: known KIND "LIST".
known() {
    printf '%s\n' "$2" | while IFS= read -r instance; do
        [ -z "$instance" ] || printf 'sentinel known-%s %s %s\n' "$1" "$SENTINEL_MASTER_NAME" "$instance"
    done
}

identity_and_master() {
    if [ -f "$rendered" ] && grep -q '^sentinel monitor ' "$rendered"; then
        kept myid
        kept monitor
    else
        [ -z "$SENTINEL_ID" ] || printf 'sentinel myid %s\n' "$SENTINEL_ID"
        printf 'sentinel monitor %s %s %s\n' "$SENTINEL_MASTER_NAME" "$SENTINEL_MASTER" "$SENTINEL_QUORUM"
    fi
}

whom_it_knows() {
    if [ -f "$rendered" ]; then
        kept 'config-epoch|leader-epoch|current-epoch|known-replica|known-sentinel'
    else
        known replica "$SENTINEL_KNOWN_REPLICAS"
        known sentinel "$SENTINEL_KNOWN_SENTINELS"
    fi
}

passwords() {
    render_users "$config/sentinel-users.acl"
    password=$(secret sentinel_peer_password)
    printf 'sentinel sentinel-user peer\nsentinel sentinel-pass %s\n' "$password"
    password=$(secret redis_sentinel_password)
    printf 'sentinel auth-user %s sentinel\n' "$SENTINEL_MASTER_NAME"
    printf 'sentinel auth-pass %s %s\n' "$SENTINEL_MASTER_NAME" "$password"
}

lines_of_this_sentinel() {
    listening
    printf 'dir "%s"\n' "$REDIS_DATA"
    # systemd wants to be told when it is ready.
    [ -z "${NOTIFY_SOCKET:-}" ] || printf 'supervised systemd\n'
    if [ -n "$REDIS_ANNOUNCE_HOST" ]; then
        # By name only where nothing else is to be had: docs/deploy.md, "Sentinel by names".
        is_address "$REDIS_ANNOUNCE_HOST" ||
            printf 'sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n'
        printf 'sentinel announce-ip %s\nsentinel announce-port %s\n' "$REDIS_ANNOUNCE_HOST" "$REDIS_PORT"
    fi
    identity_and_master
    printf 'sentinel down-after-milliseconds %s %s\n' "$SENTINEL_MASTER_NAME" "$SENTINEL_DOWN_AFTER_MS"
    printf 'sentinel failover-timeout %s %s\n' "$SENTINEL_MASTER_NAME" "$SENTINEL_FAILOVER_TIMEOUT_MS"
    printf 'sentinel parallel-syncs %s 1\n' "$SENTINEL_MASTER_NAME"
    if [ "$REDIS_ACL" = yes ]; then passwords; fi
    whom_it_knows
}

cat "$config/sentinel.conf" >"$rendered.new"
lines_of_this_sentinel >>"$rendered.new"
mv "$rendered.new" "$rendered"

exec "$REDIS_SERVER" "$rendered" --sentinel
