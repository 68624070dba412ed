//! `orderly completions`: what a shell must know to complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Args, exit::Exit, output};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly completions bash > /etc/bash_completion.d/orderly
  orderly completions zsh > \"${fpath[1]}/_orderly\"
  orderly completions fish > ~/.config/fish/completions/orderly.fish")]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "orderly", &mut script);
    output::line(String::from_utf8(script)?.trim_end())?;
    Ok(Exit::Ok)
}
