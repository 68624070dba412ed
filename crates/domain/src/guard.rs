//! The only place where a panic is caught: around a decision, and around reading the command and the state that it is
//! about. What cannot be decided for a panic is parked: it must not end one process after the other.
//!
//! A panic anywhere else must end the process (its hook aborts), because unwinding would drop a consumer and so cancel
//! it, and a cancelled consumer lets the next command overtake those it holds.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DECIDING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a guarded decision: the process's panic hook must not abort then.
#[must_use]
pub fn in_guarded_decision() -> bool {
    DECIDING.get()
}

/// Runs `decision`; a panic becomes its message.
///
/// # Errors
/// The message of the panic.
pub fn guarded<T>(decision: impl FnOnce() -> T) -> Result<T, String> {
    DECIDING.set(true);
    // Unwind safe: the closure gets shared references only, and what it returns is dropped when it panics.
    let decided = catch_unwind(AssertUnwindSafe(decision));
    DECIDING.set(false);
    decided.map_err(|panic| {
        panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panicked without a message".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_decision_is_a_value() {
        let caught = guarded(|| -> u32 { panic!("no such state {}", 7) });
        assert_eq!(caught, Err("no such state 7".to_owned()));
        assert!(!in_guarded_decision());
    }

    #[test]
    fn the_hook_can_tell_a_guarded_panic() {
        assert_eq!(guarded(in_guarded_decision), Ok(true));
        assert!(!in_guarded_decision());
    }
}
