//! One order's way through its commands: each is sent when the order has reached the state it needs.
//!
//! Owns what an answer means for the commands after it. Keeps nothing between runs: the keys make a second run the same.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    command::{PlannedCommand, Step},
    plan::PlannedOrder,
    watch::{Following, OrderWatch, Seen},
};
use crate::client::{Answer, Call, Client, ClientError, Refusal};

/// How long a server may be away, or a command stay queued, before an order is given up: longer than any restart.
const PATIENCE: Duration = Duration::from_mins(2);
/// The event is what is waited for; asking is the second line, for a stream that broke off and for what happened before
/// this run. First soon, then ever more slowly.
const FIRST_ASK: Duration = Duration::from_millis(250);
const LONGEST_ASK: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepEnd {
    Applied {
        replayed: bool,
    },
    Rejected {
        code: String,
        replayed: bool,
    },
    /// An earlier step stopped the order, with this code.
    NotSent {
        code: String,
    },
    /// Not known or not final when the import gave up.
    Unfinished {
        reason: String,
    },
}

/// What drives the journeys of one import.
pub(crate) struct Journeys<'a> {
    pub(crate) client: &'a Client,
    pub(crate) watch: &'a OrderWatch,
    pub(crate) token: &'a CancellationToken,
}

/// What a final or given-up command tells the ones after it.
enum Outcome {
    Applied { version: u64, replayed: bool },
    Rejected { code: String, replayed: bool },
    Unfinished { reason: String },
}

