#!/bin/sh
# Looks for everything that would keep compose.yaml from starting, before anything is started: sh deploy/check.sh
#
#   deploy/check.sh [--mail]     --mail: the mail catcher's port, too (docker compose --profile mail)
#
# A sentence for each problem, with its remedy; exits with 1 when there is one. It changes nothing, and what it
# needs beside a POSIX shell (awk, grep, sed) is on every machine. The values in .env are judged by the service's
# own parser: in the image where it was built, else in .venv; before either is there, only the names are looked at.
set -eu

: "${CHECK_PROC:=/proc}"      # where the kernel tells of routes, sockets and settings; another place for tests only
project=${0%/*}/..
with_mail=${1:-}
case $with_mail in
    "" | --mail) ;;
    *) printf '%s\n' "$0 knows no '$with_mail': call it without, or with --mail." >&2 && exit 2 ;;
esac
cd "$project"

problems=0
problem() {
    problems=$((problems + 1))
    printf '%s\n' "- $1"
}

# Prints a value of compose.yaml's own: setting NAME DEFAULT; the environment goes before .env.
setting() {
    eval "value=\${$1:-}"
    if [ -z "$value" ] && [ -r .env ]; then
        value=$(sed -n "s/^[[:space:]]*$1=//p" .env | tail -n 1 | sed "s/[[:space:]]*\$//; s/^\\([\"']\\)\\(.*\\)\\1\$/\\2/")
    fi
    printf '%s\n' "${value:-$2}"
}

# Whether a version is at least another one: is_at_least 2.24 2.5.1
is_at_least() {
    printf '%s %s\n' "$1" "$2" | awk '{
        split($1, wanted, /[^0-9]+/); split($2, found, /[^0-9]+/)
        for (part = 1; part <= 2; part++)
            if (found[part] + 0 != wanted[part] + 0) exit found[part] + 0 < wanted[part] + 0
    }'
}

first_number() {
    printf '%s\n' "$1" | sed -n 's/^[^0-9]*\([0-9][0-9.]*\).*/\1/p' | head -n 1
}

# --- The engine. Older ones do not know an env_file that need not be there.

engine=
check_engine() {
    if command -v docker >/dev/null && told=$(docker compose version --short 2>/dev/null); then
        is_at_least 2.24 "$(first_number "$told")" ||
            problem "docker compose is version $(first_number "$told"), and 2.24 is the oldest that reads compose.yaml: upgrade Docker's compose plugin."
        if server=$(docker version --format '{{.Server.Version}}' 2>/dev/null) && [ -n "$server" ]; then
            engine=docker
            is_at_least 20.10 "$(first_number "$server")" ||
                problem "Docker is version $server, and 20.10 is the oldest that runs compose.yaml: upgrade it."
        else
            problem "Docker's engine does not answer: start it (systemctl start docker), or run this as a user who may use it."
        fi
    elif command -v podman >/dev/null && command -v podman-compose >/dev/null; then
        engine=podman
        told=$(podman-compose version 2>/dev/null | grep -i 'podman-compose' | head -n 1) || told=
        [ -z "$told" ] || is_at_least 1.2 "$(first_number "$told")" ||
            problem "podman-compose is version $(first_number "$told"), and 1.2 is the oldest that reads compose.yaml: upgrade it (pip install --upgrade podman-compose)."
    else
        problem "No container engine was found: install Docker with its compose plugin, or podman with podman-compose; docs/deploy.md has the way without containers."
    fi
}

runs_already() {
    [ -n "$engine" ] && [ -n "$("$engine" ps -q --filter label=com.docker.compose.project=verifier 2>/dev/null)" ]
}

# --- The secrets, as compose.yaml names them

