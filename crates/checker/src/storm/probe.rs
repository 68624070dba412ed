//! How long trouble lasts: one order on every shard, and a command for each, first sent when the trouble began.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::{
    client::{Door, Manner, Wanted},
    history::{Action, Answer, Micros, Sent},
    layout::Layout,
    scenario::Field,
};
use crate::{dice::Dice, http::Api};

/// After it a shard counts as lost: twice what any timeout of Orderly's takes.
const RECOVERY_LIMIT: Duration = Duration::from_mins(1);
/// Fine enough for a recovery of tenths of a second, beside what is measured.
const ASK_EVERY: Duration = Duration::from_millis(25);

/// Asks every shard whether it works.
pub(super) struct Probe<'a> {
    door: Arc<Door>,
    field: Arc<Field>,
    api: &'a Api,
    dice: Dice,
    orders: Vec<Uuid>,
    asked: u64,
    pub(super) sent: Vec<Sent>,
}

impl<'a> Probe<'a> {
    /// Places an order on every shard.
    pub(super) async fn open(
        door: &Arc<Door>,
        field: &Arc<Field>,
        api: &'a Api,
        dice: Dice,
    ) -> Result<Self> {
        let mut probe = Self {
            door: Arc::clone(door),
            field: Arc::clone(field),
            api,
            dice,
            orders: Vec::new(),
            asked: 0,
            sent: Vec::new(),
        };
        probe.cover().await?;
        Ok(probe)
    }

    /// Places an order on every shard that has none: their number may have changed.
    pub(super) async fn cover(&mut self) -> Result<()> {
        let layout = Layout::read(self.api).await?;
        let shards = self.orders.iter().map(|order| layout.shard_of(*order));
        let mut covered: BTreeSet<u64> = shards.collect();
        let patient = Manner {
            waits: true,
            ..Manner::default()
        };
        while (covered.len() as u64) < layout.count {
            let order = Uuid::now_v7();
            if !covered.insert(layout.shard_of(order)) {
                continue;
            }
            self.orders.push(order);
            let lines = vec![self.field.probe_line()];
            let place = self.wanted(order, Action::Place { lines });
            let sent = self.door.send(place, patient, self.dice.fork()).await?;
            self.sent.push(sent);
        }
        Ok(())
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
        let attempt = door.once(&wanted).await?;
        let answer = &attempt.answer;
        let decided = matches!(answer, Answer::Applied { .. } | Answer::Rejected { .. });
        attempts.push(attempt);
        if decided || Instant::now() > gives_up_at {
            return Ok(wanted.sent(attempts));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
