-- Shards that a worker leaves to others.

alter table workers add column declined text[] not null default '{}';
comment on column workers.declined is 'Routing keys of the shards that it leaves to others for now: a message of a schema that it does not know stands there. Empty by default: a worker of an earlier build does not tell.';
