-- What became of a dead letter.

alter table dead_letters
    add column arrival         integer  not null default 1 constraint dead_letters_arrival_positive check (arrival > 0),
    add column resolution      text     constraint dead_letters_resolution check (resolution in ('retried', 'repaired', 'discarded')),
    add column resolved_at     timestamptz,
    add column resolved_by     text,
    add column resolve_reason  text,
    add column command_ids     uuid[]   not null default '{}',
    add constraint dead_letters_resolved_by_someone check (
        (resolution is null) = (resolved_at is null) and (resolution is null) = (resolved_by is null)
        and (resolution is not null or resolve_reason is null)
        and (coalesce(resolution in ('retried', 'repaired'), false) or command_ids = '{}'));
comment on column dead_letters.arrival is 'Rises when the same bytes come after they were resolved: the dead letter is open again, and a repair is another command.';
comment on column dead_letters.resolution is 'What an operator did with it; NULL while it is open. The row stays, and the audit has every resolution.';
comment on column dead_letters.resolved_by is 'The actor, as the audit names it.';
comment on column dead_letters.command_ids is 'The commands that it became, in order.';

create index dead_letters_open on dead_letters (dead_letter_id) where resolution is null;
