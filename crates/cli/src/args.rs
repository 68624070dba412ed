//! The command line as a whole; each command's own flags stand beside it.

use clap::{Parser, Subcommand};

use crate::{
    command::{
        commands::CommandsArgs, keys::KeysArgs, migrate::MigrateArgs, orders::OrdersArgs,
        race::RaceArgs, stock::StockArgs, topology::TopologyArgs,
    },
    dev::DevArgs,
    import::ImportArgs,
    output::Format,
    role::{
        dashboard::DashboardArgs, ingress::IngressArgs, payments::PaymentsArgs, relay::RelayArgs,
        worker::WorkerArgs,
    },
    verify::VerifyArgs,
};

/// Orders applied one at a time, in order, exactly once
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly dev --demo                          everything on this machine, with traffic
  orderly import retail FILE --seed-stock 100 a shop's orders through the API
  orderly orders show ORDER                   one order
  orderly verify                              does everything follow from the events?",
    after_help = "\
Settings: flags, then the environment (ORDERLY_…, secrets also as ORDERLY_…_FILE), then the
file that `orderly dev` wrote (.orderly/env, or ORDERLY_DATA_DIR/env).

Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 4 authentication, 5 not found, 6 conflict,
7 unavailable."
)]
pub(crate) struct Args {
    /// Form of the data on stdout: table, json or jsonl
    #[arg(
        short,
        long,
        value_name = "FORM",
        global = true,
        default_value = "table",
        hide_possible_values = true
    )]
    pub(crate) output: Format,
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
    Keys(KeysArgs),
    Orders(OrdersArgs),
    Commands(CommandsArgs),
    Stock(StockArgs),
    Import(ImportArgs),
    Verify(VerifyArgs),
    Race(RaceArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
