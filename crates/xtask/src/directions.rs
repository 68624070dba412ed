//! The rules of who may depend on whom, which no tool checks by itself.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;

/// A crate may use those of the lines above its own. Its tests may use more: see [`DEVENV`].
const LAYERS: &[&[&str]] = &[
    &["orderly-domain"],
    &["orderly-protocol"],
    &["orderly-broker", "orderly-store"],
    &["orderly-http"],
    &[
        "orderly-ingress",
        "orderly-worker",
        "orderly-relay",
        "orderly-payments",
        "orderly-dashboard",
    ],
    &["orderly-cli"],
];

/// Private servers: for tests, and for the command line's `dev`.
const DEVENV: &str = "orderly-devenv";
const COMMAND_LINE: &str = "orderly-cli";

/// Points at which a test lets a process die: named wherever there is a step to die between.
const CRASHPOINT: &str = "orderly-crashpoint";
/// Makes the points do something: for tests alone.
const ARMED: &str = "armed";

/// Judges from outside: it knows what crosses the wire, and only the command line knows it.
const CHECKER: &str = "orderly-checker";
const WIRE: &str = "orderly-protocol";

/// The model of the protocol: it is about the code, and shares none with it.
const MODEL: &str = "orderly-model";

/// Crates that stand apart and use none of the others.
const APART: &[&str] = &[DEVENV, CHECKER, CRASHPOINT, MODEL, "xtask"];

/// The benchmark: beside the product, nothing may depend on it, and it uses no part of what it measures but the domain, for
/// a baseline that decides the same, and the wire. Its drivers are its own.
const BENCH: &str = "orderly-bench";
const BENCH_MAY_USE: &[&str] = &["orderly-domain", "orderly-protocol", DEVENV];

/// Foreign crates that only the named ones of ours may use, outside of tests: a test may speak AMQP or SQL by itself,
/// as a stranger would.
const ONLY: &[(&str, &[&str])] = &[
    // The checker reads status events as a stranger would.
    ("lapin", &["orderly-broker", CHECKER]),
    ("sqlx", &["orderly-store"]),
    ("tokio-postgres", &[CHECKER, "orderly-bench"]),
    ("stateright", &[MODEL]),
    (
        "axum",
        &[
            "orderly-http",
            "orderly-ingress",
            "orderly-dashboard",
            "orderly-cli",
        ],
    ),
];

/// Foreign crates that a crate of ours must not use: the domain is synchronous and knows no wire, and the wire types do no I/O.
const NEVER: &[(&str, &[&str])] = &[
    (
        "orderly-domain",
        &["tokio", "serde", "serde_json", "time", "tracing"],
    ),
    ("orderly-protocol", &["tokio", "reqwest", "tracing"]),
];

/// Says whether the crates keep to the rules.
pub(crate) fn check() -> Result<()> {
    let faults = faults(&cargo::metadata()?)?;
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        bail!("{} dependencies go the wrong way", faults.len());
    }
    Ok(())
}

fn faults(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    let mut faults = Vec::new();
    for package in packages {
        let name = text(&package["name"])?;
        if layer(name).is_none() && !APART.contains(&name) && name != BENCH {
            faults.push(format!(
                "{name} has no place in the layers of xtask's directions.rs"
            ));
        }
        let dependencies = package["dependencies"]
            .as_array()
            .context("cargo metadata names no dependencies")?;
        for dependency in dependencies {
            let used = text(&dependency["name"])?;
            // Absent for a normal dependency.
            let for_tests = dependency["kind"].as_str() == Some("dev");
            let features = dependency["features"].as_array();
            if used == CRASHPOINT
                && !for_tests
                && features.is_some_and(|it| it.contains(&ARMED.into()))
            {
                faults.push(format!(
                    "{name} must not arm {used}: a release never dies of a test"
                ));
            }
            if let Some(why) = fault(name, used, for_tests) {
                faults.push(format!("{name} must not use {used}: {why}"));
            }
        }
    }
    Ok(faults)
}

