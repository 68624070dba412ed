//! What a system costs that has nothing to do.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::bench::Bench;
use crate::procfs;

/// Elections, migrations and first connections are over by then.
const SETTLE: Duration = Duration::from_secs(3);

/// CPU of an idle deployment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) seconds: f64,
    /// Percent of a core, by process.
    pub(crate) percent_of_a_core: BTreeMap<String, f64>,
    /// Of Orderly's own processes together.
    pub(crate) orderly_percent: f64,
    /// With the servers.
    pub(crate) system_percent: f64,
}

/// Watches the deployment, on which no load has been yet.
pub(crate) async fn measure(bench: &Bench, length: Duration) -> Result<Idle> {
    let roles = bench.orderly()?.groups();
    let mut groups = bench.servers.groups();
    groups.extend(roles.iter().cloned());
    tokio::time::sleep(SETTLE).await;
    let before = procfs::cpu_seconds(&groups)?;
    tokio::time::sleep(length).await;
    let used = procfs::used(&before, &procfs::cpu_seconds(&groups)?);
    let percent: BTreeMap<String, f64> = used
        .into_iter()
        .map(|(name, used)| (name, used / length.as_secs_f64() * 100.0))
        .collect();
    let of_roles = roles.iter().filter_map(|group| percent.get(&group.name));
    Ok(Idle {
        seconds: length.as_secs_f64(),
        orderly_percent: of_roles.sum(),
        system_percent: percent.values().sum(),
        percent_of_a_core: percent,
    })
}
