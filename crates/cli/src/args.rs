//! The command line as a whole; each command's own flags stand beside it.

use clap::{Parser, Subcommand};

use crate::{
    command::{
        audit::AuditArgs,
        commands::CommandsArgs,
        completions::CompletionsArgs,
        dead::DeadArgs,
        events::EventsArgs,
        healthcheck::HealthcheckArgs,
        keys::KeysArgs,
        lanes::LanesArgs,
        migrate::MigrateArgs,
        orders::OrdersArgs,
        race::RaceArgs,
        scaling::ScalingArgs,
        shards::ShardsArgs,
        shards::pause::{PauseArgs, ResumeArgs},
        stock::StockArgs,
        storm::StormArgs,
        topology::TopologyArgs,
    },
    config::known,
    dev::DevArgs,
    doctor::DoctorArgs,
    import::ImportArgs,
    output::Format,
    role::{
        dashboard::DashboardArgs, ingress::IngressArgs, payments::PaymentsArgs, relay::RelayArgs,
        worker::WorkerArgs,
    },
    verify::VerifyArgs,
};

const SETTINGS: &str = "\
Settings: flags, then the environment (ORDERLY_…), then orderly.toml (--config or ORDERLY_CONFIG
name another file), then what `orderly dev` wrote (.orderly/env).";
const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 4 authentication, 5 not found, 6 conflict,
7 unavailable.";

/// Orders applied one at a time, in order, exactly once
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly dev --demo                          everything on this machine, with traffic
  orderly import retail FILE --seed-stock 100 a shop's orders through the API
  orderly orders list --status paid           what is paid and not shipped yet
  orderly orders watch ORDER                  one order as it changes
  orderly verify                              does everything follow from the events?
  orderly doctor                              what could break a promise, and how to mend it",
    after_help = format!("{SETTINGS} `orderly --help` lists them.\n\n{EXIT_CODES}"),
    after_long_help = format!(
        "{SETTINGS}\n\n{}\nIn orderly.toml, ORDERLY_HTTP_ADDR is http_addr, and so on. A secret may come from a file:\n\
         ORDERLY_API_KEY_FILE, or api_key_file.\n\n{EXIT_CODES}",
        known::help()
    )
)]
pub(crate) struct Args {
    /// Form of the data on stdout: table, json or jsonl [default: table]
    #[arg(
        short,
        long,
        value_name = "FORM",
        global = true,
        default_value = "table",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = "Everywhere"
    )]
    pub(crate) output: Format,
    /// File of settings [env: ORDERLY_CONFIG] [default: orderly.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Everywhere")]
    pub(crate) config: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(DevArgs),
    Ingress(IngressArgs),
    Worker(WorkerArgs),
    Relay(RelayArgs),
    Payments(PaymentsArgs),
    Dashboard(DashboardArgs),
    Migrate(MigrateArgs),
    Topology(TopologyArgs),
    Shards(ShardsArgs),
    Scaling(ScalingArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Keys(KeysArgs),
    Orders(OrdersArgs),
    Commands(CommandsArgs),
    Lanes(LanesArgs),
    Stock(StockArgs),
    Events(EventsArgs),
    Dead(DeadArgs),
    Import(ImportArgs),
    Audit(AuditArgs),
    Verify(VerifyArgs),
    Doctor(DoctorArgs),
    Race(RaceArgs),
    Storm(StormArgs),
    Healthcheck(HealthcheckArgs),
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
