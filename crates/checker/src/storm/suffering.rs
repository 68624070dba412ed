//! One trouble after the other, and how long each lasted: until every shard has applied a command first sent after it began.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use super::{
    deployment::{Deployment, Role, Server},
    fault::Fault,
    history::{FaultDone, Journal, Recovery, Stopwatch},
    link::Link,
    probe::Probe,
    processes::{Process, WORKERS},
};
use crate::dice::Dice;

/// Between two faults: long enough that work is done, short enough that a few fit into seconds.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(700), Duration::from_secs(3));
/// A platform starts a new process within about this.
const RESTART: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(800));
/// A machine takes longer.
const SERVER_RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// Some below, some above the 10 s after which a silent peer is given up.
const STOPPED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(16));
/// Longer than any heartbeat's patience, so that everybody has given the node up when it comes back.
const FROZEN: Duration = Duration::from_secs(20);
/// A node that goes on finds back to the others within seconds, also by way of a pause; one that has not by then never does
/// (`RabbitMQ` 3.10 with `pause_minority`: a lasting Mnesia partition).
const FINDS_BACK: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a link is bad, or the broker without a disk.
const BAD: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// Between towns, and between continents on a bad day.
const DELAY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// A modem's, and a hundred of them.
const SLOW_BYTES_PER_SECOND: (usize, usize) = (8_000, 400_000);
/// Longer than a statement of a worker waits for a lock, mostly.
const LOCKED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
const DEADLOCKS_FOR: Duration = Duration::from_secs(4);
/// Between the first and the second lock: the time of a batch.
const BETWEEN_LOCKS: Duration = Duration::from_millis(4);
/// Postgres looks for a deadlock after 1 s; whoever waits longer here is let go.
const LOCK_LIMIT: &str = "set lock_timeout = '1500ms'";
const LOCK_PRODUCT: &str = "select 1 from stock where sku = $1 for update";
const LOCK_EVENTS: &str = "begin; lock table events in share mode";
const DEADLOCKS: &str = "select deadlocks from pg_stat_database where datname = current_database()";
const REFUSE: &str = "\
    create or replace function storm_refuse() returns trigger language plpgsql as $$
    begin
        if random() < 0.3 then raise exception 'a storm' using errcode = '40001'; end if;
        return new;
    end $$;
    create trigger storm_refuse before insert on commands
    for each row execute function storm_refuse()";
const NO_LONGER_REFUSE: &str = "drop trigger storm_refuse on commands";
const CLOCKS: [&str; 2] = ["-1h", "+1h"];

/// What ends a fault.
enum Cure {
    Nothing,
    Restart(usize),
    AwaitEnd(usize),
    Continue(usize),
    StartServer(Server),
    Thaw(usize),
    Link { process: usize, server: Server },
    EndAlarm,
    Unlock(tokio_postgres::Client),
    Deadlocks(tokio_postgres::Client),
    NoLongerRefuse(tokio_postgres::Client),
}

/// The processes, and everything that is done to them and to the servers.
pub(super) struct Sufferer<'a> {
    deployment: &'a dyn Deployment,
    clock: Stopwatch,
    dice: Dice,
    /// The workers, then the ingress.
    processes: Vec<Process>,
    /// Locked against the batches.
    skus: Vec<String>,
    journal: Journal,
    pub(super) notes: Vec<FaultDone>,
    pub(super) recoveries: Vec<Recovery>,
}

impl<'a> Sufferer<'a> {
    /// Starts workers and ingress.
    pub(super) async fn start(
        deployment: &'a dyn Deployment,
        (clock, journal): (Stopwatch, &Journal),
        dice: Dice,
        skus: Vec<String>,
    ) -> Result<Self> {
        let mut processes = Vec::with_capacity(WORKERS + 1);
        for number in 1..=WORKERS {
            let name = format!("worker-{number}");
            processes.push(Process::start(deployment, &name, Role::Worker).await?);
        }
        processes.push(Process::start(deployment, "ingress", Role::Ingress).await?);
        Ok(Self {
            deployment,
            clock,
            dice,
            processes,
            skus,
            journal: journal.clone(),
            notes: Vec::new(),
            recoveries: Vec::new(),
        })
    }

    /// Does one thing after the other until `token` is cancelled; then everything runs again.
    pub(super) async fn suffer(
        &mut self,
        faults: &[Fault],
        probe: &mut Probe<'_>,
        token: &CancellationToken,
    ) -> Result<()> {
        // What a look at every shard takes when nothing is wrong.
        self.recover(None, probe, token).await?;
        // Each of them once, in the order in which they were named; then whatever comes.
        let mut named = faults.iter().copied();
        loop {
            let pause = self.dice.time(BETWEEN.0, BETWEEN.1);
            if sleep_or_end(pause, token).await {
                break;
            }
            self.restart_ended()?;
            let fault = match named.next() {
                Some(fault) => fault,
                None => faults[self.dice.below(faults.len())],
            };
            self.recover(Some(fault), probe, token).await?;
        }
        self.restart_ended()
    }

