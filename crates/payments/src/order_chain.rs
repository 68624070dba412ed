//! Keeps what belongs to one order in order while everything else runs side by side.

use std::collections::HashMap;

use orderly_domain::OrderId;
use tokio_util::sync::CancellationToken;

/// The last link of each order that has work in hand.
#[derive(Debug, Default)]
pub(crate) struct OrderChain {
    tails: HashMap<OrderId, CancellationToken>,
}

/// One piece of work's place among those of its order.
#[derive(Debug)]
pub(crate) struct Link {
    before: Option<CancellationToken>,
    done: CancellationToken,
}

impl OrderChain {
    /// The place behind all that was taken for this order before.
    pub(crate) fn take(&mut self, order_id: OrderId) -> Link {
        let done = CancellationToken::new();
        let before = self.tails.insert(order_id, done.clone());
        Link { before, done }
    }

    /// Forgets the order if nothing of it is in hand any more.
    pub(crate) fn forget(&mut self, order_id: OrderId) {
        if self
            .tails
            .get(&order_id)
            .is_some_and(CancellationToken::is_cancelled)
        {
            self.tails.remove(&order_id);
        }
    }
}

impl Link {
    /// Runs `work` when what came before is done. If it fails, what comes behind never runs: the session ends with it.
    pub(crate) async fn run<T, E>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if let Some(before) = self.before {
            before.cancelled().await;
        }
        let output = work.await?;
        self.done.cancel();
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::future::join_all;
    use orderly_domain::OrderId;
    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::OrderChain;

    const A: OrderId = OrderId(Uuid::from_u128(1));
    const B: OrderId = OrderId(Uuid::from_u128(2));

    #[tokio::test]
    async fn one_order_is_in_order_and_another_does_not_wait() {
        let (log, first_may_end) = (RefCell::new(Vec::new()), Notify::new());
        let mut chain = OrderChain::default();
        let works = [(A, "a1"), (A, "a2"), (B, "b1"), (A, "a3")].map(|(order_id, name)| {
            let (log, first_may_end) = (&log, &first_may_end);
            chain.take(order_id).run(async move {
                if name == "a1" {
                    first_may_end.notified().await;
                }
                log.borrow_mut().push(name);
                if name == "b1" {
                    first_may_end.notify_one();
                }
                Ok::<_, ()>(())
            })
        });
        assert_eq!(chain.tails.len(), 2);
        join_all(works).await;
        assert_eq!(*log.borrow(), ["b1", "a1", "a2", "a3"]);
        chain.forget(A);
        chain.forget(B);
        assert!(chain.tails.is_empty());
    }
}
