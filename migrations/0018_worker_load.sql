-- What each worker does, for whoever decides how many there should be.

alter table workers
    add column messages_per_second double precision not null default 0
        constraint workers_messages_per_second_not_negative check (messages_per_second >= 0),
    add column busy double precision not null default 0
        constraint workers_busy_is_a_share check (busy between 0 and 1),
    add column orders_in_hand integer not null default 0
        constraint workers_orders_in_hand_not_negative check (orders_in_hand >= 0),
    add column oldest_age_seconds double precision not null default 0
        constraint workers_oldest_age_not_negative check (oldest_age_seconds >= 0);
comment on column workers.messages_per_second is 'Messages that it was done with, over the last 10 s. Like the three columns that follow 0 by default: a worker of an earlier build does not tell.';
comment on column workers.busy is 'Share of the last 10 s in which it had a batch under way.';
comment on column workers.orders_in_hand is 'Orders with commands that it has taken up and not committed.';
comment on column workers.oldest_age_seconds is 'Age of the oldest of these commands, from its acceptance, by the clocks of the ingress and the worker: it is shown, nothing rests on it.';