impl Journeys<'_> {
    /// Sends the order's commands; gives one end per command, in their order. An error concerns the whole import.
    pub(crate) async fn travel(
        &self,
        order: &PlannedOrder,
    ) -> Result<Vec<(Step, StepEnd)>, ClientError> {
        let mut following = self.watch.follow(order.order_id);
        let mut stopped: Option<StepEnd> = None;
        let mut paid_after: Option<(u64, bool)> = None;
        let mut ends = Vec::new();
        for command in PlannedCommand::all_of(order) {
            if command.step == Step::Ship
                && stopped.is_none()
                && let Some((version, replayed)) = paid_after
            {
                stopped = self
                    .await_paid(order, &mut following, version, replayed)
                    .await?
                    .err();
            }
            if let Some(end) = &stopped {
                ends.push((command.step, end.clone()));
                continue;
            }
            let end = match self.command(&command).await? {
                Outcome::Applied { version, replayed } => {
                    paid_after = (command.step == Step::Pay)
                        .then_some((version, replayed))
                        .or(paid_after);
                    StepEnd::Applied { replayed }
                }
                Outcome::Rejected { code, replayed } => {
                    stopped = stops(command.step, || StepEnd::NotSent { code: code.clone() });
                    StepEnd::Rejected { code, replayed }
                }
                Outcome::Unfinished { reason } => {
                    stopped = stops(command.step, || StepEnd::Unfinished {
                        reason: reason.clone(),
                    });
                    StepEnd::Unfinished { reason }
                }
            };
            ends.push((command.step, end));
        }
        Ok(ends)
    }

    async fn command(&self, command: &PlannedCommand) -> Result<Outcome, ClientError> {
        if self.token.is_cancelled() {
            return Ok(Outcome::Unfinished {
                reason: "stopped".to_owned(),
            });
        }
        let answer = match self
            .client
            .send_patiently(&command.call(), PATIENCE, self.token)
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.is_passing() => {
                return Ok(Outcome::Unfinished {
                    reason: "unreachable".to_owned(),
                });
            }
            Err(error) => return Err(error),
        };
        self.settle(answer).await
    }

    /// Asks on, by the receipt, until the command is final.
    async fn settle(&self, mut answer: Answer) -> Result<Outcome, ClientError> {
        let replayed = answer.replayed;
        let location = answer.location.clone();
        let gives_up_at = Instant::now() + PATIENCE;
        loop {
            match (answer.status, answer.text("/status"), &location) {
                (401 | 403, ..) => {
                    return Err(ClientError::Refused(Refusal::of(
                        answer.status,
                        &answer.body,
                    )));
                }
                (200..300, Some("applied"), _) => {
                    let version = answer
                        .body
                        .get("version")
                        .and_then(Value::as_u64)
                        .unwrap_or(0);
                    return Ok(Outcome::Applied { version, replayed });
                }
                (200..300, Some("queued"), Some(location)) if Instant::now() < gives_up_at => {
                    let pause = answer.retry_after.unwrap_or(LONGEST_ASK).min(LONGEST_ASK);
                    if self.token.run_until_cancelled(sleep(pause)).await.is_none() {
                        return Ok(Outcome::Unfinished {
                            reason: "stopped".to_owned(),
                        });
                    }
                    answer = self
                        .client
                        .send_patiently(&Call::get(location), PATIENCE, self.token)
                        .await?;
                }
                (200..300, Some(status @ ("queued" | "parked")), _) => {
                    return Ok(Outcome::Unfinished {
                        reason: status.to_owned(),
                    });
                }
                (429 | 500.., ..) => {
                    return Ok(Outcome::Unfinished {
                        reason: code_of(&answer),
                    });
                }
                _ => {
                    return Ok(Outcome::Rejected {
                        code: code_of(&answer),
                        replayed,
                    });
                }
            }
        }
    }

    /// Waits until the payment that was requested at `version` is captured. The inner error ends the order's journey.
    async fn await_paid(
        &self,
        order: &PlannedOrder,
        following: &mut Following<'_>,
        version: u64,
        replayed: bool,
    ) -> Result<Result<(), StepEnd>, ClientError> {
        let path = format!("/v1/orders/{}", order.order_id);
        let gives_up_at = Instant::now() + PATIENCE;
        let mut pause = if replayed { Duration::ZERO } else { FIRST_ASK };
        let mut asks_at = Instant::now() + pause;
        while Instant::now() < gives_up_at {
            let seen = tokio::select! {
                seen = following.heard() => Some(seen),
                () = sleep_until(asks_at) => {
                    pause = (pause * 2).clamp(FIRST_ASK, LONGEST_ASK);
                    asks_at = Instant::now() + pause;
                    self.read(&path).await?
                }
                () = self.token.cancelled() => return Ok(Err(StepEnd::Unfinished { reason: "stopped".to_owned() })),
            };
            if let Some(progress) = seen.and_then(|seen| payment_progress(&seen, version)) {
                return Ok(progress);
            }
        }
        Ok(Err(StepEnd::Unfinished {
            reason: "payment_pending".to_owned(),
        }))
    }

    async fn read(&self, path: &str) -> Result<Option<Seen>, ClientError> {
        match self.client.fetch(&Call::get(path)).await {
            Ok(order) => Ok(Seen::of(&order)),
            Err(error) if error.is_passing() || error.exit() == crate::exit::Exit::Unavailable => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A return that is refused says nothing about the next one; every other step is needed by the ones after it.
fn stops(step: Step, end: impl FnOnce() -> StepEnd) -> Option<StepEnd> {
    (step != Step::Return).then(end)
}

/// What `seen` says of the payment requested at version `requested`: nothing yet, paid, or the end of the journey.
fn payment_progress(seen: &Seen, requested: u64) -> Option<Result<(), StepEnd>> {
    if seen.version < requested {
        return None;
    }
    let ends = |code: &str| {
        Some(Err(StepEnd::NotSent {
            code: code.to_owned(),
        }))
    };
    match seen.status.as_str() {
        "payment_pending" => None,
        // Requested, and open again: declined.
        "placed" => ends("payment_declined"),
        "cancelled" => ends("order_cancelled"),
        _ => Some(Ok(())),
    }
}

fn code_of(answer: &Answer) -> String {
    let code = Refusal::of(answer.status, &answer.body).code;
    if code.is_empty() {
        format!("http_{}", answer.status)
    } else {
        code
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, StepEnd, payment_progress};

    fn progress(version: u64, status: &str) -> Option<Result<(), StepEnd>> {
        payment_progress(
            &Seen {
                version,
                status: status.to_owned(),
            },
            2,
        )
    }

    #[test]
    fn an_event_from_before_the_payment_says_nothing() {
        assert_eq!(progress(1, "placed"), None);
        assert_eq!(progress(2, "payment_pending"), None);
    }

    #[test]
    fn a_paid_order_and_all_that_follows_may_ship() {
        for status in [
            "paid",
            "partially_shipped",
            "shipped",
            "delivered",
            "returned",
        ] {
            assert_eq!(progress(3, status), Some(Ok(())), "{status}");
        }
        assert_eq!(
            progress(2, "paid"),
            Some(Ok(())),
            "a total of 0 is paid by the `pay` itself"
        );
    }

    #[test]
    fn a_declined_payment_ends_the_journey() {
        let declined = StepEnd::NotSent {
            code: "payment_declined".to_owned(),
        };
        assert_eq!(progress(3, "placed"), Some(Err(declined)));
    }
}
