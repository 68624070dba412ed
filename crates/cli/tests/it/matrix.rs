//! The crash matrix: at every crash point a process dies by SIGKILL, dies a moment later, or meets an error, while a storm
//! goes on and judges. A point that is not reached fails, so that none can be forgotten.
//!
//! Each way is one test. `ORDERLY_MATRIX_ROUNDS=20` repeats it, `ORDERLY_MATRIX_POINTS=after_commit,before_ack` looks at some.
//! Who coordinates a resize is frozen as well, at every point that is named so; by itself at the worst of them.

use std::{
    cell::RefCell,
    collections::VecDeque,
    os::unix::process::ExitStatusExt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use orderly_broker::{BrokerConfig, Confirm, Connection, Message, Publisher};
use orderly_crashpoint::{CrashPoint, Role as Whose};
use orderly_devenv::TestEnv;
use orderly_domain::{CommandId, OrderId, ProducerId};
use orderly_protocol::{
    Envelope, ShardId, encode_commands, fingerprint, names, shard_of, time::OffsetDateTime,
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    role::Role,
    storm::clean,
    system::{System, orderly, until},
};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Kill,
    Linger,
    Error,
    Freeze,
}

/// What makes a worker come to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Load, and what the needles bring.
    Load,
    /// It is asked to end.
    HandOver,
    /// Deliveries that two processes died of.
    Suspect,
    /// The number of shards changes.
    Resize,
}

/// Long enough for most of the points of a pass; as many follow as it takes.
const STORM: &str = "20s";
/// Of a storm; each has one command under way.
const CLIENTS: usize = 32;
/// Batches that go well before it happens.
const COMINGS: u32 = 10;
/// Between an error and the next one: the process has come back from it, mostly.
const COMINGS_BETWEEN_ERRORS: u32 = 7;
/// Between two commands that most batches do not have.
const NEEDLE_EVERY: Duration = Duration::from_millis(250);
/// A third delivery makes a suspect.
const DEATHS_BEFORE_A_SUSPECT: usize = 3;
/// Which shard holds a redelivered message, and who consumes it, is chance.
const SUSPECT_TRIES: usize = 6;
const SUSPECT_LIMIT: Duration = Duration::from_secs(10);
/// From the one to the other and back, so that there is always a shard that an order does not belong to.
const SHARDS: [&str; 2] = ["6", "4"];

impl Doing {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Linger => "linger",
            Self::Error => "error",
            Self::Freeze => "freeze",
        }
    }
}

/// Without a wildcard: whoever adds a point says how a worker comes to it.
fn way(point: CrashPoint) -> Way {
    use CrashPoint as P;
    match point {
        P::AfterAccept
        | P::BeforeAnswer
        | P::AfterPublish
        | P::AfterSubscribe
        | P::AfterReceive
        | P::AfterClaim
        | P::AfterFence
        | P::AfterDedupeAndLoad
        | P::AfterEventsOfDeliveries
        | P::AfterStock
        | P::AfterDecide
        | P::AfterWrite
        | P::AfterCommit
        | P::BeforeFinish
        | P::AfterConfirm
        | P::AfterForward
        | P::BeforeAck
        | P::AfterAck
        | P::BeforeSingles
        | P::BeforeParking
        | P::AfterReleasePart
        | P::BeforeReleaseEnd
        | P::AfterCopiesSent
        | P::AfterCopies
        | P::AfterOffset
        | P::AfterGateway
        | P::BeforePaymentAck
        | P::AfterPaymentAck => Way::Load,
        P::BeforeDrain | P::AfterDrain | P::AfterHandOver | P::BeforeLeave => Way::HandOver,
        P::AfterAttemptBegin | P::BeforeAttemptEnd => Way::Suspect,
        P::AfterResizeLock
        | P::AfterResizeDeclared
        | P::BeforeUnbind
        | P::AfterUnbind
        | P::AfterFlip
        | P::AfterMarker1
        | P::AfterMarker2
        | P::BeforeResizeDone => Way::Resize,
    }
}

