//! Who waits for whom.

use std::collections::BTreeSet;

use crate::compose::read;

/// A service that does its work and ends.
const ONCE: &str = "no";
const RUNNING: &str = "unless-stopped";

#[test]
fn what_runs_has_a_health_check_and_what_ends_has_none() {
    for (name, service) in read().services {
        let looks = !service.healthcheck.disable && !service.healthcheck.test.is_empty();
        let runs = match service.restart.as_str() {
            RUNNING => true,
            ONCE => false,
            other => panic!("{name} restarts {other}"),
        };
        assert_eq!(looks, runs, "{name}");
    }
}

#[test]
fn a_service_waits_for_health_of_what_runs_and_for_the_end_of_what_ends() {
    let services = read().services;
    for (name, service) in &services {
        for (awaited, dependency) in &service.depends_on {
            let condition = match services[awaited].restart.as_str() {
                ONCE => "service_completed_successfully",
                _ => "service_healthy",
            };
            assert_eq!(
                dependency.condition, condition,
                "{name} waits for {awaited}"
            );
        }
    }
}

#[test]
fn everything_can_start_in_some_order() {
    let mut waiting = read().services;
    let mut started = BTreeSet::new();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|name, service| {
            let ready = service.depends_on.keys().all(|name| started.contains(name));
            if ready {
                started.insert(name.clone());
            }
            !ready
        });
        assert!(
            waiting.len() < before,
            "these wait for each other: {:?}",
            waiting.keys()
        );
    }
}

#[test]
fn roles_start_behind_schema_and_topology_and_stop_before_the_servers() {
    let compose = read();
    for (name, service) in compose.ours().filter(|(_, role)| role.restart == RUNNING) {
        for awaited in ["postgres", "rabbitmq", "topology"] {
            assert!(
                service.depends_on.contains_key(awaited),
                "{name}: {awaited}"
            );
        }
    }
    assert!(
        compose.services["topology"]
            .depends_on
            .contains_key("migrate")
    );
}
