//! One subscription to the queue of payment events, from subscribe to the first failure. Owns the rule that a delivery is
//! acknowledged after its commands are stored, and in order.

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use orderly_broker::topology::{self, TopologyError};
use orderly_broker::{Backoff, BrokerError, Connection, Delivery, PublishError};
use orderly_crashpoint::{CrashPoint, Injected, reach};
use orderly_domain::OrderId;
use orderly_http::Check;
use orderly_protocol::names::PAYMENTS_QUEUE;
use orderly_protocol::{CloudEvent, EventUnreadable, EventsUnreadable, parse_event};
use tokio_util::sync::CancellationToken;

use crate::PaymentsOptions;
use crate::gateway::GatewayRequest;
use crate::order_chain::OrderChain;
use crate::record::record;

/// Requests to the gateway in flight: at its usual 300 ms this is some 800 a second. Constant for the life of the queue:
/// lowering it reorders redeliveries after two crashes.
const PREFETCH: u16 = 256;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("consume the payment events")]
    Broker(#[from] BrokerError),
    #[error("send what the gateway said")]
    Publish(#[from] PublishError),
    #[error("the queue of payment events was deleted")]
    QueueDeleted,
    /// It would lose, double or reorder events.
    #[error("the queue of payment events is not consumed as it is")]
    BrokenQueue(#[source] TopologyError),
}

impl SessionError {
    /// What is missing, for those who ask whether the role is ready.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Broker(_) | Self::Publish(_) => "broker away",
            Self::QueueDeleted => "queue missing",
            Self::BrokenQueue(_) => "queue declared otherwise",
        }
    }
}

impl From<Injected> for SessionError {
    fn from(_: Injected) -> Self {
        Self::Publish(PublishError::Unknown)
    }
}

/// What an event wants of the gateway.
#[derive(Debug)]
struct Task {
    order_id: OrderId,
    request: GatewayRequest,
    traceparent: Option<String>,
}

/// Works until `token` is cancelled or something fails.
pub(crate) async fn run(
    options: &PaymentsOptions,
    ready: &Check,
    backoff: &mut Backoff,
    token: &CancellationToken,
) -> Result<(), SessionError> {
    let Some(connection) = token
        .run_until_cancelled(Connection::open(&options.broker))
        .await
    else {
        return Ok(());
    };
    let connection = connection?;
    verify(&connection).await?;
    let mut deliveries = connection.subscribe_queue(PAYMENTS_QUEUE, PREFETCH).await?;
    ready.ready();
    let mut chain = OrderChain::default();
    let mut in_hand = FuturesOrdered::new();
    loop {
        tokio::select! {
            () = token.cancelled() => break,
            Some(done) = in_hand.next(), if !in_hand.is_empty() => {
                let (delivery, order_id): (Delivery, Option<OrderId>) = done?;
                if let Some(order_id) = order_id {
                    chain.forget(order_id);
                }
                reach(CrashPoint::BeforePaymentAck)?;
                delivery.ack_through().await?;
                reach(CrashPoint::AfterPaymentAck)?;
                backoff.reset();
            }
            // The prefetch bounds what is in hand: the broker sends no more before an ack.
            delivery = deliveries.next() => {
                let delivery = delivery?.ok_or(SessionError::QueueDeleted)?;
                let task = read(&delivery);
                let link = task.as_ref().map(|task| chain.take(task.order_id));
                in_hand.push_back(async move {
                    let order_id = task.as_ref().map(|task| task.order_id);
                    if let (Some(task), Some(link)) = (task, link) {
                        link.run(perform(options, &task)).await?;
                    }
                    Ok::<_, SessionError>((delivery, order_id))
                });
            }
        }
    }
    // What is in hand goes back to the queue, in order; the next consumer makes the same commands of it.
    drop(in_hand);
    deliveries.close().await?;
    connection.close().await;
    Ok(())
}

/// Compares the queue with what it should be. A user who may not do that consumes without.
async fn verify(connection: &Connection) -> Result<(), SessionError> {
    match topology::verify_payments(connection).await {
        Ok(()) => Ok(()),
        Err(TopologyError::Missing { .. }) => Err(SessionError::QueueDeleted),
        Err(error @ TopologyError::Different { .. }) => Err(SessionError::BrokenQueue(error)),
        Err(TopologyError::Broker { source, .. }) if source.is_access_refused() => {
            tracing::warn!("the queue's arguments are not verified: the user may not configure it");
            Ok(())
        }
        Err(TopologyError::Broker { source, .. }) => Err(SessionError::Broker(source)),
    }
}

/// What the event in a delivery wants. An event that cannot be read is logged, counted and passed over: waiting would hold
/// up every payment behind it, and the events table still has it.
fn read(delivery: &Delivery) -> Option<Task> {
    match task_of(&delivery.body) {
        Ok(task) => task,
        Err(fault) => {
            metrics::counter!("orderly_payments_unreadable_total").increment(1);
            tracing::error!(
                message_id = delivery.message_id,
                routing_key = delivery.routing_key,
                error = &fault as &dyn std::error::Error,
                "payment event cannot be read, passed over"
            );
            None
        }
    }
}

fn task_of(body: &[u8]) -> Result<Option<Task>, EventFault> {
    let event = CloudEvent::decode(body)?;
    let name = event.event_name().ok_or(EventFault::UnknownType)?;
    let request = GatewayRequest::from_event(&parse_event(name, event.data.get())?);
    Ok(request.map(|request| Task {
        order_id: event.order_id,
        request,
        traceparent: event.traceparent,
    }))
}

/// Why an event cannot be read.
#[derive(Debug, thiserror::Error)]
enum EventFault {
    #[error("read a payment event")]
    Envelope(#[from] EventsUnreadable),
    #[error("the event's type is none of this version")]
    UnknownType,
    #[error("read a payment event's data")]
    Data(#[from] EventUnreadable),
}

/// Asks the gateway and sends each thing it says, in order.
async fn perform(options: &PaymentsOptions, task: &Task) -> Result<(), PublishError> {
    let events = options.gateway.execute(&task.request).await;
    reach(CrashPoint::AfterGateway).map_err(|_| PublishError::Unknown)?;
    metrics::counter!("orderly_gateway_requests_total", "request" => task.request.name())
        .increment(1);
    for event in &events {
        record(
            &options.commands,
            task.order_id,
            event,
            task.traceparent.as_deref(),
        )
        .await?;
    }
    tracing::debug!(
        order.id = %task.order_id,
        request = task.request.name(),
        events = events.len(),
        "gateway asked"
    );
    Ok(())
}
