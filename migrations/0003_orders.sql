-- Orders and their events.

create table events (
    order_id     uuid        not null,
    version      bigint      not null constraint events_version_positive check (version > 0),
    log_id       bigint      not null generated always as identity,
    command_id   uuid        not null,
    delivery_id  uuid        not null,
    type         text        not null,
    data         jsonb       not null,
    traceparent  text,
    recorded_at  timestamptz not null,
    constraint events_pkey primary key (order_id, version)
);
comment on table events is 'The truth. Append-only. State, stock and every projection derive from it.';
comment on column events.version is 'Per order 1, 2, 3 … without a gap: the primary key refuses a second effect, the batch a gap.';
comment on column events.log_id is 'Order of writing within one shard. Not an order over shards: transactions commit in any order.';
comment on column events.command_id is 'The command that made it.';
comment on column events.delivery_id is 'The command id of the delivery in whose transaction it was written. A redelivery publishes its events again by this.';
comment on column events.recorded_at is 'Clock of this database at the fence of the batch.';

create index events_delivery_id on events (delivery_id, log_id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'table % is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger events_append_only before update or delete or truncate on events
    for each statement execute function refuse_change();

create table orders (
    order_id              uuid        constraint orders_pkey primary key,
    version               bigint      not null constraint orders_version_positive check (version > 0),
    status                text        not null constraint orders_status check (status in
                          ('placed', 'payment_pending', 'paid', 'partially_shipped', 'shipped', 'delivered', 'cancelled', 'returned')),
    held                  boolean     not null,
    customer_id           text        not null,
    currency              text        not null,
    total_minor           bigint      not null constraint orders_total_not_negative check (total_minor >= 0),
    captured_minor        bigint      not null,
    refunded_minor        bigint      not null,
    refund_pending_minor  bigint      not null,
    state                 jsonb       not null,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    constraint orders_money_conserved check (
        refunded_minor >= 0 and refund_pending_minor >= 0
        and refunded_minor + refund_pending_minor <= captured_minor)
) with (fillfactor = 70);
comment on table orders is 'Each order as it is now: the fold of its events.';
comment on column orders.version is 'Number of its events.';
comment on column orders.state is 'The whole order; the columns beside it repeat what constraints and lists need.';
