//! How many messages wait in each shard's queue. One task asks the broker, when somebody wants to know.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use orderly_broker::{BrokerConfig, BrokerError, Connection, topology};
use orderly_protocol::ShardId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Asking takes a round trip a shard: whoever asks within this gets the answer of the one before.
const FRESH: Duration = Duration::from_millis(500);

/// Longer than a broker that is there takes for a thousand shards; who asks is told "unknown" after it.
const LIMIT: Duration = Duration::from_secs(3);

/// People and their pages ask; more than these at once get "unknown".
const MOST_ASKING: usize = 64;

/// Messages of each shard's queue that are ready for delivery.
pub(crate) type DepthOf = Arc<HashMap<ShardId, u32>>;

/// Asks the broker for depths. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Depths {
    questions: mpsc::Sender<Question>,
}

#[derive(Debug)]
struct Question {
    shards: Vec<ShardId>,
    answer: oneshot::Sender<DepthOf>,
}

impl Depths {
    /// Begins without a connection: the first question opens it.
    #[must_use]
    pub fn start(broker: BrokerConfig, tracker: &TaskTracker, token: CancellationToken) -> Self {
        let (questions, received) = mpsc::channel(MOST_ASKING);
        let mut asker = Asker {
            broker,
            connection: None,
            last: None,
        };
        tracker.spawn(async move {
            token.run_until_cancelled(asker.run(received)).await;
            if let Some(connection) = asker.connection {
                connection.close().await;
            }
        });
        Self { questions }
    }

    /// What waits in the queues of `shards`; nothing for a shard whose queue is missing, nor while the broker is away.
    pub(crate) async fn of(&self, shards: Vec<ShardId>) -> DepthOf {
        let (answer, answered) = oneshot::channel();
        if self
            .questions
            .try_send(Question { shards, answer })
            .is_err()
        {
            return DepthOf::default();
        }
        let answered = timeout(LIMIT, answered).await;
        answered.ok().and_then(Result::ok).unwrap_or_default()
    }
}

struct Asker {
    broker: BrokerConfig,
    connection: Option<Connection>,
    last: Option<(Instant, DepthOf)>,
}

impl Asker {
    async fn run(&mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some(Question { shards, answer }) = questions.recv().await {
            let depths = match &self.last {
                Some((at, depths)) if at.elapsed() < FRESH => Arc::clone(depths),
                _ => self.ask(&shards).await,
            };
            // Who asked may have gone.
            drop(answer.send(depths));
        }
    }

    async fn ask(&mut self, shards: &[ShardId]) -> DepthOf {
        let asked = timeout(LIMIT, self.statuses(shards)).await;
        let asked = asked.unwrap_or(Err(BrokerError::Timeout {
            action: "ask for the depths of all shards",
            limit: LIMIT,
        }));
        let depths = match asked {
            Ok(depths) => Arc::new(depths),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "depths of the shards unknown"
                );
                self.connection = None;
                DepthOf::default()
            }
        };
        self.last = Some((Instant::now(), Arc::clone(&depths)));
        depths
    }

    async fn statuses(&mut self, shards: &[ShardId]) -> Result<HashMap<ShardId, u32>, BrokerError> {
        let connection = match self.connection.take() {
            Some(connection) if connection.lost_reason().is_none() => connection,
            _ => Connection::open(&self.broker).await?,
        };
        let connection = self.connection.insert(connection);
        let queues: Vec<_> = shards.iter().map(|shard| shard.queue()).collect();
        let statuses = topology::queue_statuses(connection, &queues).await?;
        let depths = shards.iter().zip(statuses);
        Ok(depths
            .filter_map(|(shard, status)| Some((*shard, status?.messages)))
            .collect())
    }
}
