//! What the clients of a storm want. Each decides by its own dice, so that a seed gives the same wishes again; who comes first
//! is the machine's to say.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use uuid::Uuid;

mod duplicates;
mod field;

pub(super) use field::Field;

use super::{
    client::{Door, Manner, Wanted},
    history::{Action, Answer, BatchLine, Line, Part, Sent},
};
use crate::dice::Dice;

/// Which load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Everything a shop does, on few orders at a time.
    Mixed,
    /// Everybody writes on the same two orders.
    HotOrder,
    /// Everybody wants the last pieces, and gives some back.
    Oversell,
    /// One order after the other is paid and cancelled at once.
    CancelVsPay,
    /// Every request comes several times at once, and some keys are used for two things.
    Duplicates,
    /// What a shop does, while the number of shards changes again and again.
    Resize,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 6] = [
        Self::Mixed,
        Self::HotOrder,
        Self::Oversell,
        Self::CancelVsPay,
        Self::Duplicates,
        Self::Resize,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::HotOrder => "hot-order",
            Self::Oversell => "oversell",
            Self::CancelVsPay => "cancel-vs-pay",
            Self::Duplicates => "duplicates",
            Self::Resize => "resize",
        }
    }
}

/// Orders that everybody writes on in [`Scenario::HotOrder`].
const HOT_ORDERS: usize = 2;
/// Orders that a client of [`Scenario::Oversell`] has open before it cancels one.
const OPEN_ORDERS: usize = 4;
/// Keys of annotations. An order holds at most 100; a few are written over and over.
const ANNOTATION_KEYS: usize = 8;
/// Pieces of a line, and what one costs.
const QUANTITIES: [i64; 3] = [1, 2, 3];
const PRICES_MINOR: [i64; 3] = [499, 1_999, 24_900];
/// Of 100 requests, how many are hung up on.
const HANG_UP_PERCENT: usize = 4;
/// Around the time that an answer takes.
const HANGS_UP_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// Of 100 orders in [`Scenario::Mixed`], how many may be of the scarce product.
const SCARCE_PERCENT: usize = 20;
/// Of 100 things that a client of [`Scenario::Mixed`] does, how many are batches.
const BATCH_PERCENT: usize = 10;
/// Lines for orders that are there; one more may place an order.
const MOST_LINES: usize = 6;
/// Of 100 lines, how many must be refused, with all behind them for the same order.
const NONSENSE_PERCENT: usize = 4;
/// What excludes each other is sent within this, in any order.
const CLOSE_TOGETHER: Duration = Duration::from_millis(3);
/// Of 100 that were hung up on, how many are never sent again.
const GIVE_UP_PERCENT: usize = 25;

/// One client.
pub(super) struct Client {
    number: usize,
    dice: Dice,
    door: Arc<Door>,
    field: Arc<Field>,
    wishes: usize,
    sent: Vec<Sent>,
    /// Its own orders that it has not cancelled.
    open: VecDeque<Uuid>,
    /// Versions that it was told of.
    versions: HashMap<Uuid, u64>,
}

impl Client {
    pub(super) fn new(number: usize, dice: Dice, door: &Arc<Door>, field: &Arc<Field>) -> Self {
        Self {
            number,
            dice,
            door: Arc::clone(door),
            field: Arc::clone(field),
            wishes: 0,
            sent: Vec::new(),
            open: VecDeque::new(),
            versions: HashMap::new(),
        }
    }

    /// Places the orders that must be there before the others begin.
    pub(super) async fn open_field(mut self) -> Result<Vec<Sent>> {
        for _ in 0..HOT_ORDERS {
            let place = self.place();
            let patient = Manner {
                waits: true,
                ..Manner::default()
            };
            self.send(place, patient).await?;
        }
        Ok(self.sent)
    }

    /// Wishes one thing after the other; what was begun is brought to its end.
    pub(super) async fn run(mut self, ends_at: Instant) -> Result<Vec<Sent>> {
        while Instant::now() < ends_at {
            match self.field.scenario {
                Scenario::Mixed | Scenario::Resize => self.mixed().await?,
                Scenario::HotOrder => self.hot_order().await?,
                Scenario::Oversell => self.oversell().await?,
                Scenario::CancelVsPay => self.cancel_vs_pay().await?,
                Scenario::Duplicates => self.duplicates().await?,
            }
        }
        Ok(self.sent)
    }

