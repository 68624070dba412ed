//! `orderly orders`: what there is, what an order is now, what happens to it, and whether it may.

use crate::{exit::Exit, output::Format};

mod list;
mod pause;
mod show;
mod watch;

/// Find, show, watch, pause and resume orders
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly orders list --status paid
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f
  orderly orders watch 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f --until delivered"
)]
pub(crate) struct OrdersArgs {
    #[command(subcommand)]
    action: OrdersAction,
}

#[derive(Debug, clap::Subcommand)]
enum OrdersAction {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Watch(watch::WatchArgs),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
}

pub(crate) async fn run(args: OrdersArgs, format: Format) -> anyhow::Result<Exit> {
    match args.action {
        OrdersAction::List(args) => list::run(args, format).await,
        OrdersAction::Show(args) => show::run(args, format).await,
        OrdersAction::Pause(args) => pause::pause(args, format).await,
        OrdersAction::Resume(args) => pause::resume(args, format).await,
        OrdersAction::Watch(args) => Box::pin(watch::run(args, format)).await,
    }
}
