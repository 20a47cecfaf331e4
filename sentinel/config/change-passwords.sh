#!/bin/sh
# Changes the passwords of Redis's and Sentinel's users in three steps, so that nobody is ever refused:
#
#   change-passwords.sh add [DIRECTORY]    a new password in the second line: accepted by servers that restart
#   change-passwords.sh use [DIRECTORY]    the new one becomes the first: it is logged in with after a restart
#   change-passwords.sh drop [DIRECTORY]   the old one goes: it is refused by servers that restart
#
# After each step restart what reads the files, one after the other: "Changing every password" in docs/procedures.md.
# A step that does not fit what the files hold changes none of them.
set -eu
umask 077

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

step=${1:-}
directory=${2:-secrets}
case $step in
    add) expected=1 ;;
    use | drop) expected=2 ;;
    *) fail "Name the step: $0 add, then use, then drop, each with the directory of the secrets where it is not ./secrets." ;;
esac

random() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# Prints what a file is to hold after the step: after_step FILE
after_step() {
    case $step in
        add) cat "$1" && random && echo ;;
        use) sed -n '2p' "$1" && sed -n '1p' "$1" ;;
        drop) sed -n '1p' "$1" ;;
    esac
}

[ -e "$directory/redis_app_password" ] ||
    fail "There are no secrets in $directory: create them with sentinel/config/make-secrets.sh, or name their directory."
for file in "$directory"/redis_*_password "$directory"/sentinel_*_password; do
    lines=$(grep -c . "$file") || :
    [ "$lines" -eq "$expected" ] ||
        fail "$file holds $lines passwords, and the step '$step' wants $expected: the steps are add, use, drop, in this order. Nothing was changed."
done
for file in "$directory"/redis_*_password "$directory"/sentinel_*_password; do
    cp -p "$file" "$file.new"
    after_step "$file" >"$file.new"
done
# All are written before the first is replaced: a full disk stops the step while none has changed.
for file in "$directory"/redis_*_password "$directory"/sentinel_*_password; do
    mv "$file.new" "$file"
done
