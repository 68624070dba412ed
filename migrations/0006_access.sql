-- Who may do what, and what proves an accepted command.

create table api_keys (
    key_id       text        constraint api_keys_pkey primary key,
    producer     uuid        not null,
    name         text        not null,
    secret_hash  bytea       not null constraint api_keys_hash_is_sha256 check (octet_length(secret_hash) = 32),
    scopes       text[]      not null,
    created_at   timestamptz not null default clock_timestamp(),
    revoked_at   timestamptz
);
comment on table api_keys is 'API keys. The secret is shown once and kept as SHA-256 only.';
comment on column api_keys.producer is 'Scope of idempotency keys; several API keys may belong to one producer.';

create function notify_api_keys() returns trigger language plpgsql as $$
begin
    perform pg_notify('orderly_api_keys', '');
    return null;
end
$$;
create trigger api_keys_notify after insert or update or delete on api_keys
    for each statement execute function notify_api_keys();

create table receipt_keys (
    receipt_key_id  integer     generated always as identity constraint receipt_keys_pkey primary key,
    secret          bytea       not null constraint receipt_keys_length check (octet_length(secret) = 32),
    created_at      timestamptz not null default clock_timestamp()
);
comment on table receipt_keys is 'HMAC keys of receipts, shared by all ingress processes: the newest signs, the one before still verifies.';
insert into receipt_keys (secret)
    values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
