#!/bin/sh
# Creates the secrets compose.yaml mounts, each in a file of its own: sh sentinel/config/make-secrets.sh
#
#   make-secrets.sh [DIRECTORY]             all: the passwords and, where there is openssl, what TLS needs
#   make-secrets.sh tls [DIRECTORY]         only what TLS needs: an authority of our own, the nodes' certificate,
#                                           and the certificate that web and worker show where one is demanded
#   make-secrets.sh renew-tls [DIRECTORY]   both certificates anew, by the same authority
#
# Files that exist are kept, so that it can be run again after a new one was added, or after one was removed to
# have it changed. Compose hands the files to the containers with the rights they have here: the containers'
# users must be able to read them, so it is the directory that keeps everybody else on this machine out.
#
# The nodes' certificate is for compose's names and addresses, those of REDIS_NETWORK_PREFIX in the environment, else in
# compose's .env here, and for this machine; REDIS_TLS_NAMES="HOST ADDRESS ..." names more. The authority's key, redis_tls_ca_key, belongs to no container:
# keep it elsewhere if you can, and bring it back to renew.
set -eu

if [ -z "${REDIS_NETWORK_PREFIX:-}" ] && [ -r .env ]; then
    REDIS_NETWORK_PREFIX=$(sed -n 's/^[[:space:]]*REDIS_NETWORK_PREFIX=["'"'"']\{0,1\}\([0-9.]*\).*/\1/p' .env | tail -n 1)
fi
: "${REDIS_NETWORK_PREFIX:=172.29.77}"
: "${REDIS_TLS_NAMES:=}"
: "${REDIS_TLS_DAYS:=825}"                 # how long a certificate is valid; the authority: ten years

order=all
case ${1:-} in
    tls | renew-tls)
        order=$1
        shift ;;
esac
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
    publish "$1"
}

# Puts NAME.new in the place of NAME at once, so that nobody reads half of it.
publish() {
    chmod 644 "$directory/$1.new"
    mv "$directory/$1.new" "$directory/$1"
}

# Runs openssl, whose chatter is shown only when it fails.
run_openssl() {
    said=$(openssl "$@" 2>&1) || {
        printf 'openssl %s failed: %s\n' "$1" "$said" >&2
        exit 1
    }
}

new_key() {
    run_openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

authority() {
    [ ! -s "$directory/redis_tls_ca" ] || return 0
    new_key "$directory/redis_tls_ca_key"
    # Without a file of settings of its own, openssl would add what the machine's says.
    printf '[req]\ndistinguished_name=name\nx509_extensions=ca\n[name]\n[ca]\n%s\n%s\n%s\n' \
        'basicConstraints=critical,CA:TRUE' 'keyUsage=critical,keyCertSign,cRLSign' \
        'subjectKeyIdentifier=hash' >"$directory/openssl.new"
    run_openssl req -x509 -new -sha256 -days 3650 -subj "/CN=Verifier's own authority" \
        -config "$directory/openssl.new" -key "$directory/redis_tls_ca_key" -out "$directory/redis_tls_ca.new"
    rm "$directory/openssl.new"
    publish redis_tls_ca
}

alternative_names() {
    printf 'DNS:localhost,IP:127.0.0.1,IP:::1'
    for number in 1 2 3; do
        printf ',DNS:redis-%s,DNS:sentinel-%s' "$number" "$number"
        printf ',IP:%s.1%s,IP:%s.2%s' "$REDIS_NETWORK_PREFIX" "$number" "$REDIS_NETWORK_PREFIX" "$number"
    done
    for name in $REDIS_TLS_NAMES; do
        case $name in
            *:*) printf ',IP:%s' "$name" ;;
            *[!0-9.]*) printf ',DNS:%s' "$name" ;;
            *) printf ',IP:%s' "$name" ;;
        esac
    done
}

# Makes a certificate and its key where there is none: certificate PREFIX COMMON-NAME EXTENSION
certificate() {
    [ ! -s "$directory/$1_cert" ] || return 0
    [ -r "$directory/redis_tls_ca_key" ] || {
        printf '%s\n' "$directory/redis_tls_ca_key is not there: bring the authority's key back to have certificates signed." >&2
        exit 1
    }
    new_key "$directory/$1_key.new"
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'extendedKeyUsage=serverAuth,clientAuth' \
        "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" "$3" >"$directory/openssl.new"
    run_openssl req -new -sha256 -subj "/CN=$2" -key "$directory/$1_key.new" -out "$directory/request.new"
    run_openssl x509 -req -sha256 -days "$REDIS_TLS_DAYS" -in "$directory/request.new" \
        -CA "$directory/redis_tls_ca" -CAkey "$directory/redis_tls_ca_key" -set_serial "0x$(random | cut -c 1-32)" \
        -extfile "$directory/openssl.new" -out "$directory/$1_cert.new"
    rm "$directory/openssl.new" "$directory/request.new"
    publish "$1_key"
    publish "$1_cert"
}

tls() {
    authority
    certificate redis_tls "Verifier's Redis" "subjectAltName=$(alternative_names)"
    certificate verifier_tls "Verifier" "subjectAltName=DNS:verifier"
}

has_openssl() {
    command -v openssl >/dev/null
}

if [ "$order" != all ] && ! has_openssl; then
    printf '%s\n' "There is no openssl, which makes keys and certificates: install it, or make them elsewhere." >&2
    exit 1
fi
case $order in
    renew-tls)
        [ -r "$directory/redis_tls_ca_key" ] || {
            printf '%s\n' "$directory/redis_tls_ca_key is not there: bring the authority's key back to renew." >&2
            exit 1
        }
        # Written into the files that are there: a container has these very files mounted, not their names.
        rm -rf "$directory/renewal.new"
        mkdir "$directory/renewal.new"
        cp "$directory/redis_tls_ca" "$directory/redis_tls_ca_key" "$directory/renewal.new"
        (
            directory=$directory/renewal.new
            tls
        )
        for each in redis_tls verifier_tls; do
            cat "$directory/renewal.new/${each}_key" >"$directory/${each}_key"
            cat "$directory/renewal.new/${each}_cert" >"$directory/${each}_cert"
        done
        rm -rf "$directory/renewal.new"
        exit ;;
    tls)
        tls
        exit ;;
esac

for user in redis_app redis_replica redis_sentinel redis_health redis_ops \
    sentinel_peer sentinel_app sentinel_health sentinel_ops; do
    create "${user}_password" "$(random)"
done
create verifier_secret_keys "k1:$(random)"
# The mail relay's password; left empty where the relay asks for none.
create mail_password ""
# What opens the operators' page, /ops; left empty where there is none.
create verifier_ops_password ""
if has_openssl; then
    tls
else
    # Compose wants the files to be there; without REDIS_TLS=yes nobody reads them.
    for file in redis_tls_ca redis_tls_cert redis_tls_key verifier_tls_cert verifier_tls_key; do
        [ -e "$directory/$file" ] || : >"$directory/$file"
        chmod 644 "$directory/$file"
    done
    printf '%s\n' "There is no openssl, so no certificates were made: REDIS_TLS=yes needs make-secrets.sh tls." >&2
fi
