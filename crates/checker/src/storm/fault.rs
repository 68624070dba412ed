//! What is done to an Orderly while clients storm it.

use std::path::PathBuf;

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL of a worker, and a new process.
    KillWorker,
    /// SIGSTOP for seconds, then SIGCONT: a worker that does not know what it missed.
    StopWorker,
    /// SIGTERM, and a new process: what a deployment does to every worker.
    EndWorker,
    /// SIGKILL of the ingress, and a new process.
    KillIngress,
    /// SIGKILL of a broker, the only one or one of the cluster, and a restart on its data.
    KillBroker,
    /// SIGSTOP of a broker of a cluster for 20 s, then SIGCONT: a node that does not know what it missed.
    FreezeNode,
    /// SIGKILL of the database, and a restart on its data.
    KillDatabase,
    /// All connections between a process and a server end, and new ones for a while.
    CutLink,
    /// What goes between a process and a server takes longer.
    DelayLink,
    /// And gets there by the kilobyte.
    SlowLink,
    /// The connections between a process and a server go silent, and neither side is told. New ones work.
    HalfOpenLink,
    /// The broker has no disk left for a while, and reads from no publisher.
    Alarm,
    /// Somebody locks the events for longer than a batch waits.
    LockDatabase,
    /// Somebody locks stock in the other order.
    Deadlock,
    /// Postgres refuses a part of all transactions as not serializable.
    SerializationFailure,
    /// A worker begins anew an hour early or late.
    SkewClock,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 16] = [
        Self::KillWorker,
        Self::StopWorker,
        Self::EndWorker,
        Self::KillIngress,
        Self::KillBroker,
        Self::FreezeNode,
        Self::KillDatabase,
        Self::CutLink,
        Self::DelayLink,
        Self::SlowLink,
        Self::HalfOpenLink,
        Self::Alarm,
        Self::LockDatabase,
        Self::Deadlock,
        Self::SerializationFailure,
        Self::SkewClock,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KillWorker => "kill-worker",
            Self::StopWorker => "stop-worker",
            Self::EndWorker => "end-worker",
            Self::KillIngress => "kill-ingress",
            Self::KillBroker => "kill-broker",
            Self::FreezeNode => "freeze-node",
            Self::KillDatabase => "kill-database",
            Self::CutLink => "cut-link",
            Self::DelayLink => "delay-link",
            Self::SlowLink => "slow-link",
            Self::HalfOpenLink => "half-open-link",
            Self::Alarm => "alarm",
            Self::LockDatabase => "lock-database",
            Self::Deadlock => "deadlock",
            Self::SerializationFailure => "serialization-failure",
            Self::SkewClock => "skew-clock",
        }
    }
}

/// The library that tells a process another time (Debian: package `libfaketime`), where it is installed.
#[must_use]
pub fn clock_library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let folders = folders.filter_map(|folder| Some(folder.ok()?.path()));
    folders
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
}
