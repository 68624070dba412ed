//! A producer as careful producers are: the same key for every attempt at one thing, pauses that grow and differ, and the
//! pause that a server asks for. Sometimes it hangs up before the answer, as networks do.
//!
//! Owns one request and the patience with it; writes down every attempt. What to send is `scenario`'s.

mod batch;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use orderly_protocol::CommandResource;
use reqwest::{Method, Response, StatusCode, Url, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::history::{Action, Answer, Asked, Attempt, BatchLine, Journal, Micros, Sent, Stopwatch};
use crate::{dice::Dice, http::Refused};

/// A listener on this side of the world answers a SYN in milliseconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longer than any wait that is asked for: what takes longer has no answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// For the outcome in the answer; a worker that is killed meanwhile takes longer.
const WAIT_SECONDS: u32 = 2;
/// A producer that was never answered leaves it at that, after about this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause; each later one is twice as long, up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A server may ask for more than a storm has time.
const LONGEST_ASKED: Duration = Duration::from_secs(5);

/// The way to Orderly that all clients of a storm share.
pub(super) struct Door {
    http: reqwest::Client,
    ingress: Url,
    api_key: String,
    pub(super) clock: Stopwatch,
    pub(super) tally: Tally,
    journal: Journal,
    token: CancellationToken,
}

/// For whoever watches.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: AtomicUsize,
    pub(super) accepted: AtomicUsize,
    pub(super) unanswered: AtomicUsize,
}

/// What a client wants, under which key.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) key: String,
    pub(super) mark: String,
    pub(super) order: uuid::Uuid,
    pub(super) action: Action,
    pub(super) expected_version: Option<u64>,
    /// If it goes as a line of a batch.
    pub(super) batch: Option<BatchLine>,
}

/// How it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// Whether the outcome is awaited in the answer.
    pub(super) waits: bool,
    /// Hangs up on the first attempt after so long.
    pub(super) hangs_up_after: Option<Duration>,
    /// Does not try again.
    pub(super) gives_up: bool,
}

