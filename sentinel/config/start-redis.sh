#!/bin/sh
# Starts a data node: renders its files into REDIS_DATA, then becomes redis-server.
#
# The files are rendered anew at each start, so that a changed setting or password counts after a restart.
# Only the role is kept from last time: Sentinel wrote it there, and knows better than REDIS_REPLICAOF.
set -eu
umask 077

: "${REDIS_SERVER:=redis-server}"          # the binary
: "${REDIS_DATA:=/data}"                   # a writable directory that outlives the process
: "${REDIS_SECRETS:=/run/secrets}"         # the directory with one file for each password
: "${REDIS_BIND:=0.0.0.0}"                 # where to listen
: "${REDIS_PORT:=6379}"
: "${REDIS_ANNOUNCE_HOST:=}"               # the name others know this node by; empty: its address
: "${REDIS_REPLICAOF:=}"                   # "host port" of the master at the first start; empty: is the master
: "${REDIS_MAXMEMORY:=128mb}"
: "${REDIS_MIN_REPLICAS_TO_WRITE:=1}"      # 0 for a node without replicas
: "${REDIS_SYNC_DELAY:=5}"                 # seconds a full sync waits for a second replica to join it
: "${REDIS_ACL:=yes}"                      # no: no users and no passwords, for loopback only
: "${REDIS_EXTRA_USERS:=}"                 # one more file of users

config=${0%/*}
# shellcheck source=render.sh
. "$config/render.sh"

rendered=$REDIS_DATA/redis.conf
users=$REDIS_DATA/users.acl

users_of_this_node() {
    render_users "$config/redis-users.acl"
    [ -z "$REDIS_EXTRA_USERS" ] || render_users "$REDIS_EXTRA_USERS"
}

role() {
    if [ -f "$rendered" ]; then
        grep '^replicaof ' "$rendered" || :
    elif [ -n "$REDIS_REPLICAOF" ]; then
        printf 'replicaof %s\n' "$REDIS_REPLICAOF"
    fi
}

lines_of_this_node() {
    printf 'bind %s\nport %s\ndir "%s"\n' "$REDIS_BIND" "$REDIS_PORT" "$REDIS_DATA"
    printf 'maxmemory %s\n' "$REDIS_MAXMEMORY"
    printf 'min-replicas-to-write %s\n' "$REDIS_MIN_REPLICAS_TO_WRITE"
    printf 'repl-diskless-sync-delay %s\n' "$REDIS_SYNC_DELAY"
    if [ -n "$REDIS_ANNOUNCE_HOST" ]; then
        printf 'replica-announce-ip %s\nreplica-announce-port %s\n' "$REDIS_ANNOUNCE_HOST" "$REDIS_PORT"
    fi
    if [ "$REDIS_ACL" = yes ]; then
        password=$(secret redis_replica_password)
        printf 'aclfile "%s"\nmasteruser replica\nmasterauth %s\n' "$users" "$password"
    fi
    role
}

if [ "$REDIS_ACL" = yes ]; then
    users_of_this_node >"$users.new"
    mv "$users.new" "$users"
fi
cat "$config/redis.conf" >"$rendered.new"
lines_of_this_node >>"$rendered.new"
mv "$rendered.new" "$rendered"

exec "$REDIS_SERVER" "$rendered"
