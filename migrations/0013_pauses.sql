-- Shards that nobody consumes for now, because somebody said so.

create table pauses (
    pause_id    integer     generated always as identity constraint pauses_pkey primary key,
    generation  integer,
    shard       integer,
    paused_by   text        not null,
    reason      text        not null,
    paused_at   timestamptz not null default clock_timestamp(),
    expires_at  timestamptz,
    constraint pauses_shard_fkey foreign key (generation, shard) references shards,
    constraint pauses_one_or_all check ((generation is null) = (shard is null)),
    constraint pauses_once unique nulls not distinct (generation, shard)
);
comment on table pauses is 'Paused shards; a row without a shard pauses all. Commands wait in their queues meanwhile. A row that expired pauses nothing.';
comment on column pauses.paused_by is 'The API key that did it.';

create function notify_pause() returns trigger language plpgsql as $$
begin
    perform pg_notify('orderly_generation', '');
    return null;
end
$$;
create trigger pauses_notify after insert or update or delete on pauses
    for each statement execute function notify_pause();