check_secrets() {
    for file in $(sed -n 's|^ *file: \./\(secrets/.*\)|\1|p' compose.yaml); do
        if [ ! -e "$file" ]; then
            problem "The secret $file is missing: sh sentinel/config/make-secrets.sh creates what is not there."
        elif [ ! -r "$file" ] || ! grep -q '' "$file" 2>/dev/null && [ -s "$file" ]; then
            problem "The secret $file can't be read by $(id -un): run this as its owner."
        elif ! may_be_empty "$file" && ! grep -q '[^[:space:]]' "$file"; then
            problem "The secret $file is empty: remove it, and sh sentinel/config/make-secrets.sh creates it."
        else
            check_content "$file"
        fi
    done
}

# The relay may want no password, and the operators' page is off without one; what TLS needs is looked at where TLS is on.
may_be_empty() {
    case $1 in
        secrets/mail_password | secrets/verifier_ops_password | secrets/*_tls_*) return 0 ;;
    esac
    return 1
}

check_content() {
    case $(ls -ld "$1") in
        -??????r*) ;;
        *) problem "The secret $1 can't be read by the containers' users: chmod 644 $1 (its directory keeps others out)." ;;
    esac
    case $1 in
        *redis_*_password | *sentinel_*_password)
            if grep -q '[^A-Za-z0-9._~-]' "$1"; then
                problem "The secret $1 holds a character other than A-Z a-z 0-9 . _ ~ -: choose another password."
            fi ;;
    esac
}

# One of some words: check_word NAME DEFAULT WORD...
check_word() {
    name=$1
    value=$(setting "$name" "$2")
    shift 2
    [ -n "$value" ] || return 0
    for word; do
        [ "$value" != "$word" ] || return 0
    done
    problem "$name=$value in .env is none of $(printf '%s, ' "$@" | sed 's/, $//'): write one of these."
}

# The certificates of TLS to Redis: there, PEM, and, where openssl can tell, valid and for the nodes' addresses.
check_tls() {
    check_word REDIS_TLS no yes no true false
    check_word REDIS_TLS_AUTH_CLIENTS optional optional yes no
    case $(setting REDIS_TLS no) in
        yes | true) ;;
        *) return 0 ;;
    esac
    for file in secrets/redis_tls_ca secrets/redis_tls_cert secrets/redis_tls_key; do
        [ -r "$file" ] || return 0  # told of already
        if ! grep -q -e '-----BEGIN [A-Z ]*\(CERTIFICATE\|PRIVATE KEY\)-----' "$file"; then
            problem "REDIS_TLS is on, and $file holds no certificate or key in PEM format: remove it, and sh sentinel/config/make-secrets.sh tls makes it."
            return 0
        fi
    done
    command -v openssl >/dev/null || return 0
    renewal="sh sentinel/config/make-secrets.sh renew-tls makes another one."
    openssl x509 -noout -checkend 0 -in secrets/redis_tls_cert >/dev/null 2>&1 ||
        problem "REDIS_TLS is on, and the certificate in secrets/redis_tls_cert has expired or can't be read: $renewal"
    node=$(setting REDIS_NETWORK_PREFIX 172.29.77).11
    openssl x509 -noout -text -in secrets/redis_tls_cert 2>/dev/null | grep -qF "IP Address:$node," ||
        problem "REDIS_TLS is on, and the certificate in secrets/redis_tls_cert is not for $node, a node's address with this REDIS_NETWORK_PREFIX: $renewal"
}

check_proxy() {
    check_word PROXY_SCHEME "" https http
    case $(setting PROXY_REAL_IP_FROM "") in
        *[!0-9A-Fa-f.:/,]*)
            problem "PROXY_REAL_IP_FROM in .env is no list of networks: write such as 10.0.0.0/24,10.0.1.5 with commas and no blanks." ;;
    esac
}

# The certificates that .env names. A path under /run/secrets is a file in ./secrets; others are the container's.
check_certificates() {
    [ -r .env ] || return 0
    for path in $(sed -n 's/^VERIFIER_[A-Z_]*_\(CA\|CERTIFICATE\|KEY\|CERT\)_FILE=//p' .env | tr -d "\"'"); do
        case $path in
            /run/secrets/*) file=secrets/${path#/run/secrets/} ;;
            *) continue ;;
        esac
        if [ ! -r "$file" ]; then
            problem "$path, which .env names, is $file here, and that can't be read: put the certificate there, with chmod 644."
        else
            grep -q -e '-----BEGIN ' "$file" ||
                problem "$file, which .env names, holds no certificate or key in PEM format: put one there."
        fi
    done
}

# --- The ports on loopback, and the network

is_port() {
    case $1 in
        "" | *[!0-9]* | ??????*) return 1 ;;
    esac
    [ "$1" -ge 1 ] && [ "$1" -le 65535 ]
}

# Whether somebody listens where loopback would reach them: is_taken PORT
is_taken() {
    hexadecimal=$(printf ':%04X' "$1")
    cat "$CHECK_PROC/net/tcp" "$CHECK_PROC/net/tcp6" 2>/dev/null | awk -v port="$hexadecimal" '
        $4 == "0A" && substr($2, length($2) - 4) == port {
            address = substr($2, 1, length($2) - 5)
            if (address == "0100007F" || address ~ /^0+$/) taken = 1
        }
        END { exit !taken }'
}

check_port() {
    if ! is_port "$1"; then
        problem "$2=$1 is no port: write a number from 1 to 65535 into .env."
    elif ! runs_already && is_taken "$1"; then
        problem "Port $1 of 127.0.0.1 is taken by another program: end it, or write $3 into .env."
    fi
}

check_mail_port() {
    if ! runs_already && is_taken 8025; then
        problem "Port 8025 of 127.0.0.1 is taken by another program: end it, or set VERIFIER_MAIL_SERVER in .env and leave --profile mail out."
    fi
}

is_prefix() {
    printf '%s\n' "$1" | awk -F . '
        NF != 3 { exit 1 }
        { for (i = 1; i <= 3; i++) if ($i !~ /^[0-9]+$/ || $i > 255) exit 1 }'
}

# Prints the interface that has a route into the network PREFIX.0/24: colliding_route PREFIX
colliding_route() {
    [ -r "$CHECK_PROC/net/route" ] || return 0
    awk -v prefix="$1" '
        function byte(text, at) { return 16 * (index(digits, substr(text, at, 1)) - 1) + index(digits, substr(text, at + 1, 1)) - 1 }
        function number(text) { return ((byte(text, 7) * 256 + byte(text, 5)) * 256 + byte(text, 3)) * 256 + byte(text, 1) }
        BEGIN { digits = "0123456789ABCDEF"; split(prefix, part, "."); ours = ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 }
        NR > 1 && $8 != "00000000" {
            first = number($2); size = 4294967296 - number($8)
            if (first < ours + 256 && ours < first + size) { print $1; exit }
        }' "$CHECK_PROC/net/route"
}

# Prints "NAME SUBNET" for each network of the engine. One without containers may have no route.
networks_of_the_engine() {
    subnets='{{range .IPAM.Config}}{{.Subnet}} {{end}}'
    [ "$engine" = docker ] || subnets='{{range .Subnets}}{{.Subnet}} {{end}}'
    for name in $("$engine" network ls --format '{{.Name}}' 2>/dev/null); do
        for subnet in $("$engine" network inspect --format "$subnets" "$name" 2>/dev/null); do
            printf '%s %s\n' "$name" "$subnet"
        done
    done
}

# Prints the network of the engine that overlaps with PREFIX.0/24: colliding_network PREFIX
colliding_network() {
    [ -n "$engine" ] || return 0
    networks_of_the_engine | awk -v prefix="$1" '
        function number(address) { split(address, part, "."); return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] }
        BEGIN { ours = number(prefix ".0") }
        split($2, half, "/") == 2 && half[1] !~ /:/ {
            size = 2 ^ (32 - half[2]); first = number(half[1])
            if (first < ours + 256 && ours < first + size) { print $1; exit }
        }'
}

check_network() {
    prefix=$(setting REDIS_NETWORK_PREFIX 172.29.77)
    if ! is_prefix "$prefix"; then
        problem "REDIS_NETWORK_PREFIX=$prefix is not the beginning of a network: write three numbers such as 172.29.77 into .env."
        return
    fi
    # Our own network, of an earlier start, is no stranger.
    [ -z "$engine" ] || ! "$engine" network inspect verifier_redis >/dev/null 2>&1 || return 0
    user=$(colliding_route "$prefix")
    [ -n "$user" ] || user=$(colliding_network "$prefix")
    [ -z "$user" ] ||
        problem "The network $prefix.0/24 is in use on this machine (by $user): write another REDIS_NETWORK_PREFIX into .env, such as 172.29.78, before the first start."
}

# --- What the service reads from .env

check_settings() {
    if [ -e .env ] && [ ! -r .env ]; then
        problem ".env can't be read by $(id -un): run this as its owner."
        return
    fi
    image=$(setting APP_IMAGE verifier)
    if [ -n "$engine" ] && "$engine" image inspect "$image" >/dev/null 2>&1; then
        told=$(settings_in_the_image "$image" 2>&1) && return
    elif [ -x .venv/bin/flask ]; then
        told=$(settings_here 2>&1) && return
    else
        check_names
        return
    fi
    case $told in
        *Traceback*) told=$(printf '%s\n' "$told" | tail -n 1) ;;
    esac
    while IFS= read -r sentence; do
        [ -z "$sentence" ] || problem "$sentence Correct it in .env; docs/settings.md explains it."
    done <<EOF
$told
EOF
}

env_file() {
    [ ! -e .env ] || cat .env
}

# What compose.yaml sets itself, for a command's environment: given_by_compose DIRECTORY. A secret that is missing was
# told of already, so there another key stands in. Nothing of the caller's environment counts.
given_by_compose() {
    printf '%s\n' VERIFIER_SENTINELS=127.0.0.1:26379
    if grep -q '[^[:space:]]' secrets/verifier_secret_keys 2>/dev/null; then
        printf '%s\n' "VERIFIER_SECRET_KEYS_FILE=$1/verifier_secret_keys"
    else
        printf '%s\n' VERIFIER_SECRET_KEYS=none:00000000000000000000000000000000
    fi
}

settings_in_the_image() {
    set -- "$1" flask check-settings --file -
    for file in secrets/*; do
        [ ! -f "$file" ] || set -- -v "$PWD/$file:/run/secrets/${file#secrets/}:ro" "$@"
    done
    for given in $(given_by_compose /run/secrets); do
        set -- -e "$given" "$@"
    done
    env_file | "$engine" run --rm -i --network none --read-only --tmpfs /tmp "$@"
}

settings_here() {
    # shellcheck disable=SC2046 # words without blanks
    env_file | env -i PATH="$PATH" $(given_by_compose secrets) .venv/bin/flask --app wsgi.py check-settings --file -
}

check_names() {
    [ -r .env ] || return 0
    for name in $(sed -n 's/^[[:space:]]*\(VERIFIER_[A-Z0-9_]*\)=.*/\1/p' .env); do
        grep -q "^#*${name%_FILE}=" .env.example || grep -q "^#*$name=" .env.example ||
            problem "$name in .env is not a setting: .env.example has them all."
    done
    printf '%s\n' "Note: the values in .env were not checked, as the image is not built yet: run this again after docker compose build."
}

check_kernel() {
    setting_of_kernel=$CHECK_PROC/sys/vm/overcommit_memory
    if [ -r "$setting_of_kernel" ] && [ "$(cat "$setting_of_kernel")" != 1 ]; then
        problem "vm.overcommit_memory is $(cat "$setting_of_kernel"), and Redis can't fork to save its data when memory is short: sysctl -w vm.overcommit_memory=1, and the same line in /etc/sysctl.d/."
    fi
}

check_engine
check_secrets
check_tls
check_certificates
check_proxy
check_port "$(setting PORT 8000)" PORT "another PORT"
[ -z "$with_mail" ] || check_mail_port
check_network
check_settings
check_kernel

if [ "$problems" -gt 0 ]; then
    printf '%s\n' "Problems found: $problems. Nothing was started."
    exit 1
fi
printf '%s\n' "Nothing is in the way of docker compose up."