    async fn mixed(&mut self) -> Result<()> {
        if self.dice.chance(BATCH_PERCENT) {
            return self.batch().await;
        }
        let wanted = match self.field.pick(&mut self.dice) {
            Some(order) if self.dice.chance(95) => {
                let action = self.any_action();
                self.wanted(order, action)
            }
            _ => self.place(),
        };
        let manner = self.manner(&wanted);
        self.send(wanted, manner).await
    }

    /// Several things at once: for one order mostly, which may be placed by the first line.
    async fn batch(&mut self) -> Result<()> {
        let mut wanted = Vec::new();
        let mut orders: Vec<Uuid> = Vec::new();
        if self.dice.chance(15) {
            let place = self.place();
            orders.push(place.order);
            wanted.push(place);
        }
        orders.extend(self.field.pick(&mut self.dice));
        if orders.is_empty() {
            return Ok(());
        }
        for _ in 0..self.dice.between(2, MOST_LINES) {
            let order = orders[self.dice.below(orders.len())];
            let action = if self.dice.chance(NONSENSE_PERCENT) {
                Action::nonsense()
            } else {
                self.any_action()
            };
            let mut line = self.wanted(order, action);
            if self.dice.chance(10) {
                line.expected_version = self.versions.get(&order).copied();
            }
            wanted.push(line);
        }
        let batch = Uuid::now_v7();
        for (line, wanted) in wanted.iter_mut().enumerate() {
            wanted.batch = Some(BatchLine { batch, line });
        }
        let (manner, dice) = (self.copy_manner(), self.dice.fork());
        for sent in self.door.send_together(wanted, manner, dice).await? {
            self.keep(sent);
        }
        Ok(())
    }

    async fn hot_order(&mut self) -> Result<()> {
        let Some(order) = self.field.pick(&mut self.dice) else {
            let place = self.place();
            return self.send(place, Manner::default()).await;
        };
        let action = match self.dice.below(100) {
            0..75 => self.annotate(),
            75..83 => Action::Hold,
            83..97 => Action::Release,
            _ => Action::Pay,
        };
        let mut wanted = self.wanted(order, action);
        if self.dice.chance(20) {
            wanted.expected_version = self.versions.get(&order).copied();
        }
        let manner = self.manner(&wanted);
        self.send(wanted, manner).await
    }

    async fn oversell(&mut self) -> Result<()> {
        if self.open.len() >= OPEN_ORDERS {
            let order = self.open.pop_front().expect("it has some");
            if self.dice.chance(10) {
                let pay = self.wanted(order, Action::Pay);
                let manner = self.manner(&pay);
                self.send(pay, manner).await?;
            }
            let cancel = self.wanted(order, Action::Cancel);
            let manner = self.manner(&cancel);
            self.send(cancel, manner).await?;
        }
        let place = self.place();
        let manner = self.manner(&place);
        self.send(place, manner).await
    }

    async fn cancel_vs_pay(&mut self) -> Result<()> {
        let place = self.place();
        let (order, manner) = (place.order, self.manner(&place));
        self.send(place, manner).await?;
        let mut actions = vec![Action::Pay, Action::Cancel];
        if self.dice.chance(30) {
            actions.push(if self.dice.chance(50) {
                Action::Hold
            } else {
                Action::Ship { parts: Vec::new() }
            });
        }
        self.dice.shuffle(&mut actions);
        let wishes: Vec<_> = actions
            .into_iter()
            .map(|action| {
                let wanted = self.wanted(order, action);
                let manner = self.manner(&wanted);
                let later = self.dice.time(Duration::ZERO, CLOSE_TOGETHER);
                (wanted, manner, later, self.dice.fork())
            })
            .collect();
        let door = &self.door;
        let sending = wishes
            .into_iter()
            .map(|(wanted, manner, later, dice)| async move {
                tokio::time::sleep(later).await;
                door.send(wanted, manner, dice).await
            });
        for sent in futures_util::future::join_all(sending).await {
            self.sent.push(sent?);
        }
        Ok(())
    }

