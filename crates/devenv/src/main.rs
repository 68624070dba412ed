//! `devenv`: private servers until standard input ends, for `cargo xtask` and for a look by hand.
//!
//! Prints their URLs as `NAME=value` lines once they serve. Must not know why they are wanted.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use orderly_devenv::{DevEnv, DevEnvError, DevEnvOptions, TEST_ENV_VARIABLE};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

const USAGE: &str = "usage: devenv [--data FOLDER] [--redis]";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = options() else {
        say(USAGE);
        return ExitCode::from(2);
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("devenv: {error}"));
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                say(&format!("  because: {error}"));
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Result<DevEnvOptions, DevEnvError>) -> Result<(), DevEnvError> {
    let env = DevEnv::start(options?).await?;
    // Before the URLs are out: who reads them may signal at once.
    let end = end();
    print_urls(&env);
    end.await;
    env.stop().await;
    Ok(())
}

/// `None` if the arguments are not understood.
fn options() -> Option<Result<DevEnvOptions, DevEnvError>> {
    let mut options = DevEnvOptions::temporary();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.to_str()?, &mut options) {
            ("--redis", Ok(options)) => options.redis = true,
            ("--data", Ok(options)) => {
                options.data_dir = PathBuf::from(arguments.next()?);
                options.keep = true;
            }
            _ => return None,
        }
    }
    Some(options)
}

fn print_urls(env: &DevEnv) {
    let redis = match env.redis_url() {
        Some(url) => format!("REDIS_URL={url}\n"),
        None => String::new(),
    };
    let text = format!(
        "{TEST_ENV_VARIABLE}={}\nDATABASE_URL={}\nAMQP_URL={}\n{redis}",
        env.data_dir().display(),
        env.database_url(),
        env.amqp_url()
    );
    // Nobody reads: then nobody waits for it either, and standard input says when to end.
    let mut output = std::io::stdout().lock();
    drop(
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush()),
    );
}

/// Listens from now on; the future is ready when standard input ends or on SIGINT or SIGTERM.
fn end() -> impl Future<Output = ()> {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    // A thread of its own: it may sit in its read for ever without holding up the end of the runtime.
    let (ended, input_ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while std::io::stdin()
            .read(&mut buffer)
            .is_ok_and(|read| read > 0)
        {}
        drop(ended);
    });
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return;
        };
        tokio::select! {
            _ = input_ended => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
