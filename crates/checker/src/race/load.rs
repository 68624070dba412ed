//! The clients: each asks, waits for the answer, and asks the next thing. The same for every way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    evidence::{Answer, Told},
    plan::{Intent, Plan},
};

/// A way of doing what clients want.
pub(super) trait Way: Send + Sync + 'static {
    /// One request and its answer. An error ends the race: the way cannot be judged.
    fn perform(&self, intent: Intent) -> impl Future<Output = Result<Answer>> + Send;
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) told: Vec<Told>,
    /// Of every request that was answered, in no order.
    pub(super) latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub(super) took: Duration,
}

/// How long, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) clients: usize,
    pub(super) limit: Duration,
}

struct Shared<W> {
    way: Arc<W>,
    plan: Arc<Plan>,
    /// The next intent that nobody has taken.
    next: AtomicUsize,
    ends_at: Instant,
    token: CancellationToken,
}

/// Runs the plan until its end or the time's; what was begun is brought to its end.
pub(super) async fn run<W: Way>(
    way: &Arc<W>,
    plan: &Arc<Plan>,
    pace: Pace,
    token: &CancellationToken,
) -> Result<Load> {
    let began = Instant::now();
    let shared = Arc::new(Shared {
        way: Arc::clone(way),
        plan: Arc::clone(plan),
        next: AtomicUsize::new(0),
        ends_at: began + pace.limit,
        token: token.clone(),
    });
    let mut clients = JoinSet::new();
    for _ in 0..pace.clients {
        clients.spawn(client(Arc::clone(&shared)));
    }
    let mut load = Load::default();
    while let Some(ended) = clients.join_next().await {
        let seen = ended??;
        load.told.extend(seen.told);
        load.latencies.extend(seen.latencies);
    }
    if token.is_cancelled() {
        bail!("stopped before the end");
    }
    load.took = began.elapsed();
    load.told.sort_by_key(|told| told.intent.number);
    Ok(load)
}

async fn client<W: Way>(shared: Arc<Shared<W>>) -> Result<Load> {
    let mut seen = Load::default();
    while !shared.token.is_cancelled() && Instant::now() < shared.ends_at {
        let taken = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(intent) = shared.plan.intents.get(taken).copied() else {
            break;
        };
        let mut answers = Vec::with_capacity(2);
        for _ in 0..=usize::from(intent.repeated) {
            let began = Instant::now();
            let answer = shared.way.perform(intent).await?;
            if !matches!(answer, Answer::Failed(_)) {
                seen.latencies.push(began.elapsed());
            }
            answers.push(answer);
        }
        seen.told.push(Told { intent, answers });
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says yes to everything.
    struct Yes(CancellationToken);

    impl Way for Yes {
        async fn perform(&self, intent: Intent) -> Result<Answer> {
            if intent.number == 50 {
                self.0.cancel();
            }
            tokio::task::yield_now().await;
            Ok(Answer::SoldOut)
        }
    }

    const PACE: Pace = Pace {
        clients: 8,
        limit: Duration::from_mins(1),
    };

    #[tokio::test]
    async fn every_intent_is_sent_once_and_the_repeated_ones_twice() {
        let plan = Arc::new(Plan::new(5, 300));
        let way = Arc::new(Yes(CancellationToken::new()));
        let load = run(&way, &plan, PACE, &CancellationToken::new())
            .await
            .unwrap();
        let told: Vec<_> = load.told.iter().map(|told| told.intent).collect();
        assert_eq!(told, plan.intents);
        let twice = |told: &Told| (told.answers.len() == 2) == told.intent.repeated;
        assert!(load.told.iter().all(twice));
        let sent: usize = load.told.iter().map(|told| told.answers.len()).sum();
        assert_eq!(load.latencies.len(), sent);
    }

    #[tokio::test]
    async fn a_race_that_is_stopped_has_no_result() {
        let plan = Arc::new(Plan::new(5, 300));
        let token = CancellationToken::new();
        let way = Arc::new(Yes(token.clone()));
        assert!(run(&way, &plan, PACE, &token).await.is_err());
    }

    #[tokio::test]
    async fn no_request_is_begun_after_the_time() {
        let plan = Arc::new(Plan::new(5, 300));
        let pace = Pace {
            limit: Duration::ZERO,
            ..PACE
        };
        let way = Arc::new(Yes(CancellationToken::new()));
        let load = run(&way, &plan, pace, &CancellationToken::new())
            .await
            .unwrap();
        assert!(load.told.is_empty());
    }
}
