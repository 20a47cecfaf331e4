#!/bin/sh
# Starts a data node: renders its files into REDIS_DATA, then becomes redis-server.
#
#   start-redis.sh                           starts the node
#   start-redis.sh first-master [--force]    orders, once, that this node without data be the first master
#
# The files are rendered anew at each start, so that a changed setting or password counts after a restart.
# Only the role is kept from last time: Sentinel wrote it there, and knows better than REDIS_REPLICAOF.
#
# A node that has no data, or cannot read what it has, would wipe all its replicas if it started as the master. It
# does not listen before the sentinels name another node that is the master, and joins as its replica.
# docs/decisions/0014-a-node-without-data-asks-first.md has the reasons.
set -eu
umask 077

: "${REDIS_SERVER:=redis-server}"          # the binary
: "${REDIS_DATA:=/data}"                   # a writable directory that outlives the process
: "${REDIS_SECRETS:=/run/secrets}"         # the directory with one file for each password
: "${REDIS_BIND:=0.0.0.0}"                 # where to listen
: "${REDIS_PORT:=6379}"
: "${REDIS_ANNOUNCE_HOST:=}"               # the address (or name) others know this node by; empty: its own
: "${REDIS_REPLICAOF:=}"                   # "host port" of the master at the first start, while no sentinel answers
: "${REDIS_SENTINELS:=}"                   # host:port,host:port,... of those who know today's master
: "${SENTINEL_MASTER_NAME:=verifier}"      # the name they know it by
: "${REDIS_MAXMEMORY:=128mb}"
: "${REDIS_MIN_REPLICAS_TO_WRITE:=1}"      # 0 for a node without replicas
: "${REDIS_SYNC_DELAY:=0}"                 # seconds a full sync waits for a second replica to join it
: "${REDIS_ACL:=yes}"                      # no: no users and no passwords, for loopback only
: "${REDIS_TLS:=no}"                       # yes: everybody has to speak TLS
: "${REDIS_TLS_AUTH_CLIENTS:=optional}"    # yes: whoever shows no certificate is refused
: "${REDIS_TLS_CA:=}"                      # PEM files; empty: redis_tls_ca, _cert and _key in REDIS_SECRETS
: "${REDIS_TLS_CERT:=}"
: "${REDIS_TLS_KEY:=}"
: "${REDIS_EXTRA_USERS:=}"                 # one more file of users

