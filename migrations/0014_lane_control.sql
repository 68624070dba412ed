-- Control commands: what operators do to a lane, in the order's shard.

alter table lanes
    add column paused_by        text,
    add column paused_reason    text,
    add column paused_at        timestamptz,
    add column paused_until     timestamptz,
    add column pause_id         uuid,
    add column releasing        uuid,
    add column discard_through  bigint,
    add column decided          bigint not null default 0,
    add column discarded        bigint not null default 0,
    add constraint lanes_pause_whole check (
        (pause_id is null) = (paused_by is null)
        and (pause_id is null) = (paused_reason is null)
        and (pause_id is null) = (paused_at is null)
        and (paused_until is null or pause_id is not null)),
    add constraint lanes_paused_by_someone check (reason <> 'paused' or pause_id is not null),
    add constraint lanes_released_by_someone check (
        (reason = 'releasing') = (releasing is not null)
        and (releasing is null) = (discard_through is null));
comment on column lanes.reason is 'Why the head could not be decided, as a stable code; "paused" when nothing failed, "releasing" between two parts of a release.';
comment on column lanes.paused_by is 'The id of the key that paused the order.';
comment on column lanes.paused_until is 'By the clock of this database. Past it, a control command ends the pause.';
comment on column lanes.pause_id is 'The control command that paused the order.';
comment on column lanes.releasing is 'The control command that is releasing this lane: its redelivery goes on where it stopped.';
comment on column lanes.discard_through is 'The last position that this release discards; it decides what is behind.';
comment on column lanes.decided is 'Commands that the release has decided in its earlier parts.';
comment on column lanes.discarded is 'Commands that the release has discarded in its earlier parts.';

create index lanes_paused_until on lanes (paused_until) where paused_until is not null;

create table controls (
    command_id   uuid        constraint controls_pkey primary key,
    order_id     uuid        not null,
    given_by     text        not null,
    reason       text        not null,
    head         uuid,
    replacement  uuid,
    decided      bigint      not null constraint controls_decided_not_negative check (decided >= 0),
    discarded    bigint      not null constraint controls_discarded_not_negative check (discarded >= 0),
    waiting      bigint      not null constraint controls_waiting_not_negative check (waiting >= 0)
);
comment on table controls is 'What each control command did, beside its outcome.';
comment on column controls.given_by is 'The id of the key.';
comment on column controls.head is 'The command that it was about.';
comment on column controls.replacement is 'The command that an edit put in the place of that head.';
comment on column controls.decided is 'Commands that it released and that were decided.';
comment on column controls.waiting is 'Commands that were left in the lane, its new head among them.';

-- A control command makes no event, also on an order that does not exist. Not validated here, where it would hold the table
-- while it reads all of it: the next migration does that beside readers and writers.
alter table commands
    drop constraint commands_applied_has_version,
    add constraint commands_applied_has_version check (
        outcome <> 'applied' or version > 0
        or type in ('lane_retry', 'lane_skip', 'lane_edit', 'lane_discard', 'order_pause', 'order_resume')) not valid;
