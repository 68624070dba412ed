//! From claims and sightings to figures.

use std::collections::HashMap;
use std::fmt;

use comfy_table::{Table, presets};
use orderly_domain::{CommandId, OrderId};
use orderly_protocol::shard_of;
use uuid::Uuid;

use crate::latency::Latency;
use crate::load::{Answer, Sent};

/// The default layout, which the bench leaves as it is.
const SHARDS: i32 = 16;

/// What is done to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Kill,
    Stop,
    Join,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Join => "join",
        })
    }
}

/// When it was done. Times are of the run's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) at: u64,
    pub(super) action: Action,
}

/// A shard was claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) shard: i32,
    pub(super) at: u64,
}

/// One hand-over of one shard, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hand {
    pub(super) action: Action,
    /// From what was done until the first command of the new owner was seen.
    pub(super) since: u64,
    /// From the acceptance of that command until then.
    pub(super) waited: u64,
}

/// Each claim after the first thing that was done, with the first command that its owner applied.
pub(super) fn first_commands(
    orders: &[Uuid],
    sent: &[Sent],
    visible: &HashMap<CommandId, u64>,
    claims: &[Claim],
    done: &[Done],
) -> Vec<Hand> {
    let shards: Vec<i32> = orders
        .iter()
        .map(|order| shard_of(OrderId(*order), SHARDS))
        .collect();
    // When seen, and when accepted, in the order seen.
    let mut by_shard: HashMap<i32, Vec<(u64, u64)>> = HashMap::new();
    for sent in sent.iter().filter(|sent| sent.answer == Answer::Accepted) {
        if let Some(seen) = visible.get(&sent.command_id) {
            let of_shard = by_shard.entry(shards[sent.order]).or_default();
            of_shard.push((*seen, sent.answered));
        }
    }
    for of_shard in by_shard.values_mut() {
        of_shard.sort_unstable();
    }
    let hand = |claim: &Claim| {
        let cause = done.iter().rev().find(|done| done.at <= claim.at)?;
        let of_shard = by_shard.get(&claim.shard)?;
        let first = of_shard.partition_point(|(seen, _)| *seen < claim.at);
        let (seen, accepted) = of_shard.get(first)?;
        Some(Hand {
            action: cause.action,
            since: seen - cause.at,
            waited: seen.saturating_sub(*accepted),
        })
    };
    claims.iter().filter_map(hand).collect()
}

/// A row for each action.
pub(super) fn figures(hands: &[Hand]) -> String {
    let head = [
        "after",
        "hand-overs",
        "since p50 ms",
        "p99",
        "max",
        "waited p50 ms",
        "p99",
        "max",
    ];
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for action in [Action::Kill, Action::Stop, Action::Join] {
        let of_action: Vec<&Hand> = hands.iter().filter(|hand| hand.action == action).collect();
        let mut row = vec![action.to_string(), of_action.len().to_string()];
        for nanos in [|hand: &&Hand| hand.since, |hand: &&Hand| hand.waited] {
            let latency = Latency::of(of_action.iter().map(nanos).collect());
            row.extend(latency.map_or([const { String::new() }; 3], |latency| {
                [latency.p50_ms, latency.p99_ms, latency.max_ms].map(|ms| format!("{ms:.0}"))
            }));
        }
        table.add_row(row);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first command that was seen after a claim is the new owner's; what happened before the claim caused it.
    #[test]
    fn a_claim_belongs_to_what_was_done_last_and_to_the_first_command_seen_after_it() {
        let order = Uuid::from_u128(7);
        let shard = shard_of(OrderId(order), SHARDS);
        let sent = |number: u128, answered| Sent {
            command_id: CommandId(Uuid::from_u128(number)),
            order: 0,
            due: 0,
            begun: 0,
            answered,
            answer: Answer::Accepted,
        };
        let sent = [sent(1, 10), sent(2, 90), sent(3, 95)];
        let seen = [(1, 20), (2, 150), (3, 151)];
        let visible = seen
            .into_iter()
            .map(|(number, at)| (CommandId(Uuid::from_u128(number)), at))
            .collect();
        let claims = [
            Claim { shard, at: 140 },
            Claim { shard, at: 500 },
            Claim { shard, at: 5 },
        ];
        let done = |at, action| Done { at, action };
        let done = [done(15, Action::Stop), done(100, Action::Kill)];
        let hands = first_commands(&[order], &sent, &visible, &claims, &done);
        // Nothing was seen after the second claim, and nothing was done before the third.
        let expected = Hand {
            action: Action::Kill,
            since: 50,
            waited: 60,
        };
        assert_eq!(hands, [expected]);
    }
}
