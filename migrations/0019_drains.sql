-- Workers whose shards go to others, because somebody said so.

create table drains (
    worker      text        constraint drains_pkey primary key,
    drained_by  text        not null,
    reason      text        not null,
    drained_at  timestamptz not null default clock_timestamp()
);
comment on table drains is 'Workers that own a shard only where nobody else has room, so that they can be stopped. A table of its own, and not columns of workers: a worker that loses its broker leaves that list, and comes back under the same name.';
comment on column drains.worker is 'One process: what replaces it has another name, so that nothing has to be taken back.';
comment on column drains.drained_by is 'The API key that did it.';
