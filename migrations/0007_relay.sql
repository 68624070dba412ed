-- How far the relay copied the stream.

create table relay_offsets (
    name           text        constraint relay_offsets_pkey primary key,
    stream_offset  bigint      not null constraint relay_offsets_not_negative check (stream_offset >= 0),
    updated_at     timestamptz not null
);
comment on table relay_offsets is 'The last stream message whose events were all confirmed on the topic exchange.';