    /// Ends them for good.
    pub(super) async fn end(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.kill().await?;
        }
        Ok(())
    }

    async fn recover(
        &mut self,
        fault: Option<Fault>,
        probe: &mut Probe<'_>,
        token: &CancellationToken,
    ) -> Result<()> {
        probe.cover().await?;
        let cure = match fault {
            Some(fault) => self.strike(fault).await?,
            None => Cure::Nothing,
        };
        let (clock, began) = (self.clock, self.clock.now());
        let curing = async {
            self.cure(cure, token).await?;
            anyhow::Ok(clock.now())
        };
        let (ended, recovered) = tokio::join!(curing, probe.recovered());
        let recovery = Recovery {
            fault,
            began,
            ended: ended?,
            recovered: recovered?,
        };
        self.journal.write(|| recovery.line());
        self.recoveries.push(recovery);
        Ok(())
    }

    /// Does it. From when this returns it is felt.
    async fn strike(&mut self, fault: Fault) -> Result<Cure> {
        let worker = self.dice.below(WORKERS);
        Ok(match fault {
            Fault::KillWorker => self.kill(worker).await?,
            Fault::KillIngress => self.kill(WORKERS).await?,
            Fault::EndWorker => self.ask_to_end(worker)?,
            Fault::SkewClock => {
                let clock = CLOCKS[self.dice.below(CLOCKS.len())];
                self.processes[worker].set_clock(Some(clock));
                self.note(&format!("clock {clock}"), worker);
                self.ask_to_end(worker)?
            }
            Fault::StopWorker => {
                self.note("stopped", worker);
                self.processes[worker].signal(Signal::SIGSTOP)?;
                Cure::Continue(worker)
            }
            Fault::FreezeNode => {
                let broker = self.any_broker();
                self.noted(format!("broker {}: frozen", broker + 1));
                self.deployment.freeze(Server::Broker(broker))?;
                Cure::Thaw(broker)
            }
            Fault::KillBroker => {
                let broker = self.any_broker();
                self.noted(format!("broker {}: killed", broker + 1));
                self.kill_server(Server::Broker(broker)).await
            }
            Fault::KillDatabase => self.kill_server(Server::Database).await,
            Fault::CutLink => self.any_link("cut", |link| link.set(|it| it.is_cut = true)),
            Fault::DelayLink => {
                let delay = self.dice.time(DELAY.0, DELAY.1);
                self.any_link("delayed", |link| link.set(|it| it.delay = delay))
            }
            Fault::SlowLink => {
                let (low, high) = SLOW_BYTES_PER_SECOND;
                let rate = u32::try_from(self.dice.between(low, high)).ok();
                self.any_link("slow", |link| link.set(|it| it.bytes_per_second = rate))
            }
            Fault::HalfOpenLink => {
                self.any_link("silent", Link::silence);
                Cure::Nothing
            }
            Fault::Alarm => {
                self.deployment.alarm(true).await?;
                Cure::EndAlarm
            }
            Fault::LockDatabase => {
                let session = self.session().await?;
                session.batch_execute(LOCK_EVENTS).await?;
                Cure::Unlock(session)
            }
            Fault::Deadlock => Cure::Deadlocks(self.session().await?),
            Fault::SerializationFailure => {
                let session = self.session().await?;
                session.batch_execute(REFUSE).await?;
                Cure::NoLongerRefuse(session)
            }
        })
    }

    /// Waits for as long as it shall last, and undoes it.
    async fn cure(&mut self, cure: Cure, token: &CancellationToken) -> Result<()> {
        match cure {
            Cure::Nothing => {}
            Cure::Restart(process) => self.restart(process, token).await?,
            Cure::AwaitEnd(process) => {
                if !self.processes[process].ended().await?.success() {
                    self.note(ENDED_BADLY, process);
                }
                self.restart(process, token).await?;
            }
            Cure::Continue(process) => {
                self.wait(STOPPED, token).await;
                self.processes[process].signal(Signal::SIGCONT)?;
                self.note("continued", process);
            }
            Cure::StartServer(server) => {
                self.wait(SERVER_RESTART, token).await;
                self.deployment.start(server).await?;
            }
            Cure::Thaw(broker) => {
                sleep_or_end(FROZEN, token).await;
                self.thaw(broker).await?;
            }
            Cure::Link { process, server } => {
                self.wait(BAD, token).await;
                self.processes[process].link(server).mend();
            }
            Cure::EndAlarm => {
                self.wait(BAD, token).await;
                self.deployment.alarm(false).await?;
            }
            Cure::Unlock(session) => {
                self.wait(LOCKED, token).await;
                session.batch_execute("rollback").await?;
            }
            Cure::Deadlocks(session) => self.deadlocks(&session, token).await?,
            Cure::NoLongerRefuse(session) => {
                self.wait(BAD, token).await;
                session.batch_execute(NO_LONGER_REFUSE).await?;
            }
        }
        Ok(())
    }

    async fn wait(&mut self, (low, high): (Duration, Duration), token: &CancellationToken) {
        let pause = self.dice.time(low, high);
        sleep_or_end(pause, token).await;
    }

    async fn kill(&mut self, victim: usize) -> Result<Cure> {
        self.note("killed", victim);
        self.processes[victim].kill().await?;
        Ok(Cure::Restart(victim))
    }

    fn ask_to_end(&mut self, victim: usize) -> Result<Cure> {
        self.note("asked to end", victim);
        self.processes[victim].signal(Signal::SIGTERM)?;
        Ok(Cure::AwaitEnd(victim))
    }

    /// As a platform does, after a moment.
    async fn restart(&mut self, victim: usize, token: &CancellationToken) -> Result<()> {
        self.wait(RESTART, token).await;
        self.processes[victim].restart(self.deployment)?;
        self.note("started", victim);
        Ok(())
    }

    async fn kill_server(&mut self, server: Server) -> Cure {
        self.deployment.kill(server).await;
        Cure::StartServer(server)
    }

    fn any_broker(&mut self) -> usize {
        self.dice.below(self.deployment.servers().brokers.len())
    }

    /// Lets a broker go on, and sees it back among the others.
    async fn thaw(&mut self, broker: usize) -> Result<()> {
        self.deployment.thaw(Server::Broker(broker))?;
        self.noted(format!("broker {}: goes on", broker + 1));
        if self.finds_back(broker).await {
            return Ok(());
        }
        self.noted(format!("broker {}: {STARTED_ANEW}", broker + 1));
        self.deployment.rejoin(broker).await?;
        if !self.finds_back(broker).await {
            bail!("broker {} does not find back to the others", broker + 1);
        }
        Ok(())
    }

    async fn finds_back(&self, broker: usize) -> bool {
        let gives_up_at = Instant::now() + FINDS_BACK;
        loop {
            let is_back = self.deployment.is_in_cluster(broker).await;
            if is_back || Instant::now() > gives_up_at {
                return is_back;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Does something to one of the links.
    fn any_link(&mut self, how: &str, change: impl FnOnce(&Link)) -> Cure {
        let process = self.dice.below(self.processes.len());
        let (server, name) = if self.dice.chance(50) {
            (Server::Database, "database")
        } else {
            (Server::Broker(0), "broker")
        };
        change(self.processes[process].link(server));
        self.note(&format!("link to the {name} {how}"), process);
        Cure::Link { process, server }
    }

    /// Locks all products, the last one first, while batches lock them from the first one on.
    async fn deadlocks(
        &mut self,
        session: &tokio_postgres::Client,
        token: &CancellationToken,
    ) -> Result<()> {
        session.batch_execute(LOCK_LIMIT).await?;
        let mut skus = self.skus.clone();
        skus.sort_unstable_by(|one, other| other.cmp(one));
        let until = Instant::now() + DEADLOCKS_FOR;
        while Instant::now() < until && !token.is_cancelled() {
            session.batch_execute("begin").await?;
            for sku in &skus {
                let locked = session.execute(LOCK_PRODUCT, &[sku]).await;
                if locked.is_err() {
                    // Chosen as the victim, or waited too long.
                    break;
                }
                tokio::time::sleep(BETWEEN_LOCKS).await;
            }
            session.batch_execute("rollback").await?;
            tokio::time::sleep(BETWEEN_LOCKS).await;
        }
        let found: i64 = session.query_one(DEADLOCKS, &[]).await?.try_get(0)?;
        self.noted(format!("database: {found} deadlocks so far"));
        Ok(())
    }

    async fn session(&self) -> Result<tokio_postgres::Client> {
        let connecting = tokio_postgres::connect(self.deployment.database_url(), NoTls);
        let (session, connection) = connecting.await.context("reach the database")?;
        tokio::spawn(connection);
        Ok(session)
    }

    /// What ended by itself is started again, as a platform would, and the report says so.
    fn restart_ended(&mut self) -> Result<()> {
        for process in 0..self.processes.len() {
            if self.processes[process].has_ended()? {
                self.note(ENDED_BY_ITSELF, process);
                self.processes[process].restart(self.deployment)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, what: &str, process: usize) {
        self.noted(format!("{}: {what}", self.processes[process].name));
    }

    fn noted(&mut self, what: String) {
        let at = self.clock.now();
        let done = FaultDone { at, what };
        self.journal.write(|| done.line());
        self.notes.push(done);
    }
}

/// No fault makes a process end: that is a fault of its own.
pub(super) const ENDED_BY_ITSELF: &str = "ended by itself";
/// Whoever is asked to end has no reason for an error.
pub(super) const ENDED_BADLY: &str = "ended with an error";

/// Not by itself, but as the runbook has it.
pub(super) const STARTED_ANEW: &str = "did not find back, its application was started anew";

/// Whether the end came first.
async fn sleep_or_end(pause: Duration, token: &CancellationToken) -> bool {
    let slept = token.run_until_cancelled(tokio::time::sleep(pause)).await;
    slept.is_none()
}