/// At which coming it happens: at once where a process comes by once or twice in its life.
fn coming(point: CrashPoint) -> u32 {
    let is_rare = matches!(
        point,
        CrashPoint::AfterSubscribe
            | CrashPoint::AfterClaim
            | CrashPoint::AfterForward
            | CrashPoint::BeforeSingles
            | CrashPoint::BeforeParking
            | CrashPoint::AfterReleasePart
            | CrashPoint::BeforeReleaseEnd
    );
    if is_rare || way(point) != Way::Load {
        1
    } else {
        COMINGS
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The points that are asked for.
fn asked_for() -> Vec<CrashPoint> {
    let only = setting("ORDERLY_MATRIX_POINTS");
    let is_asked_for = |point: &CrashPoint| {
        let name = point.name();
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|it| it == name))
    };
    let points = CrashPoint::ALL.iter().copied();
    points.filter(is_asked_for).collect()
}

/// Where a coordinator is frozen: each takes half a minute, so by itself where nothing takes commands.
fn frozen() -> Vec<CrashPoint> {
    if setting("ORDERLY_MATRIX_POINTS").is_none() {
        return vec![CrashPoint::AfterUnbind];
    }
    points(Whose::Worker, Way::Resize)
}

/// Those of one role.
fn points(whose: Whose, wanted: Way) -> Vec<CrashPoint> {
    let points = asked_for().into_iter();
    points
        .filter(|it| it.roles().contains(&whose) && way(*it) == wanted)
        .collect()
}

#[tokio::test]
async fn a_process_killed_at_any_point_breaks_no_promise() {
    pass(Doing::Kill).await;
}

#[tokio::test]
#[ignore = "as long as the pass before, and CI has half an hour: cargo xtask test -p orderly-cli --test it -- --ignored just_after"]
async fn a_process_killed_just_after_any_point_breaks_no_promise() {
    pass(Doing::Linger).await;
}

#[tokio::test]
async fn an_error_at_any_point_breaks_no_promise() {
    pass(Doing::Error).await;
}

#[tokio::test]
async fn a_coordinator_that_wakes_up_two_resizes_later_breaks_no_promise() {
    pass(Doing::Freeze).await;
}

/// Each has six processes and a storm: more of them on a small machine would only wait for each other.
static PASSES: Semaphore = Semaphore::const_new(2);

/// One doing at every point, while storms judge.
async fn pass(doing: Doing) {
    let _turn = PASSES.acquire().await.unwrap();
    let rounds = setting("ORDERLY_MATRIX_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let mut system = System::start().await;
    // A command that the database refuses, whatever stands beside it.
    let refuse = "create function refuse() returns trigger language plpgsql as $$
         begin
             if new.data ->> 'value' = 'poison' then raise exception 'a test' using errcode = '23514'; end if;
             return new;
         end $$;
         create trigger refuse before insert on events for each row execute function refuse();";
    system.env.psql(&[refuse]).await.unwrap();
    let needles = Needles::new(&system).await;
    system.worker.kill();
    let done = AtomicBool::new(false);
    let judge = Judge::new(&system);
    let crashes = RefCell::new(Vec::new());
    let (dashboard, key) = (system.dashboard.url.clone(), system.key.clone());
    let System {
        env,
        ingress,
        worker,
        relay,
        payments,
        ..
    } = &mut system;
    let matrix = Matrix {
        env,
        doing,
        began: Instant::now(),
        crashes: &crashes,
        dashboard: &dashboard,
        key: &key,
    };
    let url = ingress.url.trim_start_matches("http://").to_owned();
    let crashing = async {
        for _ in 0..rounds {
            if doing == Doing::Freeze {
                matrix.freezes(worker).await;
                continue;
            }
            tokio::join!(
                matrix.others(ingress, ("ingress", &url), Whose::Ingress),
                matrix.others(relay, ("relay", "127.0.0.1:0"), Whose::Relay),
                matrix.others(payments, ("payments", "127.0.0.1:0"), Whose::Payments),
                matrix.workers(worker),
            );
        }
        done.store(true, Ordering::SeqCst);
    };
    let (posted, storms, ()) = tokio::join!(
        needles.post(&judge.env, &done),
        judge.storms(&done),
        crashing
    );
    posted.all_arrived(&system).await;
    system.verify();
    let accepted: u64 = storms.iter().sum();
    let crashes = crashes.into_inner();
    // Every role of every point: one that no loop above takes up must not be missed without a word.
    let points: usize = match doing {
        Doing::Freeze => frozen().len(),
        _ => asked_for().iter().map(|it| it.roles().len()).sum(),
    };
    assert!(points > 0, "no such point");
    assert_eq!(crashes.len(), rounds * points);
    eprintln!(
        "{}: {} times at {} points in {:.0} s; {accepted} commands accepted in {} storms, no promise broken",
        doing.name(),
        crashes.len(),
        points,
        crashes.last().map_or(0.0, Duration::as_secs_f64),
        storms.len(),
    );
}

struct Matrix<'a> {
    env: &'a TestEnv,
    doing: Doing,
    began: Instant,
    /// When each happened.
    crashes: &'a RefCell<Vec<Duration>>,
    /// Where the number of shards is changed, and by whom.
    dashboard: &'a str,
    key: &'a str,
}

