//! Reads a table page by page, sorted by order, and hands out the rows of one order at a time.

use std::collections::VecDeque;

use orderly_domain::OrderId;
use orderly_protocol::{CommandOutcome, RecordedEvent};
use orderly_store::{LedgerMovement, ProjectedOrder, Snapshot, StoreError};

/// A row that belongs to an order, of a table that is read sorted by order.
pub(super) trait OfOrder: Clone {
    /// What it is read from.
    type Source;

    fn order_id(&self) -> OrderId;

    /// The page after a row; empty after the last one.
    async fn read(source: &mut Self::Source, after: Option<&Self>)
    -> Result<Vec<Self>, StoreError>;
}

/// A page in memory and where the next one begins.
#[derive(Debug)]
pub(super) struct Pages<T> {
    rows: VecDeque<T>,
    last: Option<T>,
    exhausted: bool,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self {
            rows: VecDeque::new(),
            last: None,
            exhausted: false,
        }
    }
}

impl<T: OfOrder> Pages<T> {
    /// The order of the next row; `None` after the last one.
    pub(super) async fn next_order(
        &mut self,
        source: &mut T::Source,
    ) -> Result<Option<OrderId>, StoreError> {
        if self.rows.is_empty() && !self.exhausted {
            let page = T::read(source, self.last.as_ref()).await?;
            self.exhausted = page.is_empty();
            self.last = page.last().cloned().or(self.last.take());
            self.rows = page.into();
        }
        Ok(self.rows.front().map(T::order_id))
    }

    /// All rows of `order_id`, if it is the order of the next row.
    pub(super) async fn take(
        &mut self,
        order_id: OrderId,
        source: &mut T::Source,
    ) -> Result<Vec<T>, StoreError> {
        let mut taken = Vec::new();
        while self.next_order(source).await? == Some(order_id) {
            while let Some(row) = self.rows.pop_front_if(|row| row.order_id() == order_id) {
                taken.push(row);
            }
        }
        Ok(taken)
    }
}

impl OfOrder for ProjectedOrder {
    type Source = Snapshot;

    fn order_id(&self) -> OrderId {
        self.order_id
    }

    async fn read(snapshot: &mut Snapshot, after: Option<&Self>) -> Result<Vec<Self>, StoreError> {
        snapshot
            .orders(after.map(|row| (row.order_id, row.version)))
            .await
    }
}

impl OfOrder for RecordedEvent {
    type Source = Snapshot;

    fn order_id(&self) -> OrderId {
        self.order_id
    }

    async fn read(snapshot: &mut Snapshot, after: Option<&Self>) -> Result<Vec<Self>, StoreError> {
        snapshot
            .events(after.map(|row| (row.order_id, row.version)))
            .await
    }
}

impl OfOrder for CommandOutcome {
    type Source = Snapshot;

    fn order_id(&self) -> OrderId {
        self.order_id
    }

    async fn read(snapshot: &mut Snapshot, after: Option<&Self>) -> Result<Vec<Self>, StoreError> {
        snapshot
            .outcomes(after.map(|row| (row.order_id, row.command_id)))
            .await
    }
}

impl OfOrder for LedgerMovement {
    type Source = Snapshot;

    fn order_id(&self) -> OrderId {
        self.order_id
    }

    async fn read(snapshot: &mut Snapshot, after: Option<&Self>) -> Result<Vec<Self>, StoreError> {
        snapshot.movements(after).await
    }
}

#[cfg(test)]
mod tests {
    use orderly_domain::OrderId;
    use orderly_store::StoreError;
    use uuid::Uuid;

    use super::{OfOrder, Pages};

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Row(u128, u32);

    /// A table that is read by pages of this many rows.
    struct Table(Vec<Row>, usize);

    impl OfOrder for Row {
        type Source = Table;

        fn order_id(&self) -> OrderId {
            OrderId(Uuid::from_u128(self.0))
        }

        async fn read(table: &mut Table, after: Option<&Self>) -> Result<Vec<Self>, StoreError> {
            let from = after.map_or(0, |last| {
                table.0.iter().position(|row| row == last).unwrap() + 1
            });
            Ok(table.0[from..].iter().take(table.1).cloned().collect())
        }
    }

    #[tokio::test]
    async fn rows_of_an_order_come_together_wherever_the_pages_end() {
        let rows = vec![
            Row(1, 1),
            Row(1, 2),
            Row(1, 3),
            Row(3, 1),
            Row(3, 2),
            Row(4, 1),
        ];
        for page in 1..=rows.len() {
            let mut table = Table(rows.clone(), page);
            let mut pages = Pages::<Row>::default();
            let mut seen = Vec::new();
            while let Some(order_id) = pages.next_order(&mut table).await.unwrap() {
                seen.push(pages.take(order_id, &mut table).await.unwrap().len());
            }
            assert_eq!(seen, [3, 2, 1], "pages of {page}");
        }
    }
}
