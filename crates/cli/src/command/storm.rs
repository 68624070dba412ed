//! `orderly storm`: clients at their worst, processes, servers and links that fail, and a judge. The storm itself is crate
//! checker's.
//!
//! Owns where it takes place, and what may be hurt: only what this command started for itself.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    time::Duration,
};

mod deployment;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use orderly_checker::storm::{
    self, Deployment, Fault, Journal, Options, Report, Rules, Scenario, Target, clock_library,
};
use orderly_payments::SandboxOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use deployment::PrivateDeployment;

use super::checking::{PlaceFlags, duration, end_of};
use crate::{
    config::Settings,
    dev::private::{Place, Private, Worker, until_signalled, with_private},
    exit::{Exit, UsageError},
    lifecycle::Signals,
    output::{self, Format},
};

/// Let many clients loose on few orders, break things, and judge what came of it
///
/// Clients retry with the same key, hang up before the answer, and send at once what excludes each other; subscribers watch the
/// events, one of which keeps coming back, and on servers of its own one that reads a queue. Then every request, answer and event is compared with what Orderly
/// promises: one outcome for each accepted command, in order, without a gap, and no piece sold twice.
///
/// Takes place on the Orderly that the settings name, if they name one, and else on servers of its own, which are removed at
/// the end. What is placed in an Orderly stays in it.
///
/// With --faults, workers, ingress, servers and the links between them fail one after the other, each kind in turn and then at
/// random; the report says how long each was felt: until every shard had applied a command first sent when it began.
///
/// Exits with 1 if an invariant does not hold, and then shows the shortest history that says so.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly storm                       beside `orderly dev`, or on servers of its own
  orderly storm --private --faults kill-worker,stop-worker,end-worker
  orderly storm --private --faults all --duration 3m
  orderly storm --scenario oversell --duration 1m --history storm.jsonl
  orderly storm --judge storm.jsonl
  orderly storm --private --seed 7 -o json")]
pub(crate) struct StormArgs {
    /// What the clients want
    #[arg(long, value_name = "NAME", default_value = "mixed", value_parser = scenarios())]
    scenario: Scenario,
    /// How long they want it, as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// Clients at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(8..=256))]
    clients: u16,
    /// Fixes what each client wants and what fails when [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// What fails meanwhile; only with --private
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',', value_parser = faults())]
    faults: Vec<Faults>,
    /// Brokers of one cluster, one of which is killed or frozen at a time; only with --private
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = brokers())]
    brokers: u16,
    /// Write every request, answer and event to this file while it storms, a line of JSON each
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Judge such a file again, also one that a storm left that was killed
    #[arg(long, value_name = "FILE", conflicts_with_all = NOT_WITH_JUDGE)]
    judge: Option<PathBuf>,
    /// Let commands wait in their order's lane at the end
    #[arg(long)]
    allow_parked: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

/// A history says all of it.
const NOT_WITH_JUDGE: [&str; 11] = [
    "scenario",
    "duration",
    "clients",
    "seed",
    "faults",
    "brokers",
    "history",
    "allow_parked",
    "private",
    "url",
    "api_key",
];

/// A payment company with a mind of its own: slower than a cancellation now and then, and not always willing.
const SANDBOX: SandboxOptions = SandboxOptions {
    decline_percent: 10,
    refund_failure_percent: 10,
    delay: Duration::from_millis(10),
    authorize_first: true,
};

/// One fault, or all that can be done on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    One(Fault),
    All,
}

const ALL_FAULTS: &str = "all";

impl Faults {
    fn as_str(self) -> &'static str {
        match self {
            Self::One(fault) => fault.as_str(),
            Self::All => ALL_FAULTS,
        }
    }
}

/// What was named, each once.
fn named_faults(named: &[Faults], brokers: u16) -> anyhow::Result<Vec<Fault>> {
    let cannot = |fault: Fault| match fault {
        Fault::SkewClock if clock_library().is_none() => Some(NO_CLOCK),
        Fault::FreezeNode if brokers == 1 => Some(NO_CLUSTER),
        _ => None,
    };
    let mut faults = Vec::new();
    for it in named {
        let meant = match it {
            Faults::One(fault) => match cannot(*fault) {
                None => vec![*fault],
                Some(why) => return Err(UsageError(why.to_owned()).into()),
            },
            Faults::All => {
                let all = Fault::ALL.into_iter();
                all.filter(|it| cannot(*it).is_none()).collect()
            }
        };
        faults.extend(meant);
    }
    let mut seen = Vec::new();
    faults.retain(|it| {
        !seen.contains(it) && {
            seen.push(*it);
            true
        }
    });
    Ok(faults)
}

const NO_CLOCK: &str =
    "skew-clock needs libfaketime, which is not installed (Debian: package libfaketime)";

const NO_CLUSTER: &str =
    "freeze-node needs a cluster, in which others go on without the node: add --brokers 3";

pub(crate) async fn run(args: StormArgs, format: Format) -> anyhow::Result<Exit> {
    if let Some(path) = &args.judge {
        return judge(path, format);
    }
    if (!args.faults.is_empty() || args.brokers > 1) && !args.place.private {
        return Err(UsageError(NOT_OURS.to_owned()).into());
    }
    let options = Options {
        scenario: args.scenario,
        duration: args.duration,
        clients: args.clients.into(),
        seed: args
            .seed
            .unwrap_or_else(|| Uuid::new_v4().as_fields().0)
            .into(),
        faults: named_faults(&args.faults, args.brokers)?,
        rules: Rules {
            parked_is_allowed: args.allow_parked,
        },
    };
    // Now: a file that cannot be written is no news after minutes of storm.
    let file = args.history.as_deref().map(create).transpose()?;
    let journal = file.map(Journal::new).unwrap_or_default();
    let target = named(&args)?;
    eprintln!("seed {}", options.seed);
    match storm(target, &options, &journal, args.brokers).await {
        Ok(report) => {
            let exit = finish(&report, format)?;
            if exit == Exit::Failed {
                eprintln!("again: {}", again(report.seed, &args));
            }
            Ok(exit)
        }
        Err(error) => end_of(error),
    }
}

