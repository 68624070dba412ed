-- Outcomes: what became of every command, written once.

create table commands (
    command_id   uuid        constraint commands_pkey primary key,
    order_id     uuid        not null,
    producer     uuid        not null,
    type         text        not null,
    fingerprint  bytea       not null constraint commands_fingerprint_is_sha256 check (octet_length(fingerprint) = 32),
    outcome      text        not null constraint commands_outcome check (outcome in ('applied', 'rejected', 'discarded')),
    version      bigint      not null constraint commands_version_not_negative check (version >= 0),
    rejection    jsonb,
    accepted_at  timestamptz not null,
    decided_at   timestamptz not null,
    constraint commands_rejection_when_not_applied check ((outcome = 'applied') = (rejection is null)),
    constraint commands_applied_has_version check (outcome <> 'applied' or version > 0)
);
comment on table commands is 'The one final outcome of a command id, over all shards. No row: still queued, parked or never accepted.';
comment on column commands.command_id is 'UUIDv5 of producer and idempotency key, or minted. Its unique index is what makes the effect happen once.';
comment on column commands.order_id is 'No foreign key: a rejected command may name an order that never existed.';
comment on column commands.fingerprint is 'SHA-256 of the canonical request. Another fingerprint under the same id is a reused key.';
comment on column commands.version is 'applied: the version it made; otherwise the version it was decided against, 0 without an order.';
comment on column commands.rejection is 'Code, detail and faults of a rejected or discarded command.';

create index commands_order_id on commands (order_id);

create table command_conflicts (
    command_id   uuid        not null,
    fingerprint  bytea       not null constraint command_conflicts_fingerprint_is_sha256 check (octet_length(fingerprint) = 32),
    order_id     uuid        not null,
    producer     uuid        not null,
    type         text        not null,
    accepted_at  timestamptz not null,
    seen_at      timestamptz not null,
    constraint command_conflicts_pkey primary key (command_id, fingerprint)
);
comment on table command_conflicts is 'Commands never applied because their id already belongs to another request: a reused idempotency key.';
