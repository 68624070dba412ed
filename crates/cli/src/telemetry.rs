//! What a process tells of itself: logs to stderr, metrics to its listener, and its own death when it can no longer be
//! trusted to go on.

use std::{io::IsTerminal, panic, time::Duration};

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

mod json;

use crate::output;

/// Seconds, from the fastest confirm that was measured to the slowest answer that anybody waits for.
const SECONDS_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// Commands in a batch: powers of two up to its limit.
const SIZE_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Samples of histograms are held until they are folded in; at 20,000/s that is 2 MB.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl LogFormat {
    /// Text for somebody who looks, JSON for everything else.
    pub(crate) fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither text nor json".to_owned()),
        }
    }
}

/// What is logged: a level, and levels of targets, as `info,orderly_worker=debug`.
pub(crate) fn log_filter(text: &str) -> Result<Targets, String> {
    text.parse()
        .map_err(|_| "is not a log filter, such as info or info,orderly_worker=debug".to_owned())
}

/// Logs from here on.
pub(crate) fn log(format: LogFormat, filter: Targets) -> anyhow::Result<()> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines
            .with_ansi(output::has_colour(&std::io::stderr()))
            .boxed(),
        LogFormat::Json => lines.with_ansi(false).event_format(json::JsonLines).boxed(),
    };
    let set = Registry::default().with(filter).with(lines).try_init();
    set.context("start logging")
}

/// Counts from here on. The handle renders what was counted.
pub(crate) fn count() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZE_BUCKETS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .context("start counting")
        .inspect(|_| {
            metrics::gauge!("orderly_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        })
}

/// Folds samples in until `token` is cancelled.
pub(crate) async fn upkeep(handle: PrometheusHandle, token: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    while token.run_until_cancelled(tick.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

/// Ends the process at any panic but one of a decision, which its worker answers for.
///
/// A panic that unwinds through a task drops what the task holds: a dropped consumer cancels itself, and the shard's next
/// owner gets commands out of order. A dead process is put in order by the broker; a wounded one is not.
pub(crate) fn abort_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        if !orderly_domain::in_guarded_decision() {
            std::process::abort();
        }
    }));
}
