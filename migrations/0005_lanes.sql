-- What cannot be applied now waits here, visible and in order.

create table lanes (
    order_id   uuid        constraint lanes_pkey primary key,
    reason     text        not null,
    detail     text        not null,
    parked_at  timestamptz not null
);
comment on table lanes is 'An order whose commands are parked. While the row is here, every new command of the order joins the tail.';
comment on column lanes.reason is 'Why the head could not be decided, as a stable code.';

create table lane_entries (
    order_id     uuid        not null constraint lane_entries_lane_fkey references lanes,
    position     bigint      not null constraint lane_entries_position_positive check (position > 0),
    command_id   uuid        not null constraint lane_entries_once unique,
    producer     uuid        not null,
    type         text        not null,
    fingerprint  bytea       not null constraint lane_entries_fingerprint_is_sha256 check (octet_length(fingerprint) = 32),
    envelope     bytea       not null,
    accepted_at  timestamptz not null,
    parked_at    timestamptz not null,
    constraint lane_entries_pkey primary key (order_id, position)
);
comment on table lane_entries is 'Parked commands of an order, oldest first.';
comment on column lane_entries.envelope is 'The bytes as they came.';

create table dead_letters (
    dead_letter_id  bigint      generated always as identity constraint dead_letters_pkey primary key,
    body_hash       bytea       not null constraint dead_letters_once unique
                                constraint dead_letters_hash_is_sha256 check (octet_length(body_hash) = 32),
    body            bytea       not null,
    headers         jsonb       not null,
    reason          text        not null,
    detail          text        not null,
    generation      integer     not null,
    shard           integer     not null,
    received_at     timestamptz not null
);
comment on table dead_letters is 'What cannot be read, or names no order. Nothing is ever purged by itself.';
comment on column dead_letters.body_hash is 'SHA-256 of the bytes: a redelivery is the same dead letter.';

create table attempts (
    attempt_id     uuid        constraint attempts_pkey primary key,
    envelope_hash  bytea       not null constraint attempts_hash_is_sha256 check (octet_length(envelope_hash) = 32),
    owner          text        not null,
    started_at     timestamptz not null default clock_timestamp(),
    ended_at       timestamptz
);
comment on table attempts is 'Commands run alone after repeated redelivery. One left open was ended by the death of its process.';
create index attempts_envelope_hash on attempts (envelope_hash) where ended_at is null;
