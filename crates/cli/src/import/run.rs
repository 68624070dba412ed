//! Runs the journeys of a plan: begun in the order of the file, so many at once, at a given speed.

use std::{str::FromStr, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{journey::Journeys, plan::Plan, report::Report, tally::Tally, watch::OrderWatch};
use crate::{
    client::{Client, ClientError},
    output::Progress,
};

/// How many orders are begun in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    PerSecond(f64),
    Max,
}

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = || {
            text.parse()
                .ok()
                .filter(|speed| (0.01..=100_000.0).contains(speed))
        };
        match text {
            "max" => Ok(Self::Max),
            _ => number()
                .map(Self::PerSecond)
                .ok_or("neither max nor a number from 0.01 to 100000"),
        }
    }
}

/// Sends every order; returns when all have ended or `token` is cancelled.
pub(super) async fn run(
    client: &Client,
    plan: &Plan,
    speed: Speed,
    concurrency: usize,
    token: &CancellationToken,
) -> Result<Report, ClientError> {
    let watch = OrderWatch::default();
    let stop_watching = CancellationToken::new();
    let travelling = async {
        let tally = travel(
            &Journeys {
                client,
                watch: &watch,
                token,
            },
            plan,
            speed,
            concurrency,
        )
        .await;
        stop_watching.cancel();
        tally
    };
    let ((), tally) = tokio::join!(watch.run(client, &stop_watching), travelling);
    Ok(Report::new(plan, &tally?))
}

async fn travel(
    journeys: &Journeys<'_>,
    plan: &Plan,
    speed: Speed,
    concurrency: usize,
) -> Result<Tally, ClientError> {
    let progress = Progress::of(plan.file_lines as u64, "lines");
    progress.add(plan.skipped.values().sum());
    let mut tally = Tally::new(plan);
    let pace = Pace::new(speed);
    let begun = stream::unfold(
        (plan.orders.iter(), pace),
        async |(mut orders, mut pace)| {
            let order = orders.next()?;
            let go_on = journeys
                .token
                .run_until_cancelled(pace.next())
                .await
                .is_some();
            Some(((order, go_on), (orders, pace)))
        },
    );
    let mut ends = begun
        .map(|(order, go_on)| async move {
            let ends = if go_on {
                Some(journeys.travel(order).await)
            } else {
                None
            };
            (order, ends)
        })
        .buffer_unordered(concurrency)
        .boxed_local();
    while let Some((order, ends)) = ends.next().await {
        match ends {
            Some(ends) => tally.add(order, &ends?),
            None => tally.add_unbegun(order),
        }
        progress.add(order.all_file_lines());
    }
    Ok(tally)
}

/// When the next order begins.
struct Pace(Option<Interval>);

impl Pace {
    fn new(speed: Speed) -> Self {
        let Speed::PerSecond(speed) = speed else {
            return Self(None);
        };
        let mut interval = interval(Duration::from_secs_f64(1.0 / speed));
        // A pause of the server must not become a burst after it.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Some(interval))
    }

    async fn next(&mut self) {
        if let Some(interval) = &mut self.0 {
            interval.tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Speed;

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("2.5".parse(), Ok(Speed::PerSecond(2.5)));
        for text in ["0", "-1", "fast", "inf", "NaN", ""] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
