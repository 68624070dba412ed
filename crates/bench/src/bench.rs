//! A run: what is started once, and the rounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use crate::args::Options;
use crate::clock::Clock;
use crate::contestant::direct::Direct;
use crate::contestant::publish::Publishers;
use crate::db;
use crate::deployment::{Deployer, Deployment};
use crate::environment::Environment;
use crate::load::{Caller, Kind, Template};
use crate::procfs::Group;
use crate::program::{self, Program};
use crate::quiet::Observer;
use crate::report::{Report, Round};
use crate::sample::Sample;
use crate::scenario::{self, Need, Scenario};

/// Made anew for each measurement of what Postgres can do, as a copy of the other.
pub(crate) const PG_LIMIT: &str = "pg_limit";
pub(crate) const PG_LIMIT_TEMPLATE: &str = "pg_limit_template";

/// Between scenarios: what the one before left in sockets and caches of the servers settles.
const PAUSE: Duration = Duration::from_millis(200);
/// Keys of different loads never meet.
const KEYS_PER_LOAD: u64 = 1 << 48;

/// Everything that scenarios use.
pub(crate) struct Bench {
    pub(crate) servers: Environment,
    pub(crate) deployer: Deployer,
    pub(crate) clock: Clock,
    pub(crate) roles: Vec<String>,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    orderly: Option<Deployment>,
    direct: Option<Direct>,
    publishers: Option<Publishers>,
    worker_alone: Option<Program>,
    big: Option<(Deployment, Arc<[Uuid]>)>,
    counter: AtomicU64,
}

impl Bench {
    pub(crate) fn orderly(&self) -> Result<&Deployment> {
        self.orderly.as_ref().context("Orderly was not started")
    }

    pub(crate) fn direct(&self) -> Result<&Direct> {
        self.direct
            .as_ref()
            .context("the direct way was not started")
    }

    pub(crate) fn publishers(&self) -> Result<&Publishers> {
        self.publishers
            .as_ref()
            .context("no publishers were opened")
    }

    pub(crate) fn worker_alone(&self) -> Result<&Program> {
        self.worker_alone
            .as_ref()
            .context("nothing was prepared for a worker alone")
    }

    pub(crate) fn big(&self) -> Result<(&Deployment, &[Uuid])> {
        let (deployment, orders) = self.big.as_ref().context("nothing big was prepared")?;
        Ok((deployment, orders))
    }

