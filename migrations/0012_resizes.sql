-- Changing the number of shards while commands flow.

alter table shards add column marked_at timestamptz;
comment on column shards.marked_at is 'When marker 1 was met, once its generation ended: what was on its way when the queues were unbound is ahead of marker 2.';
alter table shards add constraint shards_marked_before_drained check (drained_at is null or marked_at is not null);

create table resizes (
    resize_id        integer     generated always as identity constraint resizes_pkey primary key,
    from_generation  integer     not null constraint resizes_from_fkey references generations,
    to_generation    integer     not null constraint resizes_to_fkey references generations
                                 constraint resizes_to_once unique
                                 constraint resizes_forward check (to_generation > from_generation),
    step             text        not null default 'requested' constraint resizes_step
                                 check (step in ('requested', 'declaring', 'settling', 'unbinding', 'flipped',
                                                 'marking', 'draining', 'done', 'aborted')),
    requested_by     text        not null,
    reason           text        not null,
    coordinator      text,
    requested_at     timestamptz not null default clock_timestamp(),
    declared_at      timestamptz,
    unbound_at       timestamptz,
    flipped_at       timestamptz,
    finished_at      timestamptz,
    constraint resizes_finished check ((finished_at is not null) = (step in ('done', 'aborted')))
);
comment on table resizes is 'Each change of the number of shards, step by step. Every step is begun by a conditional update of its row, before anything is asked of the broker.';
comment on column resizes.step is 'requested; declaring: the new queues; settling: they are too young for traffic; unbinding: the old queues, from here on it cannot be aborted; flipped: the new generation is current; marking: marker 1 is under way; draining: marker 2 is; done; aborted.';
comment on column resizes.coordinator is 'The worker that took the last step. Whoever holds the lock at the broker may take the next.';
comment on column resizes.declared_at is 'When the new queues were declared: a young quorum queue is not crash-safe.';

create unique index resizes_one_open on resizes ((true)) where step not in ('done', 'aborted');
comment on index resizes_one_open is 'One at a time.';

alter table generations drop constraint generations_state;
alter table generations add constraint generations_state
    check (state in ('prepared', 'current', 'draining', 'drained', 'retired', 'aborted'));
comment on column generations.state is 'prepared: its queues are being made, nobody publishes; current: commands go here; draining: no new ones; drained: every shard met its markers, stragglers are forwarded; retired: its queues are deleted; aborted: never became current.';

-- Who waits for a generation to be drained, or for a resize to coordinate, is told at once.
create function notify_resize() returns trigger language plpgsql as $$
begin
    perform pg_notify('orderly_generation', new.to_generation::text);
    return null;
end
$$;
create trigger resizes_notify after insert or update on resizes
    for each row execute function notify_resize();
create trigger shards_drained_notify after update of drained_at on shards
    for each row when (old.drained_at is null and new.drained_at is not null)
    execute function notify_generation();
