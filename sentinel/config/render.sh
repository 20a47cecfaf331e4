# Shared by start-redis.sh and start-sentinel.sh: secrets, users, what an address is. POSIX sh; passwords pass
# through the shell's own commands only, so none ever stands in a process's arguments.
# shellcheck shell=sh

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Prints the secret of that name. Whoever calls it in a substitution must assign it, so that set -e sees it fail.
secret() {
    secret_file=$REDIS_SECRETS/$1
    [ -r "$secret_file" ] ||
        fail "The secret $secret_file cannot be read: create the secrets with sentinel/config/make-secrets.sh."
    IFS= read -r secret_value <"$secret_file" || [ -n "$secret_value" ] ||
        fail "The secret $secret_file is empty: remove it and create it with sentinel/config/make-secrets.sh."
    case $secret_value in
        *[!A-Za-z0-9._~-]*)
            fail "The secret $secret_file holds a character other than A-Z a-z 0-9 . _ ~ -: choose another password." ;;
    esac
    printf '%s' "$secret_value"
}

# Prints one user's line with each <secret> replaced by the SHA-256 of what that secret holds.
render_user() {
    case $1 in
        "") return ;;
        *"<"*">"*)
            name=${1#*"<"}
            name=${name%%">"*}
            password=$(secret "$name")
            hash=$(printf '%s' "$password" | sha256sum)
            printf '%s%s%s\n' "${1%%"<"*}" "${hash%% *}" "${1#*">"}" ;;
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