impl Matrix<'_> {
    fn armed(&self, name: &'static str, address: &str, points: &[(CrashPoint, u32)]) -> Role {
        let doing = self.doing.name();
        let points = points
            .iter()
            .map(|(point, coming)| format!("{}:{doing}:{coming}", point.name()));
        let points = points.collect::<Vec<_>>().join(",");
        Role::start_armed(self.env, name, address, &points)
    }

    fn worker(&self, point: CrashPoint) -> Role {
        self.armed("worker", "127.0.0.1:0", &[(point, coming(point))])
    }

    /// Waits until it has happened.
    async fn happened(&self, role: &mut Role, point: CrashPoint) {
        let line = format!("crash point {}", point.name());
        if matches!(self.doing, Doing::Error | Doing::Freeze) {
            until(&line, async || role.says(&line)).await;
        } else {
            let status = role.ended().await;
            assert_eq!(status.signal(), Some(9), "{}: {status}", point.name());
            until(&line, async || role.says(&line)).await;
        }
        let at = self.began.elapsed();
        eprintln!(
            "{:6.1} s {} {}",
            at.as_secs_f64(),
            self.doing.name(),
            point.name()
        );
        self.crashes.borrow_mut().push(at);
    }

    /// All errors in one life, one after the other.
    async fn errors(&self, name: &'static str, address: &str, points: &[CrashPoint]) -> Role {
        let mut at = COMINGS;
        let points: Vec<_> = points
            .iter()
            .map(|point| {
                let is_rare = coming(*point) == 1;
                at += if is_rare { 0 } else { COMINGS_BETWEEN_ERRORS };
                (*point, if is_rare { 1 } else { at })
            })
            .collect();
        let mut role = self.armed(name, address, &points);
        for (point, _) in points {
            self.happened(&mut role, point).await;
        }
        role
    }

    /// Every point of a role that runs once.
    async fn others(&self, role: &mut Role, (name, address): (&'static str, &str), whose: Whose) {
        let points = points(whose, Way::Load);
        role.kill();
        if self.doing == Doing::Error && !points.is_empty() {
            *role = self.errors(name, address, &points).await;
            return;
        }
        for point in points {
            *role = self.armed(name, address, &[(point, coming(point))]);
            self.happened(role, point).await;
        }
        *role = Role::start_at(self.env, name, address);
    }

    /// Every point of a worker. In the end one runs that nothing happens to.
    async fn workers(&self, last: &mut Role) {
        let load = points(Whose::Worker, Way::Load);
        if self.doing == Doing::Error && !load.is_empty() {
            self.errors("worker", "127.0.0.1:0", &load).await.kill();
        } else {
            // One works, the other stands by and takes over what the first one left.
            let load = RefCell::new(VecDeque::from(load));
            tokio::join!(self.one_after_another(&load), self.one_after_another(&load));
        }
        self.hand_overs(points(Whose::Worker, Way::HandOver)).await;
        for point in points(Whose::Worker, Way::Suspect) {
            self.catch_up().await;
            self.suspect(point).await;
        }
        self.catch_up().await;
        self.resizes(points(Whose::Worker, Way::Resize)).await;
        *last = Role::start(self.env, "worker");
    }

    async fn one_after_another(&self, points: &RefCell<VecDeque<CrashPoint>>) {
        loop {
            let Some(point) = points.borrow_mut().pop_front() else {
                return;
            };
            self.happened(&mut self.worker(point), point).await;
        }
    }

    /// Each hands over to the next one.
    async fn hand_overs(&self, points: Vec<CrashPoint>) {
        let mut points = points.into_iter();
        let Some(mut point) = points.next() else {
            return;
        };
        let mut owner = self.worker(point);
        loop {
            until("the worker has a shard", async || owner.says("claimed")).await;
            let next = points.next();
            let heir = next.map(|next| self.worker(next));
            owner.signal("TERM");
            self.happened(&mut owner, point).await;
            match next.zip(heir) {
                Some((next, heir)) => (point, owner) = (next, heir),
                None => return,
            }
        }
    }

    /// A coordinator comes to each point once, and what it began is ended by another one, or by itself after an error.
    async fn resizes(&self, points: Vec<CrashPoint>) {
        if self.doing == Doing::Error && !points.is_empty() {
            let at_once: Vec<_> = points.iter().map(|point| (*point, 1)).collect();
            let mut worker = self.armed("worker", "127.0.0.1:0", &at_once);
            self.request_resize(0).await;
            for point in points {
                self.happened(&mut worker, point).await;
            }
            self.resized().await;
            worker.kill();
            return;
        }
        for (round, point) in points.into_iter().enumerate() {
            let mut worker = self.armed("worker", "127.0.0.1:0", &[(point, 1)]);
            self.request_resize(round).await;
            self.happened(&mut worker, point).await;
            let mut heir = Role::start(self.env, "worker");
            self.resized().await;
            // Not killed as well: two that are still listed would leave most shards to nobody for 5 s.
            heir.signal("TERM");
            assert!(heir.ended().await.success());
        }
    }

    /// A coordinator stands still with its connections open. Another one ends what it began, and changes the number twice more; then
    /// the first one goes on where it was.
    async fn freezes(&self, last: &mut Role) {
        for point in frozen() {
            let mut frozen = self.armed("worker", "127.0.0.1:0", &[(point, 1)]);
            self.request_resize(0).await;
            self.happened(&mut frozen, point).await;
            let mut heir = Role::start(self.env, "worker");
            self.resized().await;
            for round in 1..3 {
                self.request_resize(round).await;
                self.resized().await;
            }
            frozen.signal("CONT");
            // It finds out what it lost, and is a worker as any other.
            self.request_resize(3).await;
            self.resized().await;
            for role in [&mut frozen, &mut heir] {
                role.signal("TERM");
                assert!(role.ended().await.success());
            }
        }
        *last = Role::start(self.env, "worker");
    }

    async fn request_resize(&self, round: usize) {
        let count = SHARDS[round % SHARDS.len()];
        let args = ["shards", "resize", count, "--no-wait"];
        let mut resize = orderly(self.env, &args);
        resize
            .env("ORDERLY_URL", self.dashboard)
            .env("ORDERLY_API_KEY", self.key);
        let output = tokio::task::spawn_blocking(move || resize.output().unwrap());
        let output = output.await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until no resize is open.
    async fn resized(&self) {
        until("the resize ends", async || {
            let open = ["select count(*) from resizes where finished_at is null"];
            self.env.psql(&open).await.unwrap().trim() == "0"
        })
        .await;
        eprintln!("{:6.1} s resized", self.began.elapsed().as_secs_f64());
    }

    /// Lets a worker apply what waits: those that die at once apply nothing, and a storm wants an outcome within a minute.
    async fn catch_up(&self) {
        let mut worker = Role::start(self.env, "worker");
        let list = [
            "--quiet",
            "--vhost",
            self.env.vhost(),
            "list_queues",
            "messages",
            "name",
        ];
        until("little waits", async || {
            let queues = self.env.rabbitmqctl(&list).await.unwrap();
            let of_shards = queues.lines().filter(|line| line.contains("orders.g"));
            let waiting =
                of_shards.filter_map(|line| line.split_whitespace().next()?.parse::<usize>().ok());
            waiting.sum::<usize>() <= CLIENTS
        })
        .await;
        worker.signal("TERM");
        assert!(worker.ended().await.success());
    }

    /// Lets workers die of what they receive, until one of them suspects it.
    async fn suspect(&self, point: CrashPoint) {
        for _ in 0..SUSPECT_TRIES {
            for _ in 0..DEATHS_BEFORE_A_SUSPECT {
                let deadly = format!("{}:kill:1", CrashPoint::AfterReceive.name());
                let mut worker = Role::start_armed(self.env, "worker", "127.0.0.1:0", &deadly);
                assert_eq!(worker.ended().await.signal(), Some(9));
            }
            let mut worker = self.worker(point);
            let line = format!("crash point {}", point.name());
            let came = until(&line, async || worker.says(&line));
            if tokio::time::timeout(SUSPECT_LIMIT, came).await.is_ok() {
                return self.happened(&mut worker, point).await;
            }
        }
        panic!("no worker came to {}", point.name());
    }
}

/// Storms, one after the other, for as long as it takes.
pub(crate) struct Judge {
    env: TestEnv,
    ingress: String,
    dashboard: String,
    key: String,
}

impl Judge {
    pub(crate) fn new(system: &System) -> Self {
        Self {
            env: system.env.clone(),
            ingress: system.ingress.url.clone(),
            dashboard: system.dashboard.url.clone(),
            key: system.key.clone(),
        }
    }

    /// How many commands each had accepted.
    pub(crate) async fn storms(&self, done: &AtomicBool) -> Vec<u64> {
        let mut accepted = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let args = [
                "storm",
                "--duration",
                STORM,
                "--clients",
                &CLIENTS.to_string(),
                "--yes",
                "-o",
                "json",
            ];
            let mut storm = orderly(&self.env, &args);
            storm
                .env("ORDERLY_URL", &self.ingress)
                .env("ORDERLY_DASHBOARD_URL", &self.dashboard)
                .env("ORDERLY_API_KEY", &self.key);
            let output = tokio::task::spawn_blocking(move || storm.output().unwrap());
            let report = clean(&output.await.unwrap());
            accepted.push(report["counts"]["accepted"].as_u64().unwrap());
        }
        accepted
    }
}

