//! How long trouble lasts: one order on every shard, and a command for each, first sent when the trouble began.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use serde::Deserialize;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    client::{Door, Manner, Wanted},
    history::{Action, Answer, Attempt, Micros, Sent},
    scenario::Field,
};
use crate::{dice::Dice, http::Api};

/// After it a shard counts as lost: twice what any timeout of Orderly's takes.
const RECOVERY_LIMIT: Duration = Duration::from_mins(1);
/// Fine enough for a recovery of tenths of a second, beside what is measured.
const ASK_EVERY: Duration = Duration::from_millis(25);

/// `GET /v1/shards`.
#[derive(Deserialize)]
struct Shards {
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {}

/// Asks every shard whether it works.
pub(super) struct Probe {
    door: Arc<Door>,
    field: Arc<Field>,
    orders: Vec<Uuid>,
    asked: u64,
    pub(super) sent: Vec<Sent>,
}

impl Probe {
    /// Places an order on every shard.
    pub(super) async fn open(
        door: &Arc<Door>,
        field: &Arc<Field>,
        api: &Api,
        dice: &mut Dice,
    ) -> Result<Self> {
        let shards: Shards = api.read("/v1/shards").await?;
        let count = u64::try_from(shards.shards.len())?;
        if count == 0 {
            bail!("there are no shards");
        }
        // By its description: xxh3_64 of the order's id, modulo the number of shards.
        let mut orders = BTreeMap::new();
        while orders.len() < shards.shards.len() {
            let order = Uuid::now_v7();
            orders
                .entry(xxh3_64(order.as_bytes()) % count)
                .or_insert(order);
        }
        let mut probe = Self {
            door: Arc::clone(door),
            field: Arc::clone(field),
            orders: orders.into_values().collect(),
            asked: 0,
            sent: Vec::new(),
        };
        let patient = Manner {
            waits: true,
            ..Manner::default()
        };
        for order in probe.orders.clone() {
            let lines = vec![probe.field.probe_line()];
            let place = probe.wanted(order, Action::Place { lines });
            let sent = probe.door.send(place, patient, dice.fork()).await?;
            probe.sent.push(sent);
        }
        Ok(probe)
    }

    /// Sends a command to every shard now, and again until all are applied. When that was; none if one takes for ever.
    pub(super) async fn recovered(&mut self) -> Result<Option<Micros>> {
        let wanted: Vec<_> = self
            .orders
            .clone()
            .into_iter()
            .map(|order| {
                let key = "probe".to_owned();
                self.wanted(order, Action::Annotate { key })
            })
            .collect();
        let gives_up_at = Instant::now() + RECOVERY_LIMIT;
        let asking = wanted
            .into_iter()
            .map(|wanted| until_applied(&self.door, wanted, gives_up_at));
        let asked = try_join_all(asking).await?;
        let applied_at = |sent: &Sent| {
            let last = sent.attempts.last()?;
            matches!(last.answer, Answer::Applied { .. }).then_some(last.ended)
        };
        let recovered: Option<Vec<Micros>> = asked.iter().map(applied_at).collect();
        self.sent.extend(asked);
        Ok(recovered.and_then(|times| times.into_iter().max()))
    }

    fn wanted(&mut self, order: Uuid, action: Action) -> Wanted {
        self.asked += 1;
        self.field
            .wanted(&format!("probe-{}", self.asked), order, action)
    }
}

async fn until_applied(door: &Door, wanted: Wanted, gives_up_at: Instant) -> Result<Sent> {
    let mut attempts = Vec::new();
    loop {
        let began = door.clock.now();
        let answer = door.once(&wanted).await?;
        let decided = matches!(answer, Answer::Applied { .. } | Answer::Rejected { .. });
        attempts.push(Attempt {
            began,
            ended: door.clock.now(),
            answer,
        });
        if decided || Instant::now() > gives_up_at {
            return Ok(wanted.sent(attempts));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
