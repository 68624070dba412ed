//! Shards and workers: who serves what, and whether those who do fit together.

use std::collections::BTreeSet;

use orderly_store::{ShardRow, ShardStanding, Store, WorkerRow};

use super::database::judge_clock;
use super::finding::{Findings, State};

/// `nodes`: of the broker's cluster, if it is known.
pub(super) async fn examine(findings: &mut Findings, store: &Store, nodes: Option<usize>) {
    match store.current_layout().await {
        Ok(Some(_)) => {}
        Ok(None) => {
            findings
                .add(State::Broken, "shards", "no generation takes commands")
                .mend("orderly topology apply");
            return;
        }
        Err(error) => return findings.unanswered("shards", &error),
    }
    match store.shards().await {
        Ok(rows) => judge_shards(findings, &rows),
        Err(error) => findings.unanswered("shards", &error),
    }
    match store.workers().await {
        Ok(rows) => {
            let alive: Vec<_> = rows.into_iter().filter(|row| row.alive).collect();
            judge_workers(findings, &alive, nodes);
        }
        Err(error) => findings.unanswered("workers", &error),
    }
}

fn judge_shards(findings: &mut Findings, rows: &[ShardRow]) {
    let check = "shards";
    let of = |standing: ShardStanding| rows.iter().filter(move |row| row.standing == standing);
    let unserved = of(ShardStanding::Served)
        .filter(|row| !row.owner_alive && row.standby.is_empty())
        .count();
    if unserved > 0 {
        findings
            .add(
                State::Broken,
                check,
                format!("{unserved} that nobody serves: their commands wait"),
            )
            .mend("start more workers (orderly worker), or give them more room (--max-shards)");
    }
    let paused = of(ShardStanding::Paused).count();
    if paused > 0 {
        findings
            .add(State::Warning, check, format!("{paused} paused"))
            .mend("orderly shards list says by whom and why; orderly shards resume");
    }
    let waiting = of(ShardStanding::Waiting).count();
    if waiting > 0 {
        findings.add(
            State::Warning,
            check,
            format!("{waiting} wait until those of the generation before are drained"),
        );
    }
    findings.ok_unless_found(check, format!("{}, all served", rows.len()));
}

fn judge_workers(findings: &mut Findings, alive: &[WorkerRow], nodes: Option<usize>) {
    let check = "workers";
    if alive.len() < 2 {
        findings
            .add(
                State::Warning,
                check,
                match alive.len() {
                    0 => "none is alive".to_owned(),
                    _ => "one: nobody stands by, and its shards wait when it is gone".to_owned(),
                },
            )
            .mend("start two or more");
    }
    let versions: BTreeSet<&str> = alive
        .iter()
        .map(|worker| worker.version.as_deref().unwrap_or("an earlier one"))
        .collect();
    if versions.len() > 1 {
        let versions: Vec<_> = versions.into_iter().collect();
        findings
            .add(
                State::Warning,
                check,
                format!("of several versions: {}", versions.join(", ")),
            )
            .mend("upgrade all of them before a resize");
    }
    for worker in alive {
        let name = &worker.worker;
        if let (Some(nodes), Some(told)) = (nodes.filter(|nodes| *nodes > 1), worker.broker_nodes)
            && usize::try_from(told).is_ok_and(|told| told < nodes)
        {
            findings
                .add(
                    State::Broken,
                    check,
                    format!("{name} was told of {told} of the broker's {nodes} nodes: a resize that it coordinates could reorder commands"),
                )
                .mend("ORDERLY_AMQP_NODES with the URL of every node, for every worker");
        }
        if let Some(skew) = worker.clock_skew_seconds {
            judge_clock(findings, &format!("the clock of {name}"), skew);
        }
    }
    findings.ok_unless_found(check, format!("{} alive", alive.len()));
    findings.ok_unless_found(
        "clock",
        "those of this host, the database and the workers agree",
    );
}

#[cfg(test)]
mod tests {
    use orderly_protocol::{ShardId, Timestamp};

    use super::*;

    fn worker(version: Option<&str>, broker_nodes: i32) -> WorkerRow {
        WorkerRow {
            worker: "worker.host.1".to_owned(),
            alive: true,
            owned: 1,
            subscribed: vec!["g1.000".to_owned()],
            capacity: None,
            started_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
            version: version.map(str::to_owned),
            broker_nodes: Some(broker_nodes),
            clock_skew_seconds: Some(0.0),
            drain: None,
        }
    }

    fn found(examine: impl FnOnce(&mut Findings)) -> Vec<State> {
        let mut findings = Findings::default();
        examine(&mut findings);
        findings.0.into_iter().map(|it| it.state).collect()
    }

    #[test]
    fn workers_must_fit_together() {
        use State::{Broken, Ok, Warning};
        let (one, old) = (worker(Some("0.1.0"), 1), worker(None, 1));
        let workers = |all: &[WorkerRow], nodes| found(|it| judge_workers(it, all, nodes));
        let two = [one.clone(), one.clone()];
        assert_eq!(workers(&two, Some(1)), [Ok, Ok]);
        assert_eq!(workers(&two, None), [Ok, Ok]);
        assert_eq!(workers(&[], Some(1)), [Warning, Ok]);
        assert_eq!(workers(&two[..1], Some(1)), [Warning, Ok]);
        assert_eq!(workers(&[one.clone(), old], Some(1)), [Warning, Ok]);
        assert_eq!(workers(&two, Some(3)), [Broken, Broken, Ok]);
        let told = [worker(Some("0.1.0"), 3), worker(Some("0.1.0"), 3)];
        assert_eq!(workers(&told, Some(3)), [Ok, Ok]);
        let mut late = two;
        late[1].clock_skew_seconds = Some(-90.0);
        assert_eq!(workers(&late, Some(1)), [Warning, Ok]);
    }

    #[test]
    fn a_shard_that_nobody_serves_is_told() {
        use State::{Broken, Ok, Warning};
        let row = |standing, owner_alive| ShardRow {
            shard: ShardId {
                generation: 1,
                shard: 0,
            },
            owner: None,
            owner_alive,
            standby: Vec::new(),
            epoch: 1,
            claimed_at: None,
            claimed_seconds: None,
            standing,
        };
        let shards = |rows: &[ShardRow]| found(|it| judge_shards(it, rows));
        assert_eq!(shards(&[row(ShardStanding::Served, true)]), [Ok]);
        assert_eq!(shards(&[row(ShardStanding::Served, false)]), [Broken]);
        assert_eq!(shards(&[row(ShardStanding::Paused, false)]), [Warning]);
        assert_eq!(shards(&[row(ShardStanding::Drained, false)]), [Ok]);
    }
}