    /// The first of a range of keys that no other load has.
    pub(crate) fn next_keys(&self) -> u64 {
        KEYS_PER_LOAD * (1 + self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// A name that nothing else has.
    pub(crate) fn next_name(&self, of: &str) -> String {
        format!("{of}_{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// The servers, this process, and those of a contestant.
    pub(crate) fn groups(&self, contestant: impl IntoIterator<Item = Group>) -> Vec<Group> {
        let own = Group {
            name: "bench".to_owned(),
            root: std::process::id(),
            with_descendants: false,
        };
        let mut groups = self.servers.groups();
        groups.push(own);
        groups.extend(contestant);
        groups
    }

    /// Starts the servers and what the scenarios need.
    async fn start(options: &Options, scenarios: &[Scenario]) -> Result<Self> {
        let needs = |need| scenarios.iter().any(|scenario| scenario.needs() == need);
        let clock = Clock::start();
        eprintln!("starting PostgreSQL and RabbitMQ …");
        let servers = Environment::start(options.data_dir.clone()).await?;
        let path = program_path(options.orderly.as_deref())?;
        let mut bench = Self {
            servers,
            deployer: Deployer { path, clock },
            clock,
            roles: options.roles.clone(),
            warm_up: options.warm_up(),
            measured: options.measured(),
            orderly: None,
            direct: None,
            publishers: None,
            worker_alone: None,
            big: None,
            counter: AtomicU64::new(0),
        };
        let Self {
            servers, deployer, ..
        } = &bench;
        eprintln!("starting the contestants …");
        if needs(Need::Orderly) {
            let program = deployer.prepare(servers, "orderly_main").await?;
            let deployment = deployer.start(program, &bench.roles).await?;
            deployment.stock().await?;
            bench.orderly = Some(deployment);
        }
        if needs(Need::Direct) {
            let url = bench.migrated("direct").await?;
            // What only a redelivery reads, and nothing redelivers here.
            let client = db::connect(&url).await?;
            client
                .batch_execute("drop index events_delivery_id")
                .await?;
            bench.direct = Some(Direct::start(url).await?);
        }
        if needs(Need::PgLimit) {
            bench.migrated(PG_LIMIT_TEMPLATE).await?;
        }
        if needs(Need::Publish) {
            bench.servers.create_vhost("publish").await?;
            let url = bench.servers.amqp_url("publish");
            bench.publishers = Some(Publishers::open(&url).await?);
        }
        if needs(Need::WorkerAlone) {
            let program = bench
                .deployer
                .prepare(&bench.servers, "worker_alone")
                .await?;
            bench.worker_alone = Some(program);
        }
        Ok(bench)
    }

    /// A database with the schema and nothing else.
    async fn migrated(&self, name: &str) -> Result<String> {
        self.servers.create_database(name, None).await?;
        let program = Program {
            path: self.deployer.path.clone(),
            database_url: self.servers.database_url(name),
            amqp_url: self.servers.amqp_url("%2f"),
            folder: self.servers.folder(),
            deployment: name.to_owned(),
        };
        program.run(&["migrate"]).await?;
        Ok(program.database_url)
    }

    /// Ends everything that was started.
    async fn stop(self) -> Result<()> {
        drop((self.direct, self.publishers));
        let deployments = [self.orderly, self.big.map(|(deployment, _)| deployment)];
        for deployment in deployments.into_iter().flatten() {
            deployment.remove(&self.servers).await?;
        }
        self.servers.stop().await;
        Ok(())
    }
}

/// Measures everything that was asked for.
pub(crate) async fn run(options: Options) -> Result<Report> {
    let scenarios = options.scenarios();
    let mut bench = Bench::start(&options, &scenarios).await?;
    let mut idle = None;
    if let Some(orderly) = &bench.orderly {
        eprintln!(
            "watching the idle deployment for {} s …",
            options.idle_seconds
        );
        idle = Some(scenario::measure_idle(&bench, options.idle()).await?);
        orderly.warm(bench.next_keys()).await?;
    }
    if scenarios
        .iter()
        .any(|scenario| scenario.needs() == Need::Big)
    {
        bench.big = Some(scenario::prepare_big(&bench).await?);
    }
    let (rounds, samples) = rounds(&bench, &options, &scenarios).await?;
    let report = Report {
        settings: bench.servers.settings().await?,
        sizes: sizes(&bench),
        memory: memory(&bench)?,
        idle,
        rounds,
        samples,
        warnings: program::warnings(&bench.servers.folder())?,
        options,
    };
    bench.stop().await?;
    Ok(report)
}

async fn rounds(
    bench: &Bench,
    options: &Options,
    scenarios: &[Scenario],
) -> Result<(Vec<Round>, BTreeMap<String, Vec<Option<Sample>>>)> {
    let mut observer = Observer::default();
    let mut rounds = Vec::new();
    let mut samples: BTreeMap<String, Vec<Option<Sample>>> = BTreeMap::new();
    for round in 0..options.rounds {
        let before = observer.before().await?;
        let begun = Instant::now();
        let mut order = scenarios.to_vec();
        // A prime step spreads the beginnings, so that no scenario always follows the same rest of a checkpoint.
        let turn = usize::try_from(round)? * 7 % order.len();
        order.rotate_left(turn);
        for (place, scenario) in order.iter().enumerate() {
            eprint!(
                "round {}/{} {:>2}/{} {scenario} … ",
                round + 1,
                options.rounds,
                place + 1,
                order.len()
            );
            let sample = scenario.run(bench).await;
            let sample = sample.with_context(|| format!("scenario {scenario}"))?;
            eprintln!("{}", told(sample.as_ref()));
            samples
                .entry(scenario.to_string())
                .or_default()
                .push(sample);
            tokio::time::sleep(PAUSE).await;
        }
        let noise = observer.after(before)?;
        eprintln!("quiet: {}", if noise.quiet { "yes" } else { "no" });
        rounds.push(Round {
            seconds: begun.elapsed().as_secs_f64(),
            noise,
        });
    }
    Ok((rounds, samples))
}

/// One line while the run goes on.
fn told(sample: Option<&Sample>) -> String {
    let Some(sample) = sample else {
        return "not there in this build".to_owned();
    };
    if !sample.faults.is_empty() {
        return format!("WRONG: {}", sample.faults.join("; "));
    }
    let rate = |name, rate: Option<f64>| rate.map(|rate| format!("{name} {rate:.0}/s"));
    let latency = |name, latency: Option<crate::latency::Latency>| {
        latency.map(|l| format!("{name} p50 {:.2} p99 {:.2} ms", l.p50_ms, l.p99_ms))
    };
    let parts = [
        rate("accepted", sample.accepted_per_s),
        rate("applied", sample.applied_per_s),
        latency("accept", sample.accept),
        latency("applied", sample.applied),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Bytes of what is sent, the same for every contestant.
fn sizes(bench: &Bench) -> BTreeMap<String, usize> {
    let caller: Caller = Direct::caller();
    let mut sizes = BTreeMap::new();
    let request = Template::new(Kind::Annotate, &caller);
    sizes.insert(
        "bytes of a request with its headers".to_owned(),
        request.len(),
    );
    let batch = Template::new(Kind::Batch(scenario::BATCH_LINES), &caller);
    sizes.insert("bytes of a batch request".to_owned(), batch.len());
    if let Some(publishers) = &bench.publishers {
        let bytes = publishers.message_bytes();
        sizes.insert("bytes of a command message".to_owned(), bytes);
    }
    sizes
}

/// The most memory that each role of the measured deployment ever held.
fn memory(bench: &Bench) -> Result<BTreeMap<String, f64>> {
    let mut memory = BTreeMap::new();
    let roles = bench.orderly.iter().flat_map(|orderly| &orderly.roles);
    for role in roles {
        if let Some(pid) = role.pid() {
            memory.insert(role.name.clone(), crate::procfs::peak_memory_mib(pid)?);
        }
    }
    Ok(memory)
}

/// The program to measure: the one that was named, or the one beside this one.
pub(crate) fn program_path(named: Option<&Path>) -> Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name("orderly"),
    };
    ensure!(
        path.exists(),
        "{} does not exist; build it first",
        path.display()
    );
    Ok(path)
}
