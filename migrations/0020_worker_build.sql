-- What each worker is, for whoever looks for what does not fit together.

alter table workers
    add column version text,
    add column broker_nodes integer
        constraint workers_broker_nodes_not_negative check (broker_nodes >= 0),
    add column clock_skew_seconds double precision;
comment on column workers.version is 'Of its program. Like the two columns that follow null until it has introduced itself, which one of an earlier build never does.';
comment on column workers.broker_nodes is 'Nodes of the broker that it was told of: before a resize ends the old generation, each must have shown that it leads nobody there.';
comment on column workers.clock_skew_seconds is 'How far its clock was ahead of the one of this database when its session began. It is shown: no decision rests on it.';