/// What a storm does not send: commands that the database refuses, control commands that release them, and commands on the wrong
/// shard.
struct Needles {
    http: reqwest::Client,
    ingress: String,
    dashboard: String,
    key: String,
    publisher: Publisher,
    connection: Connection,
    /// Gets the foreign commands.
    order: Uuid,
    foreign: u64,
    poisoned: u64,
}

impl Needles {
    async fn new(system: &System) -> Self {
        let order = system.place().await;
        let key = Uuid::now_v7().to_string();
        system.succeed(&["stock", "adjust", "MUG", "100000", "--key", &key]);
        let config = BrokerConfig::new(system.env.amqp_url.clone(), "needles");
        let connection = Connection::open(&config).await.unwrap();
        Self {
            http: system.http.clone(),
            ingress: system.ingress.url.clone(),
            dashboard: system.dashboard.url.clone(),
            key: system.key.clone(),
            publisher: connection.publisher().await.unwrap(),
            connection,
            order,
            foreign: 0,
            poisoned: 0,
        }
    }

    async fn post(mut self, env: &TestEnv, done: &AtomicBool) -> Self {
        while !done.load(Ordering::SeqCst) {
            self.publish_foreign(env).await;
            tokio::time::sleep(NEEDLE_EVERY).await;
            self.place_and_poison().await;
            tokio::time::sleep(NEEDLE_EVERY).await;
        }
        self
    }