/// What a storm saw that was over before.
fn judge(path: &Path, format: Format) -> anyhow::Result<Exit> {
    let file = File::open(path)
        .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())))?;
    let judged = storm::judge_again(BufReader::new(file))
        .with_context(|| format!("judge {}", path.display()))?;
    if judged.is_torn {
        eprintln!("the last line is torn, and is left out");
    }
    if judged.report.seconds.is_none() {
        eprintln!("the storm was killed: what was under way then, nobody knows what became of");
    }
    finish(&judged.report, format)
}

const NOT_OURS: &str =
    "--faults and --brokers are about processes and servers of this command's own: add --private";

async fn storm(
    target: Option<Target<'_>>,
    options: &Options,
    journal: &Journal,
    brokers: u16,
) -> anyhow::Result<Report> {
    let say = |text: &str| eprintln!("{text}");
    if let Some(target) = target {
        eprintln!("storming the Orderly at {}", target.ingress_url);
        let mut signals = Signals::new()?;
        let token = CancellationToken::new();
        let storming = storm::run(&target, options, journal, &token, &say);
        let signalled = async || {
            signals.next().await;
        };
        return Box::pin(until_signalled(storming, &token, signalled)).await;
    }
    let is_hurt = !options.faults.is_empty();
    let private = Private {
        worker: if is_hurt {
            Worker::Brought
        } else {
            Worker::Inside
        },
        brokers,
        sandbox: SANDBOX,
    };
    let storming = async |place: Place<'_>, token: &CancellationToken| {
        let deployment = is_hurt
            .then(|| PrivateDeployment::new(&place))
            .transpose()?;
        let ingress_url = deployment.as_ref().map(PrivateDeployment::ingress_url);
        let target = Target {
            ingress_url: ingress_url.unwrap_or_else(|| place.url.clone()),
            dashboard_url: place.url,
            api_key: place.key,
            amqp_url: Some(place.amqp_url.clone()),
            deployment: deployment.as_ref().map(|it| it as &dyn Deployment),
        };
        storm::run(&target, options, journal, token, &say).await
    };
    Box::pin(with_private(private, storming)).await
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path)
        .map_err(|error| UsageError(format!("cannot write {}: {error}", path.display())).into())
}

fn finish(report: &Report, format: Format) -> anyhow::Result<Exit> {
    output::unless_closed(format.record(report, || report.screen()))?;
    Ok(if report.is_clean {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// The command that wants the same again. Who comes first is the machine's to say, so it may take a few runs.
fn again(seed: u64, args: &StormArgs) -> String {
    let mut command = format!(
        "orderly storm --scenario {} --duration {}s --clients {} --seed {seed}",
        args.scenario.as_str(),
        args.duration.as_secs(),
        args.clients
    );
    if args.place.private {
        command.push_str(" --private");
    }
    if !args.faults.is_empty() {
        let names: Vec<&str> = args.faults.iter().map(|it| it.as_str()).collect();
        command.push_str(" --faults ");
        command.push_str(&names.join(","));
    }
    if args.brokers > 1 {
        command.push_str(" --brokers ");
        command.push_str(&args.brokers.to_string());
    }
    if args.allow_parked {
        command.push_str(" --allow-parked");
    }
    command
}

/// The Orderly that the settings name, if they name any part of one.
fn named(args: &StormArgs) -> anyhow::Result<Option<Target<'static>>> {
    if !args.place.names_one() {
        return Ok(None);
    }
    let mut settings = Settings::for_command();
    let place = args.place.look_up(&mut settings);
    let place = settings.finish(|| place).context(NAMED)?;
    Ok(Some(Target {
        ingress_url: place.ingress_url,
        dashboard_url: place.dashboard_url,
        api_key: place.api_key,
        amqp_url: None,
        deployment: None,
    }))
}

const NAMED: &str = "the settings name an Orderly, but not all that a storm needs of it (--private storms servers of its own)";

fn scenarios() -> impl TypedValueParser<Value = Scenario> {
    PossibleValuesParser::new(Scenario::ALL.map(Scenario::as_str))
        .map(|name| one_of(Scenario::ALL, &name, Scenario::as_str))
}

/// One, or three: two have no majority without each other.
fn brokers() -> impl TypedValueParser<Value = u16> {
    PossibleValuesParser::new(["1", "3"]).map(|number| number.parse().expect("both are numbers"))
}

fn faults() -> impl TypedValueParser<Value = Faults> {
    let names = Fault::ALL.map(Fault::as_str);
    PossibleValuesParser::new(names.into_iter().chain([ALL_FAULTS])).map(|name| {
        if name == ALL_FAULTS {
            return Faults::All;
        }
        Faults::One(one_of(Fault::ALL, &name, Fault::as_str))
    })
}

fn one_of<T: Copy, const N: usize>(all: [T; N], name: &str, of: fn(T) -> &'static str) -> T {
    let mut all = all.into_iter();
    all.find(|it| of(*it) == name)
        .expect("no other name is let through")
}
