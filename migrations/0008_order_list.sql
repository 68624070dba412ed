-- Lists of orders, newest first.

-- Only columns that never change after the order's insert: an index on one that does would make every later command of an
-- order write new entries into all indexes of the table (no heap-only tuples). So there is none on status or updated_at;
-- a list by status reads along these and leaves out.
create index orders_newest on orders (created_at, order_id);
comment on index orders_newest is 'Read backward: all orders, newest first. New entries go to its right edge.';

create index orders_newest_of_customer on orders (customer_id, created_at, order_id);
comment on index orders_newest_of_customer is 'Read backward: the orders of one customer, newest first.';

-- None on stock_movements (sku, …): every line of every command would pay for it. A list by SKU asks stock_movements_pkey
-- for each order that it passes.
