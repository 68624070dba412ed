//! Another number of shards, again and again, while clients go on: asked for by HTTP, done by whoever works there.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use reqwest::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    history::{Journal, Resized, Stopwatch},
    layout::{Layout, Resize},
};
use crate::{
    dice::Dice,
    http::{Api, Refused},
};

/// How many shards there may be: one, more than any worker count divides, and numbers that share no factor.
const COUNTS: (usize, usize) = (1, 24);
/// Between two: work is done under the new number before it changes again.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));
/// Fine enough beside the 10 s for which new queues are left to settle, and no load.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After it a resize counts as stuck: ten times what one takes, and long enough for whatever fails meanwhile.
const LIMIT: Duration = Duration::from_mins(2);
const PATH: &str = "/v1/shards/resize";

/// Resizes until `token` is cancelled; the one that is under way is awaited.
///
/// # Errors
/// When Orderly cannot resize, or refuses to.
pub(super) async fn resize_again_and_again(
    api: &Api,
    (clock, journal): (Stopwatch, &Journal),
    mut dice: Dice,
    token: &CancellationToken,
) -> Result<Vec<Resized>> {
    let mut resizes = Vec::new();
    loop {
        let pausing = tokio::time::sleep(dice.time(BETWEEN.0, BETWEEN.1));
        if token.run_until_cancelled(pausing).await.is_none() {
            return Ok(resizes);
        }
        let present = Layout::read(api).await?;
        let count = another(present.count, &mut dice);
        let body = json!({"count": count, "reason": "storm"});
        let reply = api.post(PATH, &body).await?;
        match (reply.status, reply.problem_code()) {
            (StatusCode::ACCEPTED, _) => {}
            // By the first attempt of this request, whose answer was lost.
            (_, code) if code == "resize_under_way" => {}
            (StatusCode::NOT_FOUND, _) => bail!(
                "there is no POST {PATH}: the scenario resize needs an Orderly that changes its number of shards while it runs"
            ),
            (status, code) => bail!(Refused::new(status.as_u16(), &code, PATH)),
        }
        let asked = Asked {
            began: clock.now(),
            from: present.count,
            to: count,
        };
        let done = until_done(api, clock, asked).await?;
        let is_stuck = done.ended.is_none();
        journal.write(|| done.line());
        resizes.push(done);
        if is_stuck {
            return Ok(resizes);
        }
    }
}

/// What was asked for, and when that was answered.
struct Asked {
    began: u64,
    from: u64,
    to: u64,
}

async fn until_done(api: &Api, clock: Stopwatch, asked: Asked) -> Result<Resized> {
    let gives_up_at = Instant::now() + LIMIT;
    let mut seen: Option<Resize> = None;
    loop {
        let layout = Layout::read(api).await?;
        let now = clock.now();
        let open = layout.resize;
        let is_over = open.is_none_or(|open| seen.is_some_and(|seen| seen.id != open.id));
        let to = seen.map_or(asked.to, |seen| seen.to);
        if is_over || Instant::now() > gives_up_at {
            return Ok(Resized {
                began: asked.began,
                ended: is_over.then_some(now),
                from: asked.from,
                to,
                took_effect: layout.count == to,
            });
        }
        seen = seen.or(open);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A number of shards that is not the present one.
fn another(present: u64, dice: &mut Dice) -> u64 {
    loop {
        let count = dice.between(COUNTS.0, COUNTS.1) as u64;
        if count != present {
            return count;
        }
    }
}
