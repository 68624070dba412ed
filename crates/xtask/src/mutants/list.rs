//! The faults, each a way in which order systems are built wrong.

use super::tree::Edit;

/// Who must find it out.
#[derive(Clone, Copy)]
pub(super) enum Catcher {
    /// `orderly storm` with these arguments.
    Storm(&'static [&'static str]),
    /// One integration test. For what no effect shows, since another layer stands behind it.
    Test {
        package: &'static str,
        test: &'static str,
    },
}

/// One fault.
pub(super) struct Mutant {
    pub(super) name: &'static str,
    pub(super) edits: &'static [Edit],
    pub(super) catcher: Catcher,
}

/// A kill must fall between two lines. Where those are a millisecond apart, the mutant stays between them for some more: whether a
/// storm sees it is not to be luck.
const KILLS: Catcher = Catcher::Storm(&["--faults", "kill-worker"]);

pub(super) static ALL: &[Mutant] = &[
    Mutant {
        // A command that is acknowledged and then lost.
        name: "ack-before-commit",
        edits: &[Edit {
            file: "crates/worker/src/shard/apply.rs",
            from: "        let deadline = Instant::now() + TRANSIENT_LIMIT;\n",
            to: "        if crate::mutant(\"ack-before-commit\")
            && let Some(delivery) = batch.last_delivery.take()
        {
            delivery.ack_through().await.map_err(ShardError::Broker)?;
        }
        let deadline = Instant::now() + TRANSIENT_LIMIT;\n",
        }],
        catcher: KILLS,
    },
    Mutant {
        // A commit that nobody ever hears of.
        name: "ack-before-publish",
        edits: &[Edit {
            file: "crates/worker/src/finish.rs",
            from: "        self.publish(&unfinished.events).await?;\n",
            to: "        let mut unfinished = unfinished;
        if crate::mutant(\"ack-before-publish\")
            && let Some(delivery) = unfinished.last_delivery.take()
        {
            delivery.ack_through().await.map_err(ShardError::Broker)?;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.publish(&unfinished.events).await?;\n",
        }],
        catcher: KILLS,
    },
    Mutant {
        // Events of what never happened.
        name: "publish-before-commit",
        edits: &[Edit {
            file: "crates/worker/src/process.rs",
            from: "    transaction.commit().await?;\n",
            to: "    if crate::mutant(\"publish-before-commit\") {
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            drop(transaction.commit().await);
        });
    } else {
        transaction.commit().await?;
    }\n",
        }],
        catcher: KILLS,
    },
    Mutant {
        // A redelivery that is applied again.
        name: "dedupe-off",
        edits: &[Edit {
            file: "crates/worker/src/item.rs",
            from: "            command_id: envelope.command_id,\n            order_id: envelope.order_id,\n",
            to: "            command_id: if redelivered && crate::mutant(\"dedupe-off\") {
                CommandId(Uuid::now_v7())
            } else {
                envelope.command_id
            },
            order_id: envelope.order_id,\n",
        }],
        catcher: KILLS,
    },
    Mutant {
        // A crash between commit and publish, and the events are gone.
        name: "republish-off",
        edits: &[
            Edit {
                file: "crates/worker/src/process.rs",
                from: "    let again = book.taken_by_earlier_deliveries(batch);\n",
                to: "    let mut again = book.taken_by_earlier_deliveries(batch);
    if crate::mutant(\"republish-off\") {
        again.clear();
    }\n",
            },
            Edit {
                file: "crates/worker/src/finish.rs",
                from: "    async fn finish(&mut self, unfinished: Unfinished) -> Result<(), ShardError> {\n",
                to: "    async fn finish(&mut self, unfinished: Unfinished) -> Result<(), ShardError> {
        if crate::mutant(\"republish-off\") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }\n",
            },
        ],
        catcher: KILLS,
    },
    Mutant {
        // Two consumers of one queue.
        name: "single-active-consumer-off",
        edits: &[Edit {
            file: "crates/broker/src/topology/arguments.rs",
            from: "    arguments.insert(\"x-single-active-consumer\".into(), true.into());\n",
            to: "    let single = !crate::mutant(\"single-active-consumer-off\");
    arguments.insert(\"x-single-active-consumer\".into(), single.into());\n",
        }],
        catcher: KILLS,
    },
    Mutant {
        // A lost update that its sender asked to be refused.
        name: "expected-version-off",
        edits: &[Edit {
            file: "crates/domain/src/decide/transition.rs",
            from: "    if let Some(expected) = command.expected_version\n",
            to: "    if !crate::mutant(\"expected-version-off\")\n        && let Some(expected) = command.expected_version\n",
        }],
        catcher: Catcher::Storm(&["--scenario", "hot-order"]),
    },
    Mutant {
        // Two shards sell the same piece.
        name: "stock-lock-off",
        edits: &[Edit {
            file: "crates/store/src/batch/read.rs",
            from: "        for sku in skus {\n            levels.insert(sku.clone(), None);\n        }\n",
            to: "        if crate::mutant(\"stock-lock-off\") {
            let released = sqlx::raw_sql(\"rollback; begin\").execute(&mut *self.session);
            self.sessions.bounded(released).await?;
        }
        for sku in skus {
            levels.insert(sku.clone(), None);
        }\n",
        }],
        catcher: Catcher::Storm(&["--scenario", "oversell", "--clients", "32"]),
    },
    Mutant {
        // A zombie writes. Dedupe and the outcome's unique index still stand behind it, so that no effect shows it.
        name: "fence-off",
        edits: &[
            Edit {
                file: "crates/store/src/batch.rs",
                from: "AssertSqlSafe(format!(\n",
                to: "AssertSqlSafe(unfenced(fence, format!(\n",
            },
            Edit {
                file: "crates/store/src/batch.rs",
                from: "            fence.epoch,\n        )));\n",
                to: "            fence.epoch,\n        ))));\n",
            },
            Edit {
                file: "crates/store/src/batch.rs",
                from: "/// A text as SQL,",
                to: "fn unfenced(fence: &Fence, statement: String) -> String {
    let condition = format!(\"and owner = {} and epoch = {}\", literal(&fence.owner), fence.epoch);
    if crate::mutant(\"fence-off\") {
        statement.replace(&condition, \"\")
    } else {
        statement
    }
}

/// A text as SQL,",
            },
        ],
        catcher: Catcher::Test {
            package: "orderly-store",
            test: "a_zombie_begins_no_batch",
        },
    },
    Mutant {
        // Whoever comes last owns the shard.
        name: "claim-without-compare",
        edits: &[Edit {
            file: "crates/store/src/ownership.rs",
            from: "        let mut session = bounded(self.pool().acquire()).await?;\n        let pid",
            to: "        let seen = if crate::mutant(\"claim-without-compare\") {
            self.epoch(shard).await?.unwrap_or(seen)
        } else {
            seen
        };
        let mut session = bounded(self.pool().acquire()).await?;\n        let pid",
        }],
        catcher: Catcher::Test {
            package: "orderly-store",
            test: "of_eight_claims_with_one_epoch_one_succeeds",
        },
    },
    Mutant {
        // The new generation begins while the old one has commands left.
        name: "generations-overlap",
        edits: &[
            Edit {
                file: "crates/worker/src/served.rs",
                from: "        let mut generations = self.generations.clone();\n",
                to: "        if crate::mutant(\"generations-overlap\") {
            return;
        }
        let mut generations = self.generations.clone();\n",
            },
            Edit {
                file: "crates/store/src/ownership.rs",
                from: "        let mut session = bounded(self.pool().acquire()).await?;\n        let pid",
                to: "        if crate::mutant(\"generations-overlap\") {
            let claim = \"update shards set epoch = epoch + 1, owner = $4, claimed_at = clock_timestamp()
                 where generation = $1 and shard = $2 and epoch = $3 and drained_at is null
                 returning epoch\";
            let claim = sqlx::query_scalar(claim)
                .bind(shard.generation)
                .bind(shard.shard)
                .bind(seen)
                .bind(owner);
            let epoch: Option<i64> = bounded(claim.fetch_optional(self.pool())).await?;
            return Ok(epoch.map(|epoch| Fence {
                shard,
                owner: owner.to_owned(),
                epoch,
            }));
        }
        let mut session = bounded(self.pool().acquire()).await?;\n        let pid",
            },
        ],
        catcher: Catcher::Test {
            package: "orderly-worker",
            test: "nothing_of_the_new_generation_is_applied_before_the_old_one_is_drained",
        },
    },
    Mutant {
        // A shard that is drained while it owes acks.
        name: "drain-unflushed",
        edits: &[Edit {
            file: "crates/worker/src/shard.rs",
            from: "            if is_last && !self.finisher.flush().await {",
            to: "            if is_last
                && !crate::mutant(\"drain-unflushed\")
                && !self.finisher.flush().await
            {",
        }],
        catcher: Catcher::Test {
            package: "orderly-worker",
            test: "a_shard_is_drained_when_everything_before_is_acked",
        },
    },
];
