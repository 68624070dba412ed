//! What a point does in a test.

use std::{
    process,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{CrashPoint, Injected};

/// What arms this process: points, each with what it does and at which coming, separated by commas.
const VARIABLE: &str = "CRASH_POINTS";

/// Longer than what was handed to a client's own thread needs to be on its way, and for its answer to come back.
const LINGER: Duration = Duration::from_millis(5);

/// A test that misspells a point must not pass for want of a crash.
const MISSPELLED: i32 = 2;

/// One point of this process.
struct Armed {
    point: CrashPoint,
    doing: Doing,
    /// Comings until it happens.
    left: AtomicU32,
}

#[derive(Clone, Copy)]
enum Doing {
    /// Ends the process at once.
    Kill,
    /// Ends it when what was begun has had the time to happen.
    Linger,
    /// Fails, once.
    Error,
    /// Stands still, until somebody lets it go on.
    Freeze,
}

/// Says that the process is at `point`, and does what the environment asks for there.
///
/// # Errors
/// When a test wants it to fail here.
pub fn reach(point: CrashPoint) -> Result<(), Injected> {
    static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();
    let armed = ARMED.get_or_init(of_environment);
    for it in armed.iter().filter(|it| it.point == point) {
        // It goes on counting below zero: a point happens once.
        if it.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            return it.doing.happen(point);
        }
    }
    Ok(())
}

impl Doing {
    fn happen(self, point: CrashPoint) -> Result<(), Injected> {
        eprintln!("crash point {}", point.name());
        match self {
            Self::Error => return Err(Injected),
            Self::Freeze => {
                kill(Pid::this(), Signal::SIGSTOP).ok();
                return Ok(());
            }
            Self::Kill => {}
            Self::Linger => thread::sleep(LINGER),
        }
        kill(Pid::this(), Signal::SIGKILL).ok();
        unreachable!("nothing survives SIGKILL");
    }
}

fn of_environment() -> Vec<Armed> {
    let Ok(text) = std::env::var(VARIABLE) else {
        return Vec::new();
    };
    let armed: Result<Vec<Armed>, String> = text.split(',').map(str::parse).collect();
    armed.unwrap_or_else(|fault| {
        eprintln!("{VARIABLE}: {fault}");
        process::exit(MISSPELLED)
    })
}

impl FromStr for Armed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?} is not POINT:kill|linger|error|freeze:COMING");
        let [point, doing, coming] = text
            .split(':')
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| fault())?;
        let mut points = CrashPoint::ALL.iter();
        let doing = match doing {
            "kill" => Doing::Kill,
            "linger" => Doing::Linger,
            "error" => Doing::Error,
            "freeze" => Doing::Freeze,
            _ => return Err(fault()),
        };
        let left: u32 = coming.parse().ok().filter(|n| *n > 0).ok_or_else(fault)?;
        Ok(Self {
            point: *points.find(|it| it.name() == point).ok_or_else(fault)?,
            doing,
            left: left.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_point_is_a_fault() {
        assert!("after_commit:kill:3".parse::<Armed>().is_ok());
        for text in [
            "after_comit:kill:3",
            "after_commit:die:3",
            "after_commit:kill:0",
            "after_commit",
            "",
        ] {
            assert!(text.parse::<Armed>().is_err(), "{text}");
        }
    }
}
