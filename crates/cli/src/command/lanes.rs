//! `orderly lanes`: orders whose commands wait, and what to do about it.

use crate::{exit::Exit, output::Format};

mod act;
mod list;
mod show;

pub(super) use act::send;

/// See which orders wait and why, and let them go on
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly lanes list
  orderly lanes show $ORDER
  orderly lanes retry $ORDER --reason 'the new build knows it'
  orderly lanes skip --fingerprint 2f1c9b0a77d3e4f5 --reason 'sent by mistake' --dry-run"
)]
pub(crate) struct LanesArgs {
    #[command(subcommand)]
    action: LanesAction,
}

#[derive(Debug, clap::Subcommand)]
enum LanesAction {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Retry(act::RetryArgs),
    Skip(act::SkipArgs),
    Edit(act::EditArgs),
    Discard(act::DiscardArgs),
}

pub(crate) async fn run(args: LanesArgs, format: Format) -> anyhow::Result<Exit> {
    match args.action {
        LanesAction::List(args) => list::run(args, format).await,
        LanesAction::Show(args) => show::run(args, format).await,
        LanesAction::Retry(args) => act::retry(args, format).await,
        LanesAction::Skip(args) => act::skip(args, format).await,
        LanesAction::Edit(args) => act::edit(args, format).await,
        LanesAction::Discard(args) => act::discard(args, format).await,
    }
}
