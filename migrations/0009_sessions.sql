-- What proves that somebody logged in at a browser.

create table session_keys (
    session_key_id  integer     generated always as identity constraint session_keys_pkey primary key,
    secret          bytea       not null constraint session_keys_length check (octet_length(secret) = 32),
    created_at      timestamptz not null default clock_timestamp()
);
comment on table session_keys is 'HMAC keys of sessions, shared by all processes that take them: the newest signs, the one before still verifies. Not those of receipts: two new rows end every session, and no receipt.';
insert into session_keys (secret)
    values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- Whoever keeps the API keys in memory keeps these beside them.
create trigger session_keys_notify after insert or update or delete on session_keys
    for each statement execute function notify_api_keys();
