-- Stock and its ledger.

create table stock (
    sku         text        collate "C" constraint stock_pkey primary key,
    on_hand     bigint      not null constraint stock_on_hand_exact_in_json check (on_hand <= 9007199254740991),
    reserved    bigint      not null,
    updated_at  timestamptz not null,
    constraint stock_never_oversold check (0 <= reserved and reserved <= on_hand)
) with (fillfactor = 50);
comment on table stock is 'Pieces per SKU. Available = on_hand - reserved. Rows are locked in SKU order everywhere.';
comment on column stock.sku is 'Collation C: one lock order, whatever the locale of a session.';

create table stock_movements (
    order_id   uuid   not null,
    version    bigint not null,
    sku        text   collate "C" not null,
    on_hand    bigint not null,
    reserved   bigint not null,
    constraint stock_movements_pkey primary key (order_id, version, sku),
    constraint stock_movements_move check (on_hand <> 0 or reserved <> 0)
);
comment on table stock_movements is 'What each event did to the stock of each SKU. With stock_writes it sums to the stock table.';

create table stock_writes (
    write_id     uuid        constraint stock_writes_pkey primary key,
    sku          text        collate "C" not null,
    producer     uuid        not null,
    key          text        not null,
    fingerprint  bytea       not null constraint stock_writes_fingerprint_is_sha256 check (octet_length(fingerprint) = 32),
    kind         text        not null constraint stock_writes_kind check (kind in ('set', 'adjust')),
    on_hand      bigint      not null,
    on_hand_after  bigint    not null,
    reserved_after bigint    not null,
    written_at   timestamptz not null,
    constraint stock_writes_once_per_key unique (producer, key)
);
comment on table stock_writes is 'Stock changed by people and systems outside orders, each once per key.';
comment on column stock_writes.on_hand is 'The change; for a set, the difference it made.';
comment on column stock_writes.on_hand_after is 'The level it left, which a repeated call answers with.';
