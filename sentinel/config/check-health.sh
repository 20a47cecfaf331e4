#!/bin/sh
# Whether this node answers PING: check-health.sh PORT SECRET, the latter naming the health user's password.
#
# redis-cli exits with 0 even when it is refused, so the answer itself is looked at; the password goes through
# the environment, since arguments can be read by anybody on the machine.
set -eu
IFS= read -r REDISCLI_AUTH <"${REDIS_SECRETS:-/run/secrets}/$2"
export REDISCLI_AUTH
client=$(command -v redis-cli || command -v valkey-cli)
"$client" -h 127.0.0.1 -p "$1" --user health ping | grep -q PONG
