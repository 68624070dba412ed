//! What is measured: every scenario by name, and which of them make a round.

mod big;
mod cold;
mod idle;
mod limits;
mod orders;
mod worker_alone;

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::load::Pace;
use crate::sample::Sample;

pub(crate) use big::prepare as prepare_big;
pub(crate) use idle::{Idle, measure as measure_idle};
pub(crate) use orders::read;

/// Orders of a uniform load.
pub(crate) const UNIFORM_ORDERS: usize = 1_000;
/// Commands of one batch request.
pub(crate) const BATCH_LINES: usize = 100;
/// Connections that send batches: together they keep as much in flight as the largest single load.
const BATCH_CONNECTIONS: usize = 8;
/// How long tables count as cold.
pub(crate) const COLD: Duration = Duration::from_secs(5);

/// One order that everybody wants, or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Hot,
    Uniform,
}

/// Who serves a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Orderly,
    Direct,
    /// Orderly on a million orders.
    Big,
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Single posts. `wait`: for the outcome instead of the acceptance.
    Posts {
        server: Server,
        target: Target,
        connections: usize,
        pace: Pace,
        wait: bool,
    },
    /// The batch endpoint.
    Batches,
    /// Batched rows straight into Postgres.
    PgLimit(Target),
    /// Bare confirmed publishes.
    Publish(Pace),
    /// A worker on filled queues, so many commands in a message.
    WorkerAlone { target: Target, per_message: usize },
    /// The first seconds on an empty database.
    Cold,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "hot",
            Self::Uniform => "uniform",
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posts {
                server,
                target,
                connections,
                pace,
                wait,
            } => {
                let server = match server {
                    Server::Orderly => "orderly",
                    Server::Direct => "direct",
                    Server::Big => "orderly-big",
                };
                match pace {
                    Pace::Closed => write!(f, "{server}/{target}-{connections}")?,
                    Pace::Open(rate) => write!(f, "{server}/{target}-paced-{rate}")?,
                }
                if *wait { f.write_str("-wait") } else { Ok(()) }
            }
            Self::Batches => f.write_str("orderly/batch-uniform"),
            Self::PgLimit(target) => write!(f, "pg-limit/{target}"),
            Self::Publish(Pace::Closed) => f.write_str("publish/32-channels"),
            Self::Publish(Pace::Open(rate)) => write!(f, "publish/paced-{rate}"),
            Self::WorkerAlone {
                target,
                per_message,
            } => write!(f, "worker/{target}-{per_message}-a-message"),
            Self::Cold => f.write_str("orderly/cold-uniform-64"),
        }
    }
}

impl Scenario {
    /// Every scenario of a round, in the order of the first.
    pub(crate) fn all(big: bool) -> Vec<Self> {
        let mut all = Vec::new();
        let posts = |server, target, connections, pace, wait| Self::Posts {
            server,
            target,
            connections,
            pace,
            wait,
        };
        for target in [Target::Hot, Target::Uniform] {
            for connections in [64, 256] {
                for server in [Server::Orderly, Server::Direct] {
                    all.push(posts(server, target, connections, Pace::Closed, false));
                }
            }
            all.push(posts(Server::Orderly, target, 64, Pace::Closed, true));
            for rate in [200, 1_000] {
                for server in [Server::Orderly, Server::Direct] {
                    all.push(posts(server, target, 64, Pace::Open(rate), false));
                }
            }
            all.push(Self::PgLimit(target));
            // As many as a message can hold, and as many as single posts gather.
            for per_message in [128, 4] {
                all.push(Self::WorkerAlone {
                    target,
                    per_message,
                });
            }
        }
        for pace in [Pace::Closed, Pace::Open(200), Pace::Open(1_000)] {
            all.push(Self::Publish(pace));
        }
        all.push(Self::Batches);
        all.push(Self::Cold);
        if big {
            all.push(posts(Server::Big, Target::Uniform, 64, Pace::Closed, false));
        }
        all
    }

    /// Measures it once. `None` if this build has nothing to measure.
    pub(crate) async fn run(&self, bench: &Bench) -> Result<Option<Sample>> {
        match *self {
            Self::Posts {
                server,
                target,
                connections,
                pace,
                wait,
            } => {
                let posts = orders::Posts {
                    server,
                    target,
                    connections,
                    pace,
                    wait,
                    warm_up: bench.warm_up,
                    measured: bench.measured,
                    batch: None,
                };
                orders::run(bench, &posts).await.map(Some)
            }
            Self::Batches => {
                if !bench.orderly()?.has_batches().await? {
                    return Ok(None);
                }
                let posts = orders::Posts {
                    server: Server::Orderly,
                    target: Target::Uniform,
                    connections: BATCH_CONNECTIONS,
                    pace: Pace::Closed,
                    wait: false,
                    warm_up: bench.warm_up,
                    measured: bench.measured,
                    batch: Some(BATCH_LINES),
                };
                orders::run(bench, &posts).await.map(Some)
            }
            Self::PgLimit(target) => limits::postgres(bench, target).await.map(Some),
            Self::Publish(pace) => limits::publish(bench, pace).await.map(Some),
            Self::WorkerAlone {
                target,
                per_message,
            } => worker_alone::run(bench, target, per_message)
                .await
                .map(Some),
            Self::Cold => cold::run(bench).await.map(Some),
        }
    }

    /// Which parts of the bench it needs.
    pub(crate) fn needs(&self) -> Need {
        match self {
            Self::Posts { server, .. } => match server {
                Server::Orderly => Need::Orderly,
                Server::Direct => Need::Direct,
                Server::Big => Need::Big,
            },
            Self::Batches => Need::Orderly,
            Self::PgLimit(_) => Need::PgLimit,
            Self::Publish(_) => Need::Publish,
            Self::WorkerAlone { .. } => Need::WorkerAlone,
            Self::Cold => Need::Nothing,
        }
    }
}

/// A part of the bench that is made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Orderly,
    Direct,
    Big,
    PgLimit,
    Publish,
    WorkerAlone,
    Nothing,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let all = Scenario::all(true);
        let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.contains("orderly/hot-64") && names.contains("direct/uniform-paced-1000"));
    }
}
