//! The list of orders, newest first, page by page.
//!
//! A page is found by its key, never by its number: `created_at` and `order_id` do not change, so an order is on one page
//! and stays there, whatever is placed or changed meanwhile.

use orderly_domain::{OrderId, Sku, Status, Version};
use orderly_protocol::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

/// Orders that one page may look at. Only what never changes has an index, so a rare status is found by passing the
/// others: 10,000 of them take some 20 ms, with a SKU to look up for each some 50 ms.
const LOOKED_AT: i64 = 10_000;

/// Which orders; what is not given lets every order pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Where they stand.
    pub status: Option<Status>,
    /// The shop's own id of the customer.
    pub customer_id: Option<String>,
    /// They took or gave back stock of this SKU, also if an amendment has left it out since.
    pub sku: Option<Sku>,
}

/// A place in the list: right after this order. Cursors are made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPlace {
    /// When the order was placed.
    pub created_at: Timestamp,
    /// The order; many have the same time.
    pub order_id: OrderId,
}

/// An order as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSummary {
    /// Which.
    pub order_id: OrderId,
    /// Number of its events.
    pub version: Version,
    /// Where it stands.
    pub status: Status,
    /// Whether it is held.
    pub held: bool,
    /// The shop's own id of the customer.
    pub customer_id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Price of all lines, in minor units.
    pub total_minor: i64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPage {
    /// Newest first. Fewer than asked for, even none, does not mean that it is the last page.
    pub orders: Vec<OrderSummary>,
    /// Where the next page begins; none after the last one.
    pub next: Option<OrderPlace>,
}

/// An order that was looked at: one that passes, or the last one that may be.
struct Cells {
    order_id: Uuid,
    version: i64,
    status: String,
    held: bool,
    customer_id: String,
    currency: String,
    total_minor: i64,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    passes: bool,
    number: i64,
}

impl Store {
    /// Up to `limit` orders that pass `filter`, after `after` or from the newest on. Every order that was there when the
    /// first page was read, and passes all the while, is on exactly one page.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn list_orders(
        &self,
        filter: &OrderFilter,
        after: Option<OrderPlace>,
        limit: u32,
    ) -> Result<OrderPage, StoreError> {
        let cells = match &filter.customer_id {
            None => self.look_at_all(filter, after, limit).await?,
            Some(customer_id) => {
                self.look_at_customer(customer_id, filter, after, limit)
                    .await?
            }
        };
        let limit = limit as usize;
        let looked_to = cells.last().filter(|last| last.number == LOOKED_AT);
        let mut next = looked_to.map(Cells::place);
        let mut orders = Vec::with_capacity(cells.len().min(limit));
        for cells in cells.into_iter().filter(|cells| cells.passes) {
            if orders.len() == limit {
                next = orders.last().map(OrderSummary::place);
                break;
            }
            orders.push(OrderSummary::try_from(cells)?);
        }
        Ok(OrderPage { orders, next })
    }

    // Two statements, since `$1 is null or customer_id = $1` would keep a generic plan from the customer's index. In each,
    // the inner limit bounds the work and the outer one ends it early; the last order that may be looked at comes along
    // even if it does not pass, in the same snapshot, to say where to go on. The SKU is looked up by a subselect with a
    // limit: the planner does not make a join over all movements of it.

    async fn look_at_all(
        &self,
        filter: &OrderFilter,
        after: Option<OrderPlace>,
        limit: u32,
    ) -> Result<Vec<Cells>, StoreError> {
        let (created_at, order_id) = key(after);
        bounded(
            sqlx::query_as!(
                Cells,
                r#"select order_id, version, status, held, customer_id, currency, total_minor, created_at, updated_at,
                       passes as "passes!", number as "number!"
                   from (select looked_at.*,
                             ($1::text is null or status = $1)
                             and ($2::text is null or coalesce((select true from stock_movements
                                 where stock_movements.order_id = looked_at.order_id and sku = $2 limit 1), false))
                             as passes
                         from (select orders.*, row_number() over (order by created_at desc, order_id desc) as number
                               from orders
                               where (created_at, order_id) < (coalesce($3, 'infinity'::timestamptz), $4::uuid)
                               order by created_at desc, order_id desc
                               limit $5) as looked_at) as judged
                   where passes or number = $5
                   order by created_at desc, order_id desc
                   limit $6"#,
                filter.status.map(Status::as_str),
                filter.sku.as_ref().map(Sku::as_str),
                created_at,
                order_id,
                LOOKED_AT,
                one_more(limit),
            )
            .fetch_all(self.pool()),
        )
        .await
    }

    async fn look_at_customer(
        &self,
        customer_id: &str,
        filter: &OrderFilter,
        after: Option<OrderPlace>,
        limit: u32,
    ) -> Result<Vec<Cells>, StoreError> {
        let (created_at, order_id) = key(after);
        bounded(
            sqlx::query_as!(
                Cells,
                r#"select order_id, version, status, held, customer_id, currency, total_minor, created_at, updated_at,
                       passes as "passes!", number as "number!"
                   from (select looked_at.*,
                             ($1::text is null or status = $1)
                             and ($2::text is null or coalesce((select true from stock_movements
                                 where stock_movements.order_id = looked_at.order_id and sku = $2 limit 1), false))
                             as passes
                         from (select orders.*, row_number() over (order by created_at desc, order_id desc) as number
                               from orders
                               where customer_id = $7
                                 and (created_at, order_id) < (coalesce($3, 'infinity'::timestamptz), $4::uuid)
                               order by created_at desc, order_id desc
                               limit $5) as looked_at) as judged
                   where passes or number = $5
                   order by created_at desc, order_id desc
                   limit $6"#,
                filter.status.map(Status::as_str),
                filter.sku.as_ref().map(Sku::as_str),
                created_at,
                order_id,
                LOOKED_AT,
                one_more(limit),
                customer_id,
            )
            .fetch_all(self.pool()),
        )
        .await
    }
}

/// One more than asked for tells whether there is another page.
fn one_more(limit: u32) -> i64 {
    i64::from(limit) + 1
}

/// The key that the page comes after; without one, a key after every order.
fn key(after: Option<OrderPlace>) -> (Option<OffsetDateTime>, Uuid) {
    after.map_or((None, Uuid::max()), |place| {
        (Some(place.created_at), place.order_id.0)
    })
}

impl OrderSummary {
    fn place(&self) -> OrderPlace {
        OrderPlace {
            created_at: self.created_at,
            order_id: self.order_id,
        }
    }
}

impl Cells {
    fn place(&self) -> OrderPlace {
        OrderPlace {
            created_at: self.created_at,
            order_id: OrderId(self.order_id),
        }
    }
}

impl TryFrom<Cells> for OrderSummary {
    type Error = StoreError;

    fn try_from(cells: Cells) -> Result<Self, StoreError> {
        let row = Row::new("orders", &cells.order_id);
        Ok(Self {
            order_id: OrderId(cells.order_id),
            version: row.version("version", cells.version)?,
            status: Status::parse(&cells.status).ok_or_else(|| row.bad("status", "a status"))?,
            held: cells.held,
            customer_id: cells.customer_id,
            currency: cells.currency,
            total_minor: cells.total_minor,
            created_at: cells.created_at,
            updated_at: cells.updated_at,
        })
    }
}
