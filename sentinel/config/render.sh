# Shared by start-redis.sh and start-sentinel.sh: secrets, users, what an address is. POSIX sh; passwords pass
# through the shell's own commands only, so none ever stands in a process's arguments.
# shellcheck shell=sh

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Ends where REDIS_SERVER names a version that lacks what is relied on: users on sentinels, and channels as rights.
# Whatever names no version is left to fail by itself.
require_version() {
    told=$("$REDIS_SERVER" --version 2>/dev/null) || return 0
    case $told in
        *"server v="[0-9]*.[0-9]*) ;;
        *) return 0 ;;
    esac
    version=${told#*"server v="}
    version=${version%%[!0-9.]*}
    minor=${version#*.}
    minor=${minor%%.*}
    if [ "${version%%.*}" -lt 6 ] || { [ "${version%%.*}" -eq 6 ] && [ "$minor" -lt 2 ]; }; then
        fail "$REDIS_SERVER is version $version, and 6.2 is the oldest that works: install a newer Redis, or name one with REDIS_SERVER."
    fi
}

# Prints the passwords in the secret of that name, one a line. The first is logged in with; all are accepted, so
# that a password can be changed without an outage. Whoever calls it in a substitution must assign it, so that
# set -e sees it fail.
passwords_in() {
    secret_file=$REDIS_SECRETS/$1
    [ -r "$secret_file" ] ||
        fail "The secret $secret_file cannot be read: create the secrets with sentinel/config/make-secrets.sh."
    secret_values=
    while IFS= read -r secret_value || [ -n "$secret_value" ]; do
        case $secret_value in
            "") continue ;;
            *[!A-Za-z0-9._~-]*)
                fail "The secret $secret_file holds a character other than A-Z a-z 0-9 . _ ~ -: choose another password." ;;
        esac
        secret_values="$secret_values$secret_value
"
    done <"$secret_file"
    [ -n "$secret_values" ] ||
        fail "The secret $secret_file is empty: remove it and create it with sentinel/config/make-secrets.sh."
    printf '%s' "$secret_values"
}

# Prints the password to log in with, the first in the secret of that name. Assign it, as above.
secret() {
    all_of_it=$(passwords_in "$1")
    printf '%s' "${all_of_it%%
*}"
}

# Prints one user's line with each #<secret> replaced by the SHA-256 of each password that the secret holds.
render_user() {
    case $1 in
        "") return ;;
        *"#<"*">"*)
            name=${1#*"#<"}
            name=${name%%">"*}
            passwords=$(passwords_in "$name")
            hashes=
            for password in $passwords; do
                hash=$(printf '%s' "$password" | sha256sum)
                hashes="$hashes #${hash%% *}"
            done
            printf '%s%s%s\n' "${1%%"#<"*}" "${hashes# }" "${1#*">"}" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

# Prints the users of a template: comments left out, indented lines joined to the user they belong to.
render_users() {
    user=
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            "#"* | "") ;;
            " "*) user="$user ${line#"${line%%[! ]*}"}" ;;
            *)
                render_user "$user"
                user=$line ;;
        esac
    done <"$1"
    render_user "$user"
}

# Whether a host is an IP address rather than a name: is_address HOST.
is_address() {
    case $1 in
        *:*) return 0 ;;
        *[!0-9.]*) return 1 ;;
        *.*.*.*) return 0 ;;
    esac
    return 1
}

# Stops the start where TLS is wanted and a file of it is not there; every other word than yes and no is a mistake.
require_tls_files() {
    case $REDIS_TLS in
        no | false) REDIS_TLS=no ;;
        yes | true) REDIS_TLS=yes ;;
        *) fail "REDIS_TLS is '$REDIS_TLS': set it to yes or no." ;;
    esac
    [ "$REDIS_TLS" = yes ] || return 0
    : "${REDIS_TLS_CA:=$REDIS_SECRETS/redis_tls_ca}"
    : "${REDIS_TLS_CERT:=$REDIS_SECRETS/redis_tls_cert}"
    : "${REDIS_TLS_KEY:=$REDIS_SECRETS/redis_tls_key}"
    case $REDIS_TLS_AUTH_CLIENTS in
        yes | no | optional) ;;
        *) fail "REDIS_TLS_AUTH_CLIENTS is '$REDIS_TLS_AUTH_CLIENTS': set it to yes, no or optional." ;;
    esac
    for file in "$REDIS_TLS_CA" "$REDIS_TLS_CERT" "$REDIS_TLS_KEY"; do
        [ -r "$file" ] && [ -s "$file" ] ||
            fail "$file cannot be read or is empty: create it with sentinel/config/make-secrets.sh tls, or set REDIS_TLS=no."
    done
}

# Prints the lines that say where to listen, and how: with TLS there is no other port.
listening() {
    if [ "$REDIS_TLS" = no ]; then
        printf 'bind %s\nport %s\n' "$REDIS_BIND" "$REDIS_PORT"
        return
    fi
    printf 'bind %s\nport 0\ntls-port %s\ntls-replication yes\n' "$REDIS_BIND" "$REDIS_PORT"
    printf 'tls-ca-cert-file "%s"\n' "$REDIS_TLS_CA"
    printf 'tls-cert-file "%s"\ntls-key-file "%s"\n' "$REDIS_TLS_CERT" "$REDIS_TLS_KEY"
    printf 'tls-auth-clients %s\n' "$REDIS_TLS_AUTH_CLIENTS"
}