    async fn send(&mut self, wanted: Wanted, manner: Manner) -> Result<()> {
        let dice = self.dice.fork();
        let sent = self.door.send(wanted, manner, dice).await?;
        self.keep(sent);
        Ok(())
    }

    fn keep(&mut self, sent: Sent) {
        for attempt in &sent.attempts {
            if let Answer::Applied { version, .. } = attempt.answer {
                self.versions.insert(sent.order, version);
            }
        }
        let rejected = |it: &super::history::Attempt| matches!(it.answer, Answer::Rejected { .. });
        let placed = matches!(sent.action, Action::Place { .. })
            && sent.is_accepted()
            && !sent.attempts.iter().any(rejected);
        if placed {
            self.field.opened(sent.order);
            self.open.push_back(sent.order);
        }
        self.sent.push(sent);
    }

    fn place(&mut self) -> Wanted {
        let lines = self.lines();
        self.wanted(Uuid::now_v7(), Action::Place { lines })
    }

    fn lines(&mut self) -> Vec<Line> {
        // Of the scarce product there is soon none, and an order that was not placed is of no use to the others.
        let mixed = matches!(self.field.scenario, Scenario::Mixed | Scenario::Resize);
        let first = usize::from(mixed && !self.dice.chance(SCARCE_PERCENT));
        let mut skus: Vec<usize> = (first..self.field.products.len()).collect();
        self.dice.shuffle(&mut skus);
        skus.truncate(self.dice.between(1, 2));
        let line = |sku: usize| Line {
            sku: self.field.products[sku].0.clone(),
            quantity: QUANTITIES[self.dice.below(QUANTITIES.len())],
            unit_price_minor: PRICES_MINOR[self.dice.below(PRICES_MINOR.len())],
        };
        skus.into_iter().map(line).collect()
    }

    fn annotate(&mut self) -> Action {
        let key = format!("note-{}", self.dice.below(ANNOTATION_KEYS));
        Action::Annotate { key }
    }

    fn any_action(&mut self) -> Action {
        match self.dice.below(100) {
            0..14 => self.annotate(),
            14..18 => Action::Hold,
            18..28 => Action::Release,
            28..44 => Action::Pay,
            44..54 => Action::Ship { parts: Vec::new() },
            54..62 => Action::Ship {
                parts: self.parts(),
            },
            62..71 => Action::Deliver,
            71..73 => Action::Cancel,
            73..79 => Action::Amend {
                lines: self.lines(),
            },
            79..83 => Action::SetAddress,
            83..91 => Action::Refund {
                amount_minor: PRICES_MINOR[self.dice.below(PRICES_MINOR.len())],
            },
            _ => Action::Return {
                parts: self.parts(),
            },
        }
    }

    /// Of lines that an order may have, as many as it may have.
    fn parts(&mut self) -> Vec<Part> {
        let first = self.dice.between(1, 2);
        let mut parts = vec![self.part(first)];
        if self.dice.chance(30) {
            parts.push(self.part(3 - first));
        }
        parts
    }

    fn part(&mut self, line: usize) -> Part {
        Part {
            line,
            quantity: QUANTITIES[self.dice.below(QUANTITIES.len())],
        }
    }

    fn wanted(&mut self, order: Uuid, action: Action) -> Wanted {
        self.wishes += 1;
        let mark = format!("c{}-{}", self.number, self.wishes);
        self.field.wanted(&mark, order, action)
    }

    fn manner(&mut self, wanted: &Wanted) -> Manner {
        let mut manner = self.copy_manner();
        // What carries no mark could not be told from what nobody sent.
        manner.gives_up = manner.hangs_up_after.is_some()
            && wanted.action.kind().is_marked()
            && self.dice.chance(GIVE_UP_PERCENT);
        manner
    }

    fn copy_manner(&mut self) -> Manner {
        let waits = self.dice.chance(50);
        let hangs_up = self.dice.chance(HANG_UP_PERCENT);
        let after = self.dice.time(HANGS_UP_AFTER.0, HANGS_UP_AFTER.1);
        Manner {
            waits,
            hangs_up_after: hangs_up.then_some(after),
            gives_up: false,
        }
    }
}
