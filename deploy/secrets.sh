#!/bin/sh
# Makes the secrets that docker-compose.yml reads, once: random logins in deploy/secrets/, readable by their owner alone.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
if [ ! -e secrets/database_password ]; then
    password=$(random)
    printf '%s' "$password" >secrets/database_password
    printf 'postgres://orderly:%s@postgres:5432/orderly' "$password" >secrets/database_url
fi
if [ ! -e secrets/amqp_url ]; then
    password=$(random)
    printf 'default_user = orderly\ndefault_pass = %s\n' "$password" >secrets/rabbitmq_login.conf
    printf 'amqp://orderly:%s@rabbitmq:5672/%%2f' "$password" >secrets/amqp_url
fi
# The containers' users are not this one: the folder keeps others out, the files let them in.
chmod 0444 secrets/*
echo "secrets are in $(pwd)/secrets"
