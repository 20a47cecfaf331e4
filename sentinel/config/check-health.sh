#!/bin/sh
# Whether this node answers PING: check-health.sh PORT SECRET, the latter naming the health user's password.
#
# redis-cli exits with 0 even when it is refused, so the answer itself is looked at; the password goes through
# the environment, since arguments can be read by anybody on the machine.
set -eu
: "${REDIS_SECRETS:=/run/secrets}"
IFS= read -r REDISCLI_AUTH <"$REDIS_SECRETS/$2"
export REDISCLI_AUTH
client=$(command -v redis-cli || command -v valkey-cli)
port=$1
set -- -h 127.0.0.1 -p "$port" --user health
case ${REDIS_TLS:-no} in
    yes | true)
        set -- "$@" --tls --cacert "${REDIS_TLS_CA:-$REDIS_SECRETS/redis_tls_ca}" \
            --cert "${REDIS_TLS_CERT:-$REDIS_SECRETS/redis_tls_cert}" \
            --key "${REDIS_TLS_KEY:-$REDIS_SECRETS/redis_tls_key}" ;;
esac
"$client" "$@" ping | grep -q PONG