/// Why `name` must not depend on `used`, if so.
fn fault(name: &str, used: &str, for_tests: bool) -> Option<&'static str> {
    if [BENCH, MODEL].contains(&used) {
        return Some("it is no part of the product");
    }
    if name == BENCH {
        let ours = layer(used).is_some() || APART.contains(&used);
        return (ours && !BENCH_MAY_USE.contains(&used))
            .then_some("a benchmark shares no code with what it measures");
    }
    if used == DEVENV {
        return (!for_tests && name != COMMAND_LINE)
            .then_some("it is for tests and the command line");
    }
    if used == CRASHPOINT {
        let has_steps = layer(name).is_some_and(|own| layer(WIRE) < Some(own));
        return (!has_steps).then_some("it does nothing that a process could die of");
    }
    if used == CHECKER {
        return (name != COMMAND_LINE).then_some("it is for the command line");
    }
    if name == CHECKER && layer(used).is_some() {
        return (used != WIRE).then_some("it judges, and shares only what crosses the wire");
    }
    if let Some(below) = layer(used) {
        let allowed = layer(name).is_some_and(|own| below < own);
        return (!allowed).then_some("it is not in a layer below");
    }
    if for_tests {
        return None;
    }
    let kept = ONLY
        .iter()
        .any(|(foreign, users)| *foreign == used && !users.contains(&name));
    if kept {
        return Some("another crate hides it");
    }
    let banned = NEVER
        .iter()
        .any(|(own, foreign)| *own == name && foreign.contains(&used));
    banned.then_some("this crate keeps free of it")
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .context("cargo metadata has no name where one is due")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_go_down_the_layers_only() {
        assert_eq!(fault("orderly-worker", "orderly-store", false), None);
        assert!(fault("orderly-store", "orderly-worker", false).is_some());
        assert!(fault("orderly-store", "orderly-broker", false).is_some());
        assert!(fault("orderly-domain", "orderly-protocol", true).is_some());
        assert!(fault("xtask", "orderly-domain", false).is_some());
    }

    #[test]
    fn private_servers_are_for_tests_and_the_command_line() {
        assert_eq!(fault("orderly-worker", DEVENV, true), None);
        assert_eq!(fault(COMMAND_LINE, DEVENV, false), None);
        assert!(fault("orderly-worker", DEVENV, false).is_some());
    }

    #[test]
    fn crash_points_are_where_steps_are() {
        assert_eq!(fault("orderly-worker", CRASHPOINT, false), None);
        assert_eq!(fault(COMMAND_LINE, CRASHPOINT, true), None);
        assert!(fault("orderly-domain", CRASHPOINT, false).is_some());
        assert!(fault(CHECKER, CRASHPOINT, false).is_some());
    }

    #[test]
    fn the_checker_shares_only_what_crosses_the_wire() {
        assert_eq!(fault(CHECKER, WIRE, false), None);
        assert_eq!(fault(COMMAND_LINE, CHECKER, false), None);
        assert_eq!(fault(CHECKER, DEVENV, true), None);
        assert!(fault(CHECKER, "orderly-domain", false).is_some());
        assert!(fault(CHECKER, "orderly-store", true).is_some());
        assert!(fault(CHECKER, "sqlx", false).is_some());
        assert!(fault("orderly-worker", CHECKER, true).is_some());
    }

    #[test]
    fn the_benchmark_stands_beside_the_product() {
        assert_eq!(fault(BENCH, "orderly-domain", false), None);
        assert_eq!(fault(BENCH, DEVENV, false), None);
        assert_eq!(fault(BENCH, "lapin", false), None);
        assert!(fault(BENCH, "orderly-store", false).is_some());
        assert!(fault(BENCH, "xtask", false).is_some());
        assert!(fault("orderly-cli", BENCH, false).is_some());
        assert!(fault("orderly-worker", BENCH, true).is_some());
    }

    #[test]
    fn the_model_stands_alone() {
        assert_eq!(fault(MODEL, "stateright", false), None);
        assert!(fault(MODEL, "orderly-worker", false).is_some());
        assert!(fault(MODEL, "orderly-worker", true).is_some());
        assert!(fault("orderly-worker", MODEL, true).is_some());
        assert!(fault("orderly-worker", "stateright", false).is_some());
    }

    #[test]
    fn drivers_stay_behind_their_crates() {
        assert_eq!(fault("orderly-broker", "lapin", false), None);
        assert_eq!(fault("orderly-relay", "lapin", true), None);
        assert!(fault("orderly-relay", "lapin", false).is_some());
        assert!(fault("orderly-worker", "axum", false).is_some());
        assert!(fault("orderly-domain", "tokio", false).is_some());
    }
}