config=${0%/*}
# shellcheck source=render.sh
. "$config/render.sh"
require_tls_files

require_version

rendered=$REDIS_DATA/redis.conf
users=$REDIS_DATA/users.acl

answers=$REDIS_DATA/answers.new            # what the sentinels said in this round
joins=                                     # "host port" of the master this node joins, whatever its files say
has_none="This node has no data in $REDIS_DATA"

say() {
    printf '%s\n' "$1" >&2
}

# --- What is on the disk. Redis loads nothing but the append-only file: in Redis 7 several in a directory.

aof_directory=$REDIS_DATA/appendonlydir
aof_file=$REDIS_DATA/appendonly.aof

# Prints the file that Redis would load; nothing when there is none, or an empty one.
data_file() {
    for data in "$aof_directory/appendonly.aof.manifest" "$aof_file"; do
        if [ -s "$data" ]; then
            printf '%s\n' "$data"
            return
        fi
    done
}

# Whether Redis can load that file: can_be_read FILE. The server's own binary checks it under another name.
can_be_read() {
    checker=$REDIS_DATA/redis-check-aof
    ln -sf "$(command -v "$REDIS_SERVER")" "$checker"
    status=0
    verdict=$("$checker" "$1" 2>&1 </dev/null) || status=$?
    rm -f "$checker"
    case $status in
        0) ;;
        126 | 127) say "The data cannot be checked beforehand: $verdict" ;;
        *) is_cut_short "$1" "$verdict" ;;
    esac
}

# Whether the end of the last file is missing and nothing else, which is usual after a power failure and which
# Redis mends by itself: is_cut_short FILE VERDICT. Redis takes a damaged length in the middle for that, too,
# and silently drops all commands behind it; so none may begin there.
is_cut_short() {
    case $2 in
        *"Expected prefix"* | *"format error"* | *"RDB ERROR"*) return 1 ;;
        *"AOF analyzed: "*) ;;
        *) return 1 ;;
    esac
    analyzed=${2##*"AOF analyzed: "}
    size=${analyzed#*size=}
    size=${size%%,*}
    fault=${analyzed#*ok_up_to=}
    fault=${fault%%,*}
    last=$1
    if [ "$1" != "$aof_file" ]; then
        last=$(tail -n 1 "$1" | cut -d ' ' -f 2)
        [ "${analyzed%%,*}" = "filename=$last" ] || return 1
        last=$aof_directory/$last
    fi
    case $2 in
        *"Reached EOF before reading EXEC"*) return 0 ;;
        *0x*:*)
            hexadecimal=${2##*0x}
            hexadecimal=$(printf '%s' "${hexadecimal%%:*}" | tr -d ' ')
            case $hexadecimal in
                "" | *[!0-9a-f]*) return 1 ;;
            esac
            fault=$((0x$hexadecimal)) ;;
    esac
    ! tail -c $((size - fault)) "$last" | tail -n +2 | LC_ALL=C grep -q '^\*[0-9]'
}

# Keeps under another name what cannot be loaded.
set_aside() {
    stamp=$(date -u +%Y%m%dT%H%M%SZ)
    for data in "$aof_directory" "$aof_file"; do
        if [ -d "$data" ] || [ -s "$data" ]; then
            mv "$data" "$data.unreadable-$stamp"
            say "$data cannot be loaded: it is kept as $data.unreadable-$stamp; remove that when nobody needs it."
        fi
    done
}

# --- Who is the master. Everything is asked as the health user, and takes three seconds at most.

command_line_client() {
    directory=${REDIS_SERVER%/*}
    if [ "$directory" != "$REDIS_SERVER" ]; then
        for beside in "$directory/redis-cli" "$directory/valkey-cli"; do
            if [ -x "$beside" ]; then
                printf '%s\n' "$beside"
                return
            fi
        done
    fi
    command -v redis-cli || command -v valkey-cli ||
        fail "There is no redis-cli beside $REDIS_SERVER or on PATH, which asks the sentinels: install it."
}

# Sends a command: ask HOST PORT PASSWORD WORD...
ask() {
    asked_host=$1
    asked_port=$2
    REDISCLI_AUTH=$3
    shift 3
    if [ "$REDIS_ACL" = yes ]; then
        export REDISCLI_AUTH
        set -- --user health "$@"
    fi
    if [ "$REDIS_TLS" = yes ]; then
        set -- --tls --cacert "$REDIS_TLS_CA" --cert "$REDIS_TLS_CERT" --key "$REDIS_TLS_KEY" "$@"
    fi
    timeout 3 "$client" -h "$asked_host" -p "$asked_port" "$@" 2>/dev/null </dev/null || :
}

# Whether a data node says itself that it is a master: is_master HOST PORT. A replica might follow this node.
is_master() {
    ask "$1" "$2" "$node_password" role >"$answers" &
    wait $!
    [ "$(head -n 1 "$answers")" = master ]
}

# Has every sentinel answer a command, all at the same time: ask_sentinels WORD...; prints nothing, see $answers.
ask_sentinels() {
    # In the background, since a shell hears SIGTERM while it waits, and not while a command runs.
    : >"$answers"
    for sentinel in $(printf '%s' "$REDIS_SENTINELS" | tr ',' ' ' | tr -d '[]'); do
        # One write for each answer, so that they do not mix.
        {
            answer=$(ask "${sentinel%:*}" "${sentinel##*:}" "$sentinel_password" "$@" | tr '\n' ' ')
            printf '%s\n' "$answer" >>"$answers"
        } &
    done
    wait
}

# Prints "host port" of the master that most of the sentinels which answered name.
named_master() {
    awk 'NF == 2 && $2 ~ /^[0-9]+$/ { votes[$1 " " $2]++; all++ }
        END { for (one in votes) if (2 * votes[one] > all) print one }' "$answers"
}

is_this_node() {
    case $1 in
        "$REDIS_ANNOUNCE_HOST $REDIS_PORT" | "$REDIS_BIND $REDIS_PORT" | "$(uname -n) $REDIS_PORT") return 0 ;;
    esac
    return 1
}

# --- Starting without data

# Says a sentence when it differs from the last one, and every 30 seconds.
say_now_and_then() {
    now=$(date +%s)
    if [ "$1" != "${said:-}" ] || [ $((now - said_at)) -ge 30 ]; then
        said=$1
        said_at=$now
        say "$1"
    fi
}

# Looks for a master to join; otherwise $obstacle says what is in the way.
find_master_to_join() {
    ask_sentinels sentinel get-master-addr-by-name "$SENTINEL_MASTER_NAME"
    master=$(named_master)
    if [ -z "$master" ] && grep -q '[^ ]' "$answers"; then
        obstacle="the sentinels that answer do not name one master: $(sort -u "$answers" | tr '\n' ' ')"
        return 0
    elif [ -z "$master" ]; then
        obstacle="no sentinel of REDIS_SENTINELS ($REDIS_SENTINELS) names a master"
        # Nothing was ever started here; to copy from a master harms nobody, and the sentinels may start last.
        [ "$lack" = "$has_none" ] && [ -n "$REDIS_REPLICAOF" ] && [ ! -e "$rendered" ] || return 0
        master=$REDIS_REPLICAOF
        obstacle="$obstacle, and $REDIS_REPLICAOF (REDIS_REPLICAOF) does not say that it is one"
    elif is_this_node "$master"; then
        obstacle="the sentinels still name this very node as the master"
        return 0
    else
        obstacle="the sentinels name $master as the master, which does not say that it is one"
    fi
    # shellcheck disable=SC2086 # host and port
    ! is_master $master || joins=$master
}

# Waits, without listening, until there is a master to join or this node was given its order.
wait_for_a_master() {
    trap 'exit 143' TERM
    trap 'exit 130' INT
    said_at=0
    client=$(command_line_client)
    while :; do
        find_master_to_join
        [ -z "$joins" ] || break
        say_now_and_then "$lack, and $obstacle: it waits until it can join another node as its replica. $advice"
        sleep 1 &
        wait $!
        # The order may be given while we wait.
        [ "$lack" != "$has_none" ] || [ -z "$(data_file)" ] || return 0
    done
    say "$lack: it joins $joins as its replica."
    set_aside
}

decide_how_to_start() {
    file=$(data_file)
    if [ -z "$file" ]; then
        lack=$has_none
        advice="Only when the whole deployment is new, order that this node be its first master: $0 first-master"
        [ -z "$REDIS_REPLICAOF" ] ||
            advice="When the whole deployment is new, its first master, $REDIS_REPLICAOF, must run before it."
    elif ! can_be_read "$file"; then
        lack="This node cannot read its data in $file"
        advice="To use what can be read of it instead: stop this node, run redis-check-aof --fix, start it again."
    else
        return 0
    fi
    wait_for_a_master
    rm -f "$answers"
}

# --- The order to be the first master: an append-only file with nothing in it is a data set, though an empty
# one, so the node starts like any other that has data. When the disk is lost, the order is lost with it.

order_first_master() {
    [ -z "$(data_file)" ] || fail "This node has data in $REDIS_DATA: start it without an order."
    [ "${1:-}" = --force ] || refuse_if_others_have_data
    set_aside
    : >"$rendered"                         # with no role in it, which is to be the master
    # shellcheck disable=SC2016 # the dollar signs are Redis's
    printf '*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n' >"$aof_file.new"
    mv "$aof_file.new" "$aof_file"
    say "This node starts as the first master, without data."
}

refuse_if_others_have_data() {
    client=$(command_line_client)
    ask_sentinels sentinel get-master-addr-by-name "$SENTINEL_MASTER_NAME"
    master=$(named_master)
    # shellcheck disable=SC2086 # host and port
    if [ -n "$master" ] && ! is_this_node "$master" && is_master $master; then
        fail "The sentinels name $master as the master, and it is one: start this node, and it joins as a replica."
    fi
    ask_sentinels sentinel master "$SENTINEL_MASTER_NAME"
    ! grep -q ' num-slaves [1-9]' "$answers" ||
        fail "The sentinels know replicas of $master: start those. When none of them has data: first-master --force"
    rm -f "$answers"
}

# --- The files

users_of_this_node() {
    render_users "$config/redis-users.acl"
    [ -z "$REDIS_EXTRA_USERS" ] || render_users "$REDIS_EXTRA_USERS"
}

role() {
    if [ -n "$joins" ]; then
        printf 'replicaof %s\n' "$joins"
    elif [ -f "$rendered" ]; then
        grep '^replicaof ' "$rendered" || :
    elif [ -n "$REDIS_REPLICAOF" ]; then
        printf 'replicaof %s\n' "$REDIS_REPLICAOF"
    fi
}

lines_of_this_node() {
    listening
    printf 'dir "%s"\n' "$REDIS_DATA"
    # systemd wants to be told when it is ready.
    [ -z "${NOTIFY_SOCKET:-}" ] || printf 'supervised systemd\n'
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

node_password=
sentinel_password=
if [ "$REDIS_ACL" = yes ]; then
    node_password=$(secret redis_health_password)
    sentinel_password=$(secret sentinel_health_password)
fi

case ${1:-} in
    "") ;;
    first-master)
        order_first_master "${2:-}"
        exit ;;
    *) fail "$0 knows no '$1': call it without, or with first-master." ;;
esac

if [ "$REDIS_ACL" = yes ]; then
    users_of_this_node >"$users.new"
    mv "$users.new" "$users"
fi
decide_how_to_start
cat "$config/redis.conf" >"$rendered.new"
lines_of_this_node >>"$rendered.new"
mv "$rendered.new" "$rendered"

exec "$REDIS_SERVER" "$rendered"