/// A client's patience with one request: each pause is longer than the last, and all together have an end.
struct Patience {
    gives_up_at: Instant,
    longest: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            gives_up_at: Instant::now() + PATIENCE,
            longest: SHORTEST_PAUSE,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.gives_up_at
    }

    /// The next pause, no shorter than what was asked for.
    fn next(&mut self, dice: &mut Dice, asked: Option<Duration>) -> Duration {
        let pause = dice.time(self.longest / 2, self.longest);
        self.longest = (self.longest * 2).min(LONGEST_PAUSE);
        pause.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

/// An answer, and the pause that it asks for.
type Answered = (Answer, Option<Duration>);

impl Door {
    pub(super) fn new(
        ingress: &str,
        api_key: &str,
        clock: Stopwatch,
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .user_agent(concat!("orderly-checker/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("make an HTTP client")?;
        Ok(Self {
            http,
            ingress: ingress.parse().context("the ingress's URL")?,
            api_key: api_key.to_owned(),
            clock,
            tally: Tally::default(),
            journal: journal.clone(),
            token: token.clone(),
        })
    }

    /// Sends until there is an answer that means something, and writes all of it down.
    ///
    /// # Errors
    /// When Orderly refuses what it must take, or the storm is stopped.
    pub(super) async fn send(&self, wanted: Wanted, manner: Manner, dice: Dice) -> Result<Sent> {
        let attempts = self.attempts(&wanted, manner, dice).await?;
        let mut sent = wanted.sent(attempts);
        // Who was answered in time wants to know as well.
        sent.given_up = manner.gives_up && !sent.is_accepted();
        Ok(sent)
    }

    /// The same request from several places at once, as a retry that overtakes its predecessor.
    pub(super) async fn send_copies(
        &self,
        wanted: Wanted,
        manners: &[Manner],
        dice: &mut Dice,
    ) -> Result<Sent> {
        let copies = manners.iter();
        let copies = copies.map(|manner| self.attempts(&wanted, *manner, dice.fork()));
        let mut attempts = Vec::new();
        for of_copy in join_all(copies.collect::<Vec<_>>()).await {
            attempts.extend(of_copy?);
        }
        attempts.sort_by_key(|it| it.began);
        Ok(wanted.sent(attempts))
    }

    async fn attempts(
        &self,
        wanted: &Wanted,
        manner: Manner,
        mut dice: Dice,
    ) -> Result<Vec<Attempt>> {
        let mut patience = Patience::new();
        let mut attempts = Vec::new();
        loop {
            let first = attempts.is_empty();
            let hangs_up_after = manner.hangs_up_after.filter(|_| first);
            let asking = self.attempt(wanted, manner.waits, hangs_up_after);
            let (attempt, asked) = self.kept(wanted, manner.gives_up, asking).await?;
            let again = attempt.answer.is_open();
            attempts.push(attempt);
            if !again || manner.gives_up || patience.is_over() {
                return Ok(attempts);
            }
            self.pause(patience.next(&mut dice, asked)).await;
        }
    }

    async fn pause(&self, pause: Duration) {
        let pausing = tokio::time::sleep(pause);
        self.token.run_until_cancelled(pausing).await;
    }

    /// One attempt, which waits for the outcome.
    ///
    /// # Errors
    /// As [`Door::send`].
    pub(super) async fn once(&self, wanted: &Wanted) -> Result<Attempt> {
        let asking = self.attempt(wanted, true, None);
        let (attempt, _) = self.kept(wanted, false, asking).await?;
        Ok(attempt)
    }

    /// Writes down a request before it is sent, and its answer.
    async fn kept(
        &self,
        wanted: &Wanted,
        gives_up: bool,
        asking: impl Future<Output = Answered>,
    ) -> Result<(Attempt, Option<Duration>)> {
        let began = self.clock.now();
        let line = || Asked::from(wanted).request(began, gives_up);
        self.journal.write(line);
        let asked = self.token.run_until_cancelled(asking).await;
        let (answer, asked) = asked.context("stopped before the end")?;
        Ok((self.answered(wanted, began, answer)?, asked))
    }

    fn answered(&self, wanted: &Wanted, began: Micros, answer: Answer) -> Result<Attempt> {
        let attempt = Attempt {
            began,
            ended: self.clock.now(),
            answer,
        };
        self.journal.write(|| Asked::from(wanted).answer(&attempt));
        self.tally(&attempt.answer);
        refuse_nonsense(&attempt.answer, wanted)?;
        Ok(attempt)
    }

    fn tally(&self, answer: &Answer) {
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
        count(&self.tally.requests);
        if answer.is_accepted() {
            count(&self.tally.accepted);
        }
        if matches!(answer, Answer::Lost { .. }) {
            count(&self.tally.unanswered);
        }
    }

    async fn attempt(
        &self,
        wanted: &Wanted,
        waits: bool,
        hangs_up_after: Option<Duration>,
    ) -> Answered {
        let asking = self.ask(wanted, waits);
        let answered = match hangs_up_after {
            None => asking.await,
            Some(limit) => match tokio::time::timeout(limit, asking).await {
                Ok(answered) => answered,
                Err(_) => return (Answer::lost("hung up"), None),
            },
        };
        answered.unwrap_or_else(|error| (Answer::lost(&format!("{error:#}")), None))
    }

    async fn ask(&self, wanted: &Wanted, waits: bool) -> Result<Answered> {
        let order = wanted.order;
        let (method, path) = match wanted.action {
            Action::Place { .. } => (Method::PUT, format!("/v1/orders/{order}")),
            _ => (Method::POST, format!("/v1/orders/{order}/commands")),
        };
        let url = self.ingress.join(&path).context("a path")?;
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(&self.api_key)
            .header("Idempotency-Key", &wanted.key)
            .json(&wanted.action.body(&wanted.mark));
        if waits {
            request = request.header("Prefer", format!("wait={WAIT_SECONDS}"));
        }
        if let Some(version) = wanted.expected_version {
            request = request.header(header::IF_MATCH, format!("\"v{version}\""));
        }
        answer_of(request.send().await?).await
    }
}

impl Wanted {
    pub(super) fn sent(self, attempts: Vec<Attempt>) -> Sent {
        Sent {
            key: self.key,
            mark: self.mark,
            order: self.order,
            action: self.action,
            expected_version: self.expected_version,
            batch: self.batch,
            attempts,
            given_up: false,
            outcome: None,
        }
    }
}

impl<'a> From<&'a Wanted> for Asked<'a> {
    fn from(wanted: &'a Wanted) -> Self {
        Self {
            key: &wanted.key,
            mark: &wanted.mark,
            order: wanted.order,
            action: &wanted.action,
            expected_version: wanted.expected_version,
            batch: wanted.batch,
        }
    }
}

impl From<&Sent> for Wanted {
    fn from(sent: &Sent) -> Self {
        Self {
            key: sent.key.clone(),
            mark: sent.mark.clone(),
            order: sent.order,
            action: sent.action.clone(),
            expected_version: sent.expected_version,
            batch: sent.batch,
        }
    }
}

impl Answer {
    /// Whether the same must be sent again to know.
    fn is_open(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Lost { .. })
    }

    fn lost(why: &str) -> Self {
        Self::Lost {
            why: why.to_owned(),
        }
    }
}

async fn answer_of(response: Response) -> Result<Answered> {
    let status = response.status();
    let text = |name: &str| response.headers().get(name)?.to_str().ok();
    let decided = text("Preference-Applied").is_some();
    let asked = text("Retry-After")
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let body = response.bytes().await?;
    if status.is_success() {
        // An answer that cannot be read is none.
        let command: CommandResource = serde_json::from_slice(&body)?;
        let (command_id, location) = (command.command_id.0, command.links.command);
        let answer = match command.version.filter(|_| status != StatusCode::ACCEPTED) {
            Some(version) => Answer::Applied {
                command_id,
                version: version.0,
                location,
            },
            None => Answer::Accepted {
                command_id,
                location,
            },
        };
        return Ok((answer, None));
    }
    let answer = match refusal_of(status.as_u16(), &body) {
        Answer::Refused { code, .. } if decided => Answer::Rejected { code },
        answer => answer,
    };
    Ok((answer, asked))
}

/// What a problem says to a client that does not wait for the outcome.
fn refusal_of(status: u16, body: &[u8]) -> Answer {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    match status {
        // 424: a line of a batch, behind one that was not accepted.
        408 | 424 | 429 | 500..=599 => Answer::Unavailable { status, code },
        _ => Answer::Refused { status, code },
    }
}

/// A key without its scopes, a request that Orderly does not read: no storm, but a mistake of this side.
fn refuse_nonsense(answer: &Answer, wanted: &Wanted) -> Result<()> {
    match answer {
        Answer::Refused { code, .. } if code == "idempotency_key_reused" => Ok(()),
        Answer::Refused { .. } if wanted.action.is_nonsense() => Ok(()),
        Answer::Refused { status, code } => {
            bail!(Refused::new(
                *status,
                code,
                &format!(
                    "{} of order {}",
                    wanted.action.kind().as_str(),
                    wanted.order
                )
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives one answer to everybody.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let read = client.read(&mut [0; 4096]).await.unwrap();
                assert!(read > 0, "a request came");
                client.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    async fn sent(answer: &'static str) -> Sent {
        let url = server(answer).await;
        let (clock, token) = (Stopwatch::start(), CancellationToken::new());
        let door = Door::new(&url, "key", clock, &Journal::default(), &token).unwrap();
        let wanted = Wanted {
            key: "k".to_owned(),
            mark: "m".to_owned(),
            order: uuid::Uuid::nil(),
            action: Action::Pay,
            expected_version: None,
            batch: None,
        };
        let manner = Manner {
            waits: true,
            gives_up: true,
            ..Manner::default()
        };
        door.send(wanted, manner, Dice::new(1)).await.unwrap()
    }

    #[tokio::test]
    async fn a_client_that_was_answered_has_not_given_up() {
        let rejected = "HTTP/1.1 409 Conflict\r\nPreference-Applied: wait\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert!(!sent(rejected).await.given_up);
        let unavailable =
            "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert!(sent(unavailable).await.given_up);
    }
}
