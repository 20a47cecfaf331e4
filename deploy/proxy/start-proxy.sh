#!/bin/sh
# Starts the proxy in front of the web app: renders nginx.conf into a scratch directory, then becomes nginx.
#
#   start-proxy.sh           starts it
#   start-proxy.sh check     is the container's health check
#
# With a certificate it speaks TLS, and sends browsers that come without it there, if they ask for a host that is named here.
# The API is refused without TLS: whoever sends a key in the clear must notice. Where TLS is demanded it does not start
# without a certificate.
set -eu
umask 077

: "${PROXY_LISTEN:=8080}"                          # the port, or address:port; with a certificate: of TLS
: "${PROXY_REDIRECT_LISTEN:=8081}"                 # with a certificate: where plain HTTP is sent on to TLS
: "${PROXY_UPSTREAM:=127.0.0.1:8000}"              # address:port of gunicorn
: "${PROXY_CERTIFICATE:=/certificates/fullchain.pem}"
: "${PROXY_CERTIFICATE_KEY:=/certificates/privkey.pem}"
: "${PROXY_HOSTS:=}"                               # with a certificate: the hosts, with commas, that may be sent on
: "${PROXY_TLS:=}"                                 # yes: both files must be there
: "${PROXY_SCHEME:=}"                              # https, where TLS ends before this proxy
: "${PROXY_REAL_IP_FROM:=}"                        # networks of proxies in front of this one, with commas
: "${PROXY_CONNECTIONS:=3072}"                      # a waiting client takes one, a request that is passed on two
: "${PROXY_REQUESTS_PER_CLIENT:=}"                 # of one address at the same time; empty: half of the connections
: "${PROXY_ACCESS_LOG:=yes}"
: "${PROXY_SCRATCH:=/tmp/proxy}"                   # a writable directory

