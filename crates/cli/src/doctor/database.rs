//! The database: its version, whether a commit stays, the schema, who may change what, and its clock.

use orderly_protocol::Timestamp;
use orderly_store::{DatabaseHealth, SchemaDifference, Store};

use super::finding::{Findings, State};

/// The oldest that the schema is written for.
const OLDEST: i32 = 150_000;

/// Ages and waits that people are shown mix clocks: more than this is seen.
pub(super) const MOST_SKEW_SECONDS: f64 = 1.0;

/// Whether its tables can be asked.
pub(super) async fn examine(findings: &mut Findings, store: &Store) -> bool {
    let health = match store.database_health().await {
        Ok(health) => health,
        Err(error) => {
            findings.unanswered("database", &error);
            return false;
        }
    };
    judge(findings, &health);
    clock(findings, store).await;
    match store.schema_difference().await {
        Ok(difference) => judge_schema(findings, &difference),
        Err(error) => {
            findings.unanswered("schema", &error);
            false
        }
    }
}

fn judge(findings: &mut Findings, health: &DatabaseHealth) {
    let version = format!("{}.{}", health.version / 10_000, health.version % 10_000);
    if health.version < OLDEST {
        findings
            .add(
                State::Broken,
                "database",
                format!("PostgreSQL {version} is older than the schema allows"),
            )
            .mend("PostgreSQL 15 or newer");
    }
    if health.is_standby {
        findings
            .add(
                State::Broken,
                "database",
                "a standby, which takes no writes",
            )
            .mend("give the URL of the primary");
    }
    for (setting, value) in &health.durability {
        if value == "off" {
            findings
                .add(
                    State::Broken,
                    "durability",
                    format!("{setting} is off: what was committed can be gone after a crash"),
                )
                .mend(format!(
                    "alter system set {setting} = on; select pg_reload_conf()"
                ));
        }
    }
    findings.ok_unless_found("database", format!("PostgreSQL {version}"));
    findings.ok_unless_found("durability", "a commit is on disk before it is answered");
    if health.may_rewrite_audit {
        findings
            .add(
                State::Warning,
                "audit",
                "this user is a superuser or owns the audit: it could disable what makes it append-only",
            )
            .mend("let the roles use a user that owns nothing (deploy/README.md); keep heads of `orderly audit verify` elsewhere");
    } else {
        findings.ok("audit", "this user can only add to it");
    }
}

fn judge_schema(findings: &mut Findings, difference: &SchemaDifference) -> bool {
    let numbers = |versions: &[i64]| {
        let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
        versions.join(", ")
    };
    if !difference.missing.is_empty() {
        findings
            .add(
                State::Broken,
                "schema",
                format!("migrations not applied: {}", numbers(&difference.missing)),
            )
            .mend("orderly migrate");
    }
    if !difference.changed.is_empty() {
        findings
            .add(
                State::Broken,
                "schema",
                format!(
                    "migrations applied with another text: {}",
                    numbers(&difference.changed)
                ),
            )
            .mend("this program and the database are of different lines; restore a backup or use the program that made it");
    }
    if !difference.unknown.is_empty() {
        findings
            .add(
                State::Warning,
                "schema",
                format!(
                    "made by a newer program: migrations {}",
                    numbers(&difference.unknown)
                ),
            )
            .mend("use the doctor of the newest program");
    }
    findings.ok_unless_found("schema", "as this program was built for");
    difference.missing.is_empty()
}

async fn clock(findings: &mut Findings, store: &Store) {
    let before = Timestamp::now_utc();
    let Ok(there) = store.now().await else {
        return;
    };
    let after = Timestamp::now_utc();
    // Its answer was made some time between the two.
    let skew = if there < before {
        (there - before).as_seconds_f64()
    } else {
        (there - after).as_seconds_f64().max(0.0)
    };
    judge_clock(findings, "the database's clock", skew);
}

/// Nothing is decided by clocks; people are misled by them.
pub(super) fn judge_clock(findings: &mut Findings, whose: &str, ahead_seconds: f64) {
    if ahead_seconds.abs() > MOST_SKEW_SECONDS {
        let direction = if ahead_seconds > 0.0 {
            "ahead"
        } else {
            "behind"
        };
        findings
            .add(
                State::Warning,
                "clock",
                format!("{whose} is {:.1} s {direction}", ahead_seconds.abs()),
            )
            .mend("let NTP set both: no decision rests on it, but ages and waits are shown wrong");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> DatabaseHealth {
        let on = |name: &str| (name.to_owned(), "on".to_owned());
        DatabaseHealth {
            version: 150_008,
            durability: ["fsync", "full_page_writes", "synchronous_commit"]
                .map(on)
                .into(),
            is_standby: false,
            may_rewrite_audit: false,
        }
    }

    fn found(health: &DatabaseHealth) -> Vec<(State, String)> {
        let mut findings = Findings::default();
        judge(&mut findings, health);
        findings
            .0
            .into_iter()
            .map(|it| (it.state, it.what))
            .collect()
    }

    #[test]
    fn a_database_that_keeps_what_it_is_given_is_well() {
        let states: Vec<_> = found(&health())
            .into_iter()
            .map(|(state, _)| state)
            .collect();
        assert_eq!(states, [State::Ok; 3]);
    }

    #[test]
    fn one_that_forgets_is_not() {
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            let mut health = health();
            health
                .durability
                .insert(setting.to_owned(), "off".to_owned());
            let found = found(&health);
            let is_told = |(state, what): &(State, String)| {
                *state == State::Broken && what.starts_with(setting)
            };
            assert!(found.iter().any(is_told), "{found:?}");
        }
        let old = DatabaseHealth {
            version: 140_012,
            ..health()
        };
        assert_eq!(found(&old)[0].0, State::Broken);
        let standby = DatabaseHealth {
            is_standby: true,
            ..health()
        };
        assert_eq!(found(&standby)[0].0, State::Broken);
    }

    #[test]
    fn a_clock_is_told_of_when_people_would_see_it() {
        for (ahead, told) in [(0.9, 0), (-0.9, 0), (1.1, 1), (-3600.0, 1)] {
            let mut findings = Findings::default();
            judge_clock(&mut findings, "it", ahead);
            assert_eq!(findings.0.len(), told, "{ahead}");
        }
    }
}
