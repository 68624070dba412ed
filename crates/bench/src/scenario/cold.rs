//! A new Orderly on an empty, never analysed database: the first seconds, and what its processes need with 64 connections.

use std::time::Duration;

use anyhow::Result;

use super::orders::{Posts, on_deployment};
use super::{COLD, Server, Target, UNIFORM_ORDERS};
use crate::bench::Bench;
use crate::load::Pace;
use crate::procfs;
use crate::sample::Sample;

/// Makes it, measures it without any warm-up, removes it.
pub(super) async fn run(bench: &Bench) -> Result<Sample> {
    let name = bench.next_name("cold");
    let program = bench.deployer.prepare(&bench.servers, &name).await?;
    let deployment = bench.deployer.start(program, &bench.roles).await?;
    deployment.stock().await?;
    let orders = deployment.place(UNIFORM_ORDERS).await?;
    let posts = Posts {
        server: Server::Orderly,
        target: Target::Uniform,
        connections: 64,
        pace: Pace::Closed,
        wait: false,
        warm_up: Duration::ZERO,
        measured: COLD,
        batch: None,
    };
    let mut sample = on_deployment(bench, &deployment, &posts, orders, 1).await?;
    for role in &deployment.roles {
        if let Some(pid) = role.pid() {
            let peak = procfs::peak_memory_mib(pid)?;
            sample.other.insert(format!("{} peak MiB", role.name), peak);
        }
    }
    deployment.remove(&bench.servers).await?;
    Ok(sample)
}
