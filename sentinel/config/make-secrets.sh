#!/bin/sh
# Creates the secrets compose.yaml mounts, each in a file of its own: sh sentinel/config/make-secrets.sh
#
# Files that exist are kept, so that it can be run again after a new one was added, or after one was removed to
# have it changed. Compose hands the files to the containers with the rights they have here: the containers'
# users must be able to read them, so it is the directory that keeps everybody else on this machine out.
set -eu

directory=${1:-secrets}
umask 077
mkdir -p "$directory"
chmod 700 "$directory"

random() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# Writes a value into a file that does not exist yet: create NAME VALUE
create() {
    [ ! -e "$directory/$1" ] || return 0
    printf '%s\n' "$2" >"$directory/$1.new"
    chmod 644 "$directory/$1.new"
    mv "$directory/$1.new" "$directory/$1"
}

for user in redis_app redis_replica redis_sentinel redis_health redis_ops \
    sentinel_peer sentinel_app sentinel_health sentinel_ops; do
    create "${user}_password" "$(random)"
done
create verifier_secret_keys "k1:$(random)"
# The mail relay's password; left empty where the relay asks for none.
create mail_password ""
