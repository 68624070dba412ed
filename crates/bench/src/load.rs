//! The load generator: the same connections, requests and clock for every contestant.
//!
//! Runs on one thread of its own, so that what it costs shows as the bench's own CPU and nothing else waits behind it.

mod http;
mod pace;
mod request;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use orderly_domain::CommandId;
use uuid::Uuid;

use crate::clock::{Clock, nanos};
use crate::random::Random;

pub(crate) use http::HttpConnection;
pub(crate) use pace::{Pace, Pacer};
pub(crate) use request::{Caller, Kind, SKUS, Template, annotation, command_id, place_data};

/// No answer takes longer, however deep the queue: the ingress itself gives up a publish after 10 s, and a wait after 30.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// All connections are open before the first request is due.
const HEAD_START: Duration = Duration::from_millis(50);
/// What a refused connection waits: it must not turn a full shard into a hot loop.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// What to send, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) caller: Caller,
    pub(crate) kind: Kind,
    pub(crate) orders: Arc<[Uuid]>,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// The number of the first key; every command takes the next.
    pub(crate) first_key: u64,
}

/// What became of a request, as its sender knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 2xx.
    Accepted,
    /// Any other status, which says that nothing was stored.
    Refused,
    /// The status says that it may be stored or not.
    Unknown,
}

/// One command that was sent. Times are of the run's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) command_id: CommandId,
    /// Index into the orders of the load.
    pub(crate) order: usize,
    pub(crate) due: u64,
    /// When its first byte was written.
    pub(crate) begun: u64,
    pub(crate) answered: u64,
    pub(crate) answer: Answer,
}

impl Load {
    /// The measured part, if the load begins now.
    pub(crate) fn window(&self, clock: Clock) -> Window {
        let begin = clock.now() + nanos(HEAD_START);
        let from = begin + nanos(self.warm_up);
        Window {
            begin,
            measured: from..from + nanos(self.measured),
        }
    }
}

/// When a load begins, and which part of it counts.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) begin: u64,
    pub(crate) measured: Range<u64>,
}

/// Keys of different connections never meet: each has so many of its own.
const KEYS_PER_CONNECTION: u64 = 1 << 32;

/// Runs a load to its end and returns all that was sent, in no order.
pub(crate) async fn run(load: Load, clock: Clock, window: Window) -> Result<Vec<Sent>> {
    let running = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(send_all(load, clock, window))
    });
    running.await.context("the load generator panicked")?
}

async fn send_all(load: Load, clock: Clock, window: Window) -> Result<Vec<Sent>> {
    let Window { begin, measured } = window;
    let pacer = Pacer::start(load.pace, clock, begin, measured.end);
    let mut senders = Vec::with_capacity(load.connections);
    for index in 0..load.connections as u64 {
        let connection = HttpConnection::open(load.address).await;
        senders.push(Sender {
            connection: connection.context("connect to the contestant")?,
            template: Template::new(load.kind, &load.caller),
            load: load.clone(),
            clock,
            pacer: pacer.clone(),
            next_key: load.first_key + index * KEYS_PER_CONNECTION,
            random: Random::new(index),
            sent: Vec::with_capacity(1 << 12),
        });
    }
    tokio::time::sleep_until(clock.instant(begin).into()).await;
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|sender| tokio::spawn(sender.run()))
        .collect();
    let mut sent = Vec::new();
    for task in tasks {
        sent.append(&mut task.await.context("a sender panicked")??);
    }
    Ok(sent)
}

/// One connection's sender.
struct Sender {
    connection: HttpConnection,
    template: Template,
    load: Load,
    clock: Clock,
    pacer: Pacer,
    next_key: u64,
    random: Random,
    sent: Vec<Sent>,
}

impl Sender {
    async fn run(mut self) -> Result<Vec<Sent>> {
        while let Some(due) = self.pacer.next().await {
            let commands = self.template.commands();
            let mut named = Vec::with_capacity(commands);
            for index in 0..commands {
                let order = self.random.below(self.load.orders.len());
                self.template
                    .set(index, self.load.orders[order], self.next_key);
                named.push((order, self.next_key));
                self.next_key += 1;
            }
            if self.exchange(&named, due).await? {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
        Ok(self.sent)
    }

    /// Sends one request and notes its commands. True if it was refused.
    async fn exchange(&mut self, named: &[(usize, u64)], due: u64) -> Result<bool> {
        let mut body = Vec::new();
        let wants_body = matches!(self.load.kind, Kind::Batch(_));
        let begun = self.clock.now();
        let exchange = self
            .connection
            .exchange(self.template.bytes(), wants_body.then_some(&mut body));
        let status = match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
            Ok(status) => status.context("send a request")?,
            Err(_) => bail!("no answer within {} s", ANSWER_LIMIT.as_secs()),
        };
        let answered = self.clock.now();
        let answers = if wants_body && status == 200 {
            batch_answers(&body, named.len())?
        } else {
            vec![answer(status); named.len()]
        };
        for ((order, key), answer) in named.iter().zip(&answers) {
            self.sent.push(Sent {
                command_id: command_id(self.load.caller.producer, *key),
                order: *order,
                due,
                begun,
                answered,
                answer: *answer,
            });
        }
        Ok(answers.iter().any(|answer| *answer != Answer::Accepted))
    }
}

/// 503 is told apart by its problem's code only where it matters, in the judge: here it is in doubt.
fn answer(status: u16) -> Answer {
    match status {
        200..=299 => Answer::Accepted,
        503 => Answer::Unknown,
        _ => Answer::Refused,
    }
}

/// One receipt or problem a line, in order.
fn batch_answers(body: &[u8], commands: usize) -> Result<Vec<Answer>> {
    let lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let answers: Vec<Answer> = lines
        .map(|line| {
            let is_problem = memchr::memmem::find(line, b"\"retryable\":").is_some();
            if is_problem {
                Answer::Unknown
            } else {
                Answer::Accepted
            }
        })
        .collect();
    if answers.len() != commands {
        bail!(
            "a batch of {commands} commands was answered with {} lines",
            answers.len()
        );
    }
    Ok(answers)
}
