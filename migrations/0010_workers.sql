-- Who is there to own shards.

create table workers (
    worker      text        constraint workers_pkey primary key,
    capacity    integer     constraint workers_capacity_positive check (capacity > 0),
    subscribed  text[]      not null,
    started_at  timestamptz not null default clock_timestamp(),
    seen_at     timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
comment on table workers is 'Heartbeats. From the rows that are fresh each worker reckons which shards are its own. A wrong view costs moves, never order: the broker and the epoch see to that.';
comment on column workers.worker is 'One process; a new one has a new name. The owner of a shard is named so too.';
comment on column workers.capacity is 'Shards that it will own at the most; null: any number.';
comment on column workers.subscribed is 'Routing keys of the shards whose queues it consumes: who gives a shard up looks here whether the next owner is there.';
comment on column workers.seen_at is 'Clock of this database at its last heartbeat.';
