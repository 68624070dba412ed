//! `orderly audit`: what operators did, and whether the record of it is whole.

mod chain;
mod tail;
mod verify;

use crate::{exit::Exit, output::Format};

/// Read the audit, or check that nothing in it was changed
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly audit tail --follow
  orderly audit tail --target key/4hJ2kQ9xT0aB
  orderly audit verify"
)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    action: AuditAction,
}

#[derive(Debug, clap::Subcommand)]
enum AuditAction {
    Tail(tail::TailArgs),
    Verify(verify::VerifyArgs),
}

pub(crate) async fn run(args: AuditArgs, format: Format) -> anyhow::Result<Exit> {
    match args.action {
        AuditAction::Tail(args) => tail::run(args, format).await,
        AuditAction::Verify(args) => verify::run(args, format).await,
    }
}
