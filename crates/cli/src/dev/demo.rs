//! Demo stock and demo traffic: orders as a small shop has them, through the HTTP API like everybody's.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    client::{Answer, Call, Client, ClientError},
    import::seed_stock,
};

/// What the shop sells: SKU, price in minor units.
const GOODS: [(&str, i64); 8] = [
    (FIRST_SKU, 1_250),
    ("MUG-BLUE", 1_250),
    ("TEAPOT", 3_490),
    ("LAMP-DESK", 5_900),
    ("RUG-WOOL", 24_900),
    ("CLOCK-WALL", 3_995),
    ("CANDLE", 450),
    ("VASE", 2_200),
];
pub(super) const FIRST_SKU: &str = "MUG-RED";
/// Enough for hours of demo traffic; what sells out shows rejections, as in life.
const STOCK_OF_EACH: i64 = 10_000;
/// Orders begun: enough to watch, nothing to hear the fan by.
const EVERY: Duration = Duration::from_millis(400);
/// Orders under way at once; a server that is slow slows the demo down.
const UNDER_WAY: usize = 32;
/// Between two steps of an order's life, at most.
const LONGEST_PAUSE_MS: u64 = 3_000;
const WAIT_SECONDS: u32 = 10;
const PATIENCE: Duration = Duration::from_mins(1);

/// Puts goods on the shelves, once per database.
pub(super) async fn stock(client: &Client, token: &CancellationToken) -> anyhow::Result<()> {
    let amounts: BTreeMap<&str, i64> = GOODS.iter().map(|(sku, _)| (*sku, STOCK_OF_EACH)).collect();
    seed_stock(client, "dev/stock", &amounts, token)
        .await
        .map(drop)
}

/// Begins an order every now and then until `token` is cancelled.
pub(super) async fn traffic(client: Client, token: CancellationToken) {
    let mut dice = Dice(Uuid::new_v4().as_u64_pair().0);
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let under_way = TaskTracker::new();
    while token.run_until_cancelled(tick.tick()).await.is_some() {
        if under_way.len() < UNDER_WAY {
            let shopper = Shopper {
                client: client.clone(),
                token: token.clone(),
                dice: Dice(dice.next()),
            };
            under_way.spawn(shopper.shop());
        }
    }
    under_way.close();
    under_way.wait().await;
}

/// Lives one order.
struct Shopper {
    client: Client,
    token: CancellationToken,
    dice: Dice,
}

impl Shopper {
    async fn shop(mut self) {
        let token = self.token.clone();
        if let Some(Err(error)) = token.run_until_cancelled(self.live()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a demo order broke off"
            );
        }
    }

    /// Most orders go the straight way; some are changed, held, cancelled, sent in parts, returned or refunded.
    async fn live(&mut self) -> Result<(), ClientError> {
        let order_id = Uuid::now_v7();
        if !self.place(order_id).await? {
            return Ok(());
        }
        if self.dice.one_in(6) {
            self.command(
                order_id,
                "annotate",
                json!({"key": "gift", "value": "wrap it"}),
            )
            .await?;
        }
        if self.dice.one_in(8) {
            self.command(order_id, "hold", json!({"reason": "address looks odd"}))
                .await?;
            self.command(order_id, "release", json!({})).await?;
        }
        if self.dice.one_in(10) {
            return self
                .command(order_id, "cancel", json!({"reason": "changed my mind"}))
                .await;
        }
        self.command(order_id, "pay", json!({"method": "card"}))
            .await?;
        if self.dice.one_in(4) {
            let part = json!([{"line": 1, "quantity": 1}]);
            self.command(
                order_id,
                "ship",
                json!({"lines": part, "carrier": "dhl", "tracking": "part-1"}),
            )
            .await?;
        }
        self.command(
            order_id,
            "ship",
            json!({"carrier": "dhl", "tracking": order_id.to_string()}),
        )
        .await?;
        self.command(order_id, "deliver", json!({})).await?;
        if self.dice.one_in(7) {
            self.command(
                order_id,
                "return",
                json!({"lines": [{"line": 1, "quantity": 1}]}),
            )
            .await?;
            self.command(
                order_id,
                "refund",
                json!({"amount_minor": 100, "reason": "returned"}),
            )
            .await?;
        }
        Ok(())
    }

    async fn place(&mut self, order_id: Uuid) -> Result<bool, ClientError> {
        let first = self.dice.below(GOODS.len() as u64);
        let count = 1 + self.dice.below(3);
        let lines: Vec<Value> = (0..count).map(|line| self.line(first + line)).collect();
        let customer = format!("customer-{}", self.dice.below(200));
        let body = json!({"customer_id": customer, "currency": "EUR", "lines": lines});
        let path = format!("/v1/orders/{order_id}");
        let answer = self.send(&Call::put(&path, &body)).await?;
        Ok((200..300).contains(&answer.status))
    }

    fn line(&mut self, number: u64) -> Value {
        let (sku, price) = GOODS[usize::try_from(number).unwrap_or(0) % GOODS.len()];
        // Now and then somebody wants more than there can be.
        let quantity = if self.dice.one_in(40) {
            1_000_000
        } else {
            2 + self.dice.below(4)
        };
        json!({"sku": sku, "quantity": quantity, "unit_price_minor": price})
    }

    /// A rejection is part of the show.
    async fn command(
        &mut self,
        order_id: Uuid,
        action: &str,
        data: Value,
    ) -> Result<(), ClientError> {
        sleep(Duration::from_millis(self.dice.below(LONGEST_PAUSE_MS))).await;
        let path = format!("/v1/orders/{order_id}/commands");
        let body = json!({"type": action, "data": data});
        self.send(&Call::post(&path, &body)).await.map(drop)
    }

    async fn send(&mut self, call: &Call<'_>) -> Result<Answer, ClientError> {
        let key = format!("demo/{}", Uuid::now_v7());
        let call = call.clone().key(&key).wait(WAIT_SECONDS);
        let answer = self
            .client
            .send_patiently(&call, PATIENCE, &self.token)
            .await;
        if self.dice.one_in(20) {
            // A client that did not hear the answer asks again, and nothing happens twice.
            return self
                .client
                .send_patiently(&call, PATIENCE, &self.token)
                .await;
        }
        answer
    }
}

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): good enough for a show.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}
