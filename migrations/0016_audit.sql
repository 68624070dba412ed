-- Who did what to the system: a chain that only grows.

create table audit (
    audit_id       bigint       constraint audit_pkey primary key,
    at             timestamptz  not null,
    actor          text         not null,
    producer       uuid,
    key_id         text,
    action         text         not null constraint audit_action check (action ~ '^[a-z_]+(\.[a-z_]+)+$'),
    target         text         not null,
    before         jsonb        constraint audit_before_is_an_object check (jsonb_typeof(before) = 'object'),
    after          jsonb        constraint audit_after_is_an_object check (jsonb_typeof(after) = 'object'),
    reason         text,
    request_id     text,
    result         text         not null constraint audit_result check (result in ('done', 'refused')),
    code           text,
    previous_hash  bytea        not null constraint audit_previous_hash_is_sha256 check (octet_length(previous_hash) = 32),
    hash           bytea        not null constraint audit_hash_is_sha256 check (octet_length(hash) = 32),
    constraint audit_by_a_key_or_directly check ((producer is null) = (key_id is null)),
    constraint audit_code_when_refused check ((result = 'refused') = (code is not null))
);
comment on table audit is 'Every operator action, in the order of one chain. Append-only. `orderly audit verify` finds what was changed, removed or put in all the same.';
comment on column audit.audit_id is 'From 1 without a gap: given under a lock that is held until the transaction ends.';
comment on column audit.at is 'Clock of this database under that lock.';
comment on column audit.actor is 'Name of the API key; user@host for a command that spoke to this database itself, which then has no key_id.';
comment on column audit.before is 'The target before, where that says something. NULL otherwise, never JSON null: the two have one hash.';
comment on column audit.after is 'The target after, or of a refused action what was wanted.';
comment on column audit.request_id is 'As the answer and the log name the request.';
comment on column audit.hash is 'SHA-256 of the RFC 8785 form of all other columns, previous_hash included: orderly_protocol::audit says it exactly.';
comment on column audit.previous_hash is 'hash of the entry before; 32 zero bytes in the first.';

create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function refuse_change();

-- Whoever may only insert cannot leave a gap either, nor fork the chain.
create function keep_audit_order() returns trigger language plpgsql as $$
declare
    last record;
begin
    select audit_id, hash into last from audit order by audit_id desc limit 1;
    if new.audit_id is distinct from coalesce(last.audit_id, 0) + 1
        or new.previous_hash is distinct from coalesce(last.hash, decode(repeat('00', 32), 'hex')) then
        raise exception 'table audit is a chain: % does not follow', new.audit_id using errcode = 'restrict_violation';
    end if;
    return new;
end
$$;
create trigger audit_in_order before insert on audit
    for each row execute function keep_audit_order();

-- Replication as a way around triggers is closed; what is left is to disable them, which only the owner may.
alter table audit enable always trigger audit_append_only;
alter table audit enable always trigger audit_in_order;

-- A function, so that one round trip locks and then looks: its second statement has a snapshot from after the lock.
create function lock_audit(out last_id bigint, out last_hash bytea, out at timestamptz) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('orderly.audit', 0));
    select audit_id, hash into last_id, last_hash from audit order by audit_id desc limit 1;
    at := clock_timestamp();
end
$$;
comment on function lock_audit is 'The end of the chain, which stays the end until this transaction ends. The last lock that a transaction takes: others wait for its commit.';
