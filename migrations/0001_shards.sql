-- The layout of the shards and who owns each.

create table generations (
    generation   integer     constraint generations_pkey primary key
                             constraint generations_positive check (generation > 0),
    shard_count  integer     not null constraint generations_shard_count check (shard_count between 1 and 999),
    prefetch     integer     not null constraint generations_prefetch check (prefetch between 1 and 65535),
    state        text        not null constraint generations_state
                             check (state in ('prepared', 'current', 'draining', 'drained', 'aborted')),
    created_at   timestamptz not null default clock_timestamp()
);
comment on table generations is 'One row per shard layout ever used. Numbers are never reused, not even after an abort.';
comment on column generations.shard_count is 'Number of shard queues; names have three digits.';
comment on column generations.prefetch is 'Messages unacked per consumer. Constant for a generation: lowering it on a live queue reorders after two crashes.';
comment on column generations.state is 'prepared: queues exist, nobody publishes; current: commands go here; draining: no new ones; drained: every shard met its marker; aborted: never became current.';

create unique index generations_one_current on generations ((true)) where state = 'current';
comment on index generations_one_current is 'At most one generation takes new commands.';

create table shards (
    generation  integer     not null constraint shards_generation_fkey references generations,
    shard       integer     not null constraint shards_not_negative check (shard >= 0),
    epoch       bigint      not null default 0 constraint shards_epoch_not_negative check (epoch >= 0),
    owner       text,
    claimed_at  timestamptz,
    drained_at  timestamptz,
    constraint shards_pkey primary key (generation, shard),
    constraint shards_claimed_by_someone check ((owner is null) = (epoch = 0))
) with (fillfactor = 50);
comment on table shards is 'Ownership of each shard. Every batch locks its row for share; a claim updates it, and so waits for a batch in flight.';
comment on column shards.epoch is 'Number of claims so far. A transaction whose epoch is not this one commits nothing.';
comment on column shards.owner is 'The worker that claimed last.';
comment on column shards.claimed_at is 'When.';
comment on column shards.drained_at is 'When the last command of this shard was applied, once its generation ended.';

create function notify_generation() returns trigger language plpgsql as $$
begin
    perform pg_notify('orderly_generation', new.generation::text);
    return null;
end
$$;
create trigger generations_notify after insert or update on generations
    for each row execute function notify_generation();
