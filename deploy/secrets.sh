#!/bin/sh
# Makes the secrets that docker-compose.yml reads, in deploy/secrets/: random passwords, and the URLs that hold them. What is there
# already is kept.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

# Standard input becomes file $1, whole or not at all, unless there is one.
make() {
    if [ -e "$1" ]; then return; fi
    cat >"$1.new"
    # A tool that is missing would leave an empty password.
    [ -s "$1.new" ]
    # The containers' users are not this one. The folder keeps others out, the file lets them in.
    chmod 0444 "$1.new"
    mv "$1.new" "$1"
}
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

random | make database_password
printf 'postgres://orderly:%s@postgres:5432/orderly' "$(cat database_password)" | make database_url
random | make amqp_password
printf 'default_user = orderly\ndefault_pass = %s\n' "$(cat amqp_password)" | make rabbitmq_login.conf
printf 'amqp://orderly:%s@rabbitmq:5672/%%2f' "$(cat amqp_password)" | make amqp_url
echo "the secrets are in $PWD"
