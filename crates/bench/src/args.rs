//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::contestant::direct::DirectArgs;
use crate::deployment::ROLES;
use crate::scenario::Scenario;

/// Measures Orderly beside what people would use instead and beside what its parts can do
#[derive(Debug, Parser)]
#[command(
    name = "orderly-bench",
    args_conflicts_with_subcommands = true,
    before_help = "\
Examples:
  cargo xtask bench                                   five rounds of everything: about half an hour
  cargo xtask bench --quick                           one short round, to see that it works
  cargo xtask bench --rounds 9 --only hot-64          every scenario with hot-64 in its name
  cargo xtask bench --json figures.json               the table, and everything as JSON
  cargo xtask bench --big --only uniform-64,big       at a million orders (12 GB of disk)
  cargo xtask bench ownership                         how long a shard stands still when its owner dies or goes
  cargo xtask bench soak --minutes 20                 memory and latency at 70 % of the top rate"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What is measured by itself, and parts of the bench that are processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Time every hand-over of a shard while workers are killed, stopped and started under load
    Ownership(OwnershipArgs),
    /// Watch memory and latency at a steady part of the top rate
    Soak(SoakArgs),
    /// The direct way, as a server; the bench starts it
    #[command(hide = true)]
    Direct(DirectArgs),
}

/// How hand-overs are timed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OwnershipArgs {
    /// Rounds; in each a worker is killed, started, stopped and started again
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Commands a second meanwhile: far below what the machine can do, or what is timed is the load
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// The program to measure [default: orderly beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) orderly: Option<PathBuf>,
}

/// How long is watched, and at which load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SoakArgs {
    /// Minutes of it
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub(crate) minutes: u32,
    /// Percent of the rate that a closed load of 64 connections reaches first
    #[arg(long, default_value_t = 70, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) percent: u32,
    /// Also write every sample as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The program to measure [default: orderly beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) orderly: Option<PathBuf>,
}

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each runs every scenario once, in rotated order
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Measured seconds of each scenario
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Seconds before that
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) warm_up_seconds: f64,
    /// Seconds that an idle deployment is watched
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    pub(crate) idle_seconds: f64,
    /// One round with a second each, whatever the flags above say
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only scenarios whose names hold one of these
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Print the names of all scenarios
    #[arg(long)]
    pub(crate) list: bool,
    /// Roles of the deployment that is measured
    #[arg(long, value_name = "ROLE,…", value_delimiter = ',', default_values_t = ROLES.map(str::to_owned))]
    pub(crate) roles: Vec<String>,
    /// Also measure at a million orders with ten million events
    #[arg(long)]
    pub(crate) big: bool,
    /// Form of the figures on stdout
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Form,
    /// Also write everything as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The program to measure [default: orderly beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) orderly: Option<PathBuf>,
    /// Where the servers keep their data while they run [default: a new folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.1..=3_600.0).contains(s));
    seconds.ok_or_else(|| "is not 0.1 to 3600".to_owned())
}

impl Options {
    /// With what `--quick` stands for put in, and faults told.
    pub(crate) fn settled(mut self) -> Result<Self> {
        if self.quick {
            (self.rounds, self.seconds) = (1, 1.0);
            (self.warm_up_seconds, self.idle_seconds) = (0.5, 2.0);
        }
        if let Some(unknown) = self
            .roles
            .iter()
            .find(|role| !ROLES.contains(&role.as_str()))
        {
            bail!("{unknown} is not a role; roles: {}", ROLES.join(", "));
        }
        if let Some(missing) = ["ingress", "worker"]
            .into_iter()
            .find(|role| !self.roles.iter().any(|given| given == role))
        {
            bail!("nothing can be measured without {missing}");
        }
        if self.scenarios().is_empty() {
            bail!("no scenario has a name like that; --list shows all");
        }
        Ok(self)
    }

    /// The scenarios of a round.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let mut all = Scenario::all(self.big);
        if !self.only.is_empty() {
            all.retain(|scenario| {
                let name = scenario.to_string();
                self.only.iter().any(|part| name.contains(part.as_str()))
            });
        }
        all
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up_seconds)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn only_chooses_by_parts_of_names() {
        let args = Args::parse_from(["orderly-bench", "--only", "hot-64,publish"]);
        let names: Vec<String> = args
            .options
            .settled()
            .unwrap()
            .scenarios()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(names.contains(&"direct/hot-64".to_owned()), "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| name.contains("hot-64") || name.contains("publish"))
        );
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let parse = |arguments: &[&str]| {
            let all = ["orderly-bench"].iter().chain(arguments);
            Args::parse_from(all).options.settled()
        };
        assert!(parse(&["--roles", "ingress"]).is_err());
        assert!(parse(&["--roles", "ingress,worker,cook"]).is_err());
        assert!(parse(&["--only", "nothing-like-it"]).is_err());
        assert!(parse(&[]).is_ok());
    }
}