config=${0%/*}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

if [ "${1:-}" = check ]; then
    # shellcheck disable=SC2016 # bash's own variables
    exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"; printf "GET /proxy-health HTTP/1.0\r\n\r\n" >&3
        read -r -t 3 line <&3; case $line in *" 204 "*) ;; *) exit 1 ;; esac' - "$(
        if [ -e "$PROXY_CERTIFICATE" ]; then echo "${PROXY_REDIRECT_LISTEN##*:}"; else echo "${PROXY_LISTEN##*:}"; fi)"
fi
[ -z "${1:-}" ] || fail "$0 knows no '$1': call it without, or with check."

# Nothing that was set may write lines of its own into the file.
for value in "$PROXY_LISTEN" "$PROXY_REDIRECT_LISTEN" "$PROXY_UPSTREAM" "$PROXY_CERTIFICATE" "$PROXY_CERTIFICATE_KEY" \
    "$PROXY_HOSTS" "$PROXY_SCHEME" "$PROXY_REAL_IP_FROM" "$PROXY_REQUESTS_PER_CLIENT" "$PROXY_CONNECTIONS" "$PROXY_SCRATCH"; do
    case $value in
        *[!]A-Za-z0-9.:_,/@%+[-]*)
            fail "The proxy's setting '$value' holds a character that it can't: see deploy/proxy/start-proxy.sh." ;;
    esac
done
case $PROXY_REQUESTS_PER_CLIENT$PROXY_CONNECTIONS in
    *[!0-9]*) fail "PROXY_REQUESTS_PER_CLIENT and PROXY_CONNECTIONS are numbers." ;;
esac
case $PROXY_SCHEME in
    "" | http | https) ;;
    *) fail "PROXY_SCHEME is '$PROXY_SCHEME': make it https or leave it out." ;;
esac
case $PROXY_TLS in
    "" | yes | no) ;;
    *) fail "PROXY_TLS is '$PROXY_TLS': make it yes, or leave it out." ;;
esac
command -v nginx >/dev/null || fail "There is no nginx on PATH: install it."

tls=
redirect=
listen=$PROXY_LISTEN
scheme=${PROXY_SCHEME:-\$scheme}
if [ "$PROXY_TLS" = yes ] || [ -e "$PROXY_CERTIFICATE" ] || [ -e "$PROXY_CERTIFICATE_KEY" ]; then
    for file in "$PROXY_CERTIFICATE" "$PROXY_CERTIFICATE_KEY"; do
        [ -e "$file" ] || fail "$file is missing: put the certificate and its key there, or do without TLS here."
        [ -r "$file" ] && [ -s "$file" ] ||
            fail "$file cannot be read or is empty: give the proxy's user the right to, or remove both files."
    done
    listen="$PROXY_LISTEN ssl http2"
    tls="ssl_certificate $PROXY_CERTIFICATE; ssl_certificate_key $PROXY_CERTIFICATE_KEY;"
    tls="$tls ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:2m; ssl_session_timeout 1h; ssl_session_tickets off;"
    health="location = /proxy-health { allow 127.0.0.1; deny all; access_log off; return 204; }"
    api="location /v1/ { default_type application/problem+json; return 403 '$(
        printf '%s' '{"type": "about:blank", "title": "Forbidden", "status": 403, "code": "https_required", "detail": ' \
            '"This API is served by https only. What was sent went over the network in the clear: ' \
            'replace the API key, if there was one.", "request_id": "$request_id"}')'; }"
    page="<!doctype html><html lang=\"en\"><title>Please use https</title><h1>Please use https</h1><p>This service is reached"
    page="$page by https only: type https:// before its address.</p></html>"
    listen_plain="listen $PROXY_REDIRECT_LISTEN"
    redirect="server { $listen_plain default_server; $health $api"
    redirect="$redirect location / { default_type \"text/html; charset=utf-8\"; return 403 '$page'; } }"
    hosts=$(printf '%s' "$PROXY_HOSTS" | tr ',' ' ')
    if [ -n "$hosts" ]; then
        redirect="$redirect server { $listen_plain; server_name $hosts; $health $api"
        redirect="$redirect location / { return 308 https://\$host\$request_uri; } }"
    fi
fi

own_headers=
for header in X-Content-Type-Options=sniffing Content-Security-Policy=policy X-Frame-Options=framing \
    Referrer-Policy=referrers Cross-Origin-Opener-Policy=openers Cross-Origin-Resource-Policy=embedding \
    Cache-Control=caching X-Request-ID=request_id Strict-Transport-Security=transport; do
    own_headers="$own_headers add_header ${header%=*} \$own_${header#*=} always;"
done

real_ip=
if [ -n "$PROXY_REAL_IP_FROM" ]; then
    for network in $(printf '%s' "$PROXY_REAL_IP_FROM" | tr ',' ' '); do
        real_ip="$real_ip set_real_ip_from $network;"
    done
    real_ip="$real_ip real_ip_header X-Forwarded-For; real_ip_recursive on;"
fi

access_log=off
if [ "$PROXY_ACCESS_LOG" = yes ]; then
    access_log="/dev/stdout short"
    # systemd's journal is a socket, and nginx can't open one by its name.
    [ ! -S /dev/stdout ] || access_log="syslog:server=unix:/dev/log,nohostname,tag=verifier_proxy short"
fi
spare_files=64
most_files=$(ulimit -Hn)
if [ "$most_files" != unlimited ] && [ $((PROXY_CONNECTIONS + spare_files)) -gt "$most_files" ]; then
    PROXY_CONNECTIONS=$((most_files - spare_files))
    printf '%s\n' "The proxy may have $most_files open files, so it takes $PROXY_CONNECTIONS connections." >&2
fi
files=$((PROXY_CONNECTIONS + spare_files))
# Whoever has a backend call the API sends all of it from one address, and behind an engine's published port all visitors
# may have one; in an outage ten seconds of it wait. Half of the connections are as many requests as can be passed on.
: "${PROXY_REQUESTS_PER_CLIENT:=$((PROXY_CONNECTIONS / 2))}"

mkdir -p "$PROXY_SCRATCH"
sed -e "s|<files>|$files|" -e "s|<connections>|$PROXY_CONNECTIONS|" -e "s|<scratch>|$PROXY_SCRATCH|" \
    -e "s|<access_log>|$access_log|" -e "s|<requests>|$PROXY_REQUESTS_PER_CLIENT|" -e "s|<real_ip>|$real_ip|" \
    -e "s|<scheme>|$scheme|" -e "s|<own_headers>|$own_headers|" -e "s|<redirect>|$redirect|" -e "s|<listen>|$listen|" -e "s|<tls>|$tls|" \
    -e "s|<upstream>|$PROXY_UPSTREAM|" "$config/nginx.conf" >"$PROXY_SCRATCH/nginx.conf"

exec nginx -e stderr -c "$PROXY_SCRATCH/nginx.conf"
