//! How long a shard stands still when its owner dies, goes, or gives way: every hand-over under load, timed.
//!
//! Runs beside the rounds: two workers, one of which is killed, started, stopped and started again, while producers go on.
//! What they saw is judged like any other load.

mod figure;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail};
use orderly_domain::CommandId;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::args::OwnershipArgs;
use crate::clock::Clock;
use crate::db;
use crate::deployment::{Alone, Deployment};
use crate::judge::ensure_right;
use crate::latency::Latency;
use crate::load::{self, Kind, Load, Pace};
use crate::program::Role;
use crate::quiet::Observer;
use crate::scenario::{UNIFORM_ORDERS, read};

pub(crate) use figure::Action;
use figure::{Claim, Done, Hand, figures, first_commands};

/// Two workers, and what stock and an answer need.
const ROLES: [&str; 4] = ["ingress", "dashboard", "worker", "worker"];
/// More than what waits at an ingress while a shard stands still.
const CONNECTIONS: usize = 64;
/// A worker that died is missed after 5 s, and a subscription is held for 7: by then every shard is where it belongs.
const SETTLED: Duration = Duration::from_secs(12);
/// After an end: long enough that everything that stood still goes on.
const ENDED: Duration = Duration::from_secs(4);
/// Between two looks at who owns what. No shard changes hands twice in so little.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs it and gives the figures as text. Fails if the history is wrong.
pub(crate) async fn run(args: OwnershipArgs) -> Result<String> {
    let mut alone = Alone::start("ownership", &ROLES, args.orderly.as_deref()).await?;
    let roles = &mut alone.deployment.roles;
    let mut workers: Vec<Role> = roles.extract_if(.., |role| role.name == "worker").collect();
    let text = under_load(&args, alone.clock, &alone.deployment, &mut workers).await;
    alone.deployment.roles.append(&mut workers);
    alone.stop().await?;
    text
}

async fn under_load(
    args: &OwnershipArgs,
    clock: Clock,
    deployment: &Deployment,
    workers: &mut [Role],
) -> Result<String> {
    let orders = deployment.place(UNIFORM_ORDERS).await?;
    let a_round = 2 * (SETTLED + ENDED);
    let load = Load {
        address: deployment.ingress()?,
        caller: deployment.caller.clone(),
        kind: Kind::Annotate,
        orders,
        connections: CONNECTIONS,
        pace: Pace::Open(args.rate),
        warm_up: Duration::ZERO,
        // Starting a worker takes its second.
        measured: SETTLED + args.rounds * (a_round + Duration::from_secs(3)),
        first_key: 1 << 48,
    };
    deployment.watcher.take();
    let mut observer = Observer::default();
    let before = observer.before().await?;
    let window = load.window(clock);
    let ending = CancellationToken::new();
    let database = &deployment.program.database_url;
    let (sent, claims, done) = tokio::join!(
        load::run(load.clone(), clock, window),
        watch(database, clock, &ending),
        async {
            let done = act(args, clock, deployment, workers).await;
            ending.cancel();
            done
        }
    );
    let (sent, claims, done) = (sent?, claims?, done?);
    let noise = observer.after(before)?;
    if !deployment.watcher.reached(&sent).await? {
        bail!("the stream of events fell silent before every command came");
    }
    let visible = deployment.watcher.take();
    let hands = first_commands(&load.orders, &sent, &visible, &claims, &done);
    let usual = usual(&sent, &visible);
    let history = read(database, &load.orders, 1, sent, Some(visible)).await?;
    ensure_right(&history)?;
    let text = report(args, &history.sent, &hands, noise.quiet);
    Ok(usual.map_or(text.clone(), |usual| {
        format!(
            "{text}\nAll commands of the run, hand-overs included, waited p50 {:.1}, p99 {:.1}, max {:.0} ms.",
            usual.p50_ms, usual.p99_ms, usual.max_ms
        )
    }))
}

/// How long commands waited on the whole, from acceptance until seen: the yardstick beside which a hand-over's first stands.
fn usual(sent: &[load::Sent], visible: &HashMap<CommandId, u64>) -> Option<Latency> {
    let accepted = sent
        .iter()
        .filter(|sent| sent.answer == load::Answer::Accepted);
    let waited = |sent: &load::Sent| {
        let seen = visible.get(&sent.command_id)?;
        Some(seen.saturating_sub(sent.answered))
    };
    Latency::of(accepted.filter_map(waited).collect())
}

/// Ends and starts one worker after the other.
async fn act(
    args: &OwnershipArgs,
    clock: Clock,
    deployment: &Deployment,
    workers: &mut [Role],
) -> Result<Vec<Done>> {
    // Owners show with their first commands.
    tokio::time::sleep(SETTLED).await;
    let mut done = Vec::new();
    let mut note = |action| {
        eprint!(" {action}");
        done.push(Done {
            at: clock.now(),
            action,
        });
    };
    for round in 0..args.rounds {
        eprint!("round {}/{}:", round + 1, args.rounds);
        let victim = usize::try_from(round)? % workers.len();
        for ending in [Action::Kill, Action::Stop] {
            // Its successor is not there yet: the other worker takes everything.
            note(ending);
            match ending {
                Action::Kill => workers[victim].kill().await?,
                _ => workers[victim].end().await?,
            }
            tokio::time::sleep(ENDED).await;
            note(Action::Join);
            workers[victim] = deployment.program.start("worker").await?;
            tokio::time::sleep(SETTLED).await;
        }
        eprintln!();
    }
    Ok(done)
}

/// Every claim until the end, by the clock of the run.
async fn watch(database_url: &str, clock: Clock, ending: &CancellationToken) -> Result<Vec<Claim>> {
    let client = db::connect(database_url).await?;
    let looking = "select shard, epoch, claimed_at from shards where claimed_at is not null";
    let mut epochs: HashMap<i32, i64> = HashMap::new();
    let mut claims = Vec::new();
    loop {
        for row in client.query(looking, &[]).await? {
            let (shard, epoch): (i32, i64) = (row.get(0), row.get(1));
            let at: OffsetDateTime = row.get(2);
            let known = epochs.insert(shard, epoch);
            if known.is_some_and(|known| known < epoch) {
                let at = clock.at(at.into());
                claims.push(Claim { shard, at });
            }
        }
        let pause = tokio::time::sleep(LOOK_AGAIN);
        if ending.run_until_cancelled(pause).await.is_none() {
            return Ok(claims);
        }
    }
}

fn report(args: &OwnershipArgs, sent: &[load::Sent], hands: &[Hand], quiet: bool) -> String {
    let accepted = sent
        .iter()
        .filter(|sent| sent.answer == load::Answer::Accepted)
        .count();
    format!(
        "{}\n{} rounds at {}/s, {} sent, {accepted} accepted, lost 0, doubled 0, reordered 0. Quiet machine: {}.\n{WORDS}",
        figures(hands),
        args.rounds,
        args.rate,
        sent.len(),
        if quiet { "yes" } else { "no" },
    )
}

/// What the columns mean.
const WORDS: &str = "\
kill: SIGKILL of an owner. stop: SIGTERM of an owner. join: a worker came, and owners gave shards up to it.
since     from the signal until an event of the first command that the next owner applied was seen (for join: from the start of
          the new process)
waited    how long that first command had been accepted by then: what a producer notices of the hand-over
Both end when a subscriber of the stream saw the event: an upper bound of the commit.";
