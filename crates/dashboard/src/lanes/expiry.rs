//! Ends pauses whose time is over: by a control command, so that what waits is released in its place. Every dashboard does it;
//! the id comes from the pause, so that it happens once.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use orderly_broker::CommandPublisher;
use orderly_domain::CommandId;
use orderly_protocol::{Control, ControlAct, ids};
use orderly_store::{ExpiredPause, Store, StoreError};
use tokio::time::Instant;

/// How late a pause may end. A person counted in minutes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long one is left to its shard before it is asked again: it may be queued behind others, or the shard is unserved.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Pauses ended in one round.
const MOST: u32 = 100;

/// Who gives it, where a key's id would stand.
const BY: &str = "orderly";

pub(super) async fn watch(store: Store, publisher: CommandPublisher) {
    let mut asked = HashMap::new();
    loop {
        if let Err(error) = round(&store, &publisher, &mut asked).await {
            tracing::warn!(error = &error as &dyn Error, "lanes cannot be looked at");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn round(
    store: &Store,
    publisher: &CommandPublisher,
    asked: &mut HashMap<CommandId, Instant>,
) -> Result<(), StoreError> {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a metric; lanes are far below 2^52"
    )]
    metrics::gauge!("orderly_parked_orders").set(store.parked_orders().await? as f64);
    asked.retain(|_, at| at.elapsed() < ASK_AGAIN_AFTER);
    for pause in store.expired_pauses(MOST).await? {
        if asked.contains_key(&pause.pause_id) {
            continue;
        }
        let end = end_of(&pause);
        match publisher.publish(pause.order_id, end).await {
            Ok(()) => {
                tracing::info!(order.id = %pause.order_id, "a pause has expired");
                asked.insert(pause.pause_id, Instant::now());
            }
            Err(error) => {
                tracing::warn!(order.id = %pause.order_id, error = &error as &dyn Error, "a pause cannot be ended yet");
            }
        }
    }
    Ok(())
}

/// The same bytes whoever makes them.
fn end_of(pause: &ExpiredPause) -> Vec<u8> {
    let control = Control {
        by: BY.to_owned(),
        reason: "the pause has expired".to_owned(),
        act: ControlAct::Resume {
            pause: Some(pause.pause_id),
        },
    };
    let command_id = ids::pause_end_id(pause.pause_id);
    control
        .envelope(
            command_id,
            pause.order_id,
            ids::OPERATIONS_PRODUCER,
            pause.until,
        )
        .encode()
}