    /// A command in the queue of a shard that its order does not belong to.
    async fn publish_foreign(&mut self, env: &TestEnv) {
        let order_id = OrderId(self.order);
        let data = json!({"key": "n", "value": self.foreign.to_string()});
        let envelope = Envelope {
            command_id: CommandId(Uuid::now_v7()),
            order_id,
            action_type: "annotate".to_owned(),
            fingerprint: fingerprint("annotate", Some(order_id), &data, None),
            data: serde_json::value::to_raw_value(&data).unwrap(),
            expected_version: None,
            producer: ProducerId(Uuid::now_v7()),
            idempotency_key: None,
            accepted_at: OffsetDateTime::now_utc(),
            traceparent: None,
            reply_to: None,
        };
        let bytes = envelope.encode();
        let message = Message::commands(encode_commands(std::iter::once(bytes.as_slice())));
        let current =
            "select generation || ' ' || shard_count from generations where state = 'current'";
        loop {
            let layout = env.psql(&[current]).await.unwrap();
            let (generation, shards) = layout.trim().split_once(' ').unwrap();
            let (generation, shards): (_, i32) =
                (generation.parse().unwrap(), shards.parse().unwrap());
            let shard = (shard_of(order_id, shards) + 1) % shards;
            let key = ShardId { generation, shard }.routing_key();
            let publisher = &mut self.publisher;
            let publish = publisher.publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message);
            if publish.await.unwrap() == Confirm::Stored {
                break;
            }
        }
        self.foreign += 1;
    }

    /// An order whose lane begins with a command that the database refuses; it is skipped, and the release ends at the next
    /// such one. Since that one spoils the first try, the others go one at a time: a release of several parts.
    async fn place_and_poison(&mut self) {
        let order = Uuid::now_v7();
        let lines = json!([{"sku": "MUG", "quantity": 1, "unit_price_minor": 1250}]);
        let place = json!({"customer_id": "c-1", "currency": "EUR", "lines": lines});
        let url = format!("{}/v1/orders/{order}", self.ingress);
        self.until_accepted(self.http.put(&url).json(&place)).await;
        let mut heads = Vec::new();
        for value in ["poison", "behind", "poison", "last"] {
            let note = json!({"type": "annotate", "data": {"key": "n", "value": value}});
            let request = self.http.post(format!("{url}/commands")).json(&note);
            heads.push(self.until_accepted(request).await["command_id"].clone());
        }
        let skip = json!({"command_id": heads[0], "reason": "a needle"});
        let url = format!("{}/v1/lanes/{order}/skip", self.dashboard);
        self.until_accepted(self.http.post(url).json(&skip)).await;
        self.poisoned += 1;
    }

    /// Sends it with the same key until there is an answer.
    async fn until_accepted(&self, request: RequestBuilder) -> Value {
        let key = Uuid::now_v7().to_string();
        let request = request
            .bearer_auth(&self.key)
            .header("Idempotency-Key", key);
        let accepted = RefCell::new(Value::Null);
        until("a command is accepted", async || {
            let Ok(answer) = request.try_clone().unwrap().send().await else {
                return false;
            };
            let is_success = answer.status().is_success();
            let body = answer.json().await;
            is_success && body.is_ok_and(|body| accepted.replace(body).is_null())
        })
        .await;
        accepted.into_inner()
    }

    /// Every foreign command was applied once; of every lane the first two commands are gone, once, and the others wait.
    async fn all_arrived(self, system: &System) {
        let version = self.foreign + 1;
        until("foreign commands are applied", async || {
            system.version(self.order).await == version
        })
        .await;
        let lanes = "select count(*) filter (where decided = 1 and discarded = 1 and waiting = 2) || ' ' || count(*) || ' '
             || (select count(*) from lane_entries) || ' '
             || (select count(*) from lanes join orders using (order_id) where version = 2) from controls";
        let expected = format!("{0} {0} {1} {0}", self.poisoned, 2 * self.poisoned);
        until("lanes are released and parked again", async || {
            system.env.psql(&[lanes]).await.unwrap().trim() == expected
        })
        .await;
        self.connection.close().await;
    }
}
