//! Who runs a command that speaks to the database itself, as the audit names him: there is no key to tell.

use nix::unistd::{Uid, User};
use orderly_store::Actor;

/// `user@host`, as the operating system has both.
pub(crate) fn operator() -> Actor {
    let uid = Uid::current();
    let user = User::from_uid(uid).ok().flatten();
    // A container's user often has no name.
    let user = user.map_or_else(|| uid.to_string(), |user| user.name);
    Actor::local(format!("{user}@{}", host()))
}

/// As many as the HTTP API takes.
const REASON_CHARS: usize = 500;

/// Why somebody acts, as an argument.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let fits = (1..=REASON_CHARS).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "1 to {REASON_CHARS} characters, none of them a control character"
        ))
    }
}

/// The name of this host, up to its first dot.
pub(crate) fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host
        .trim()
        .split('.')
        .next()
        .filter(|host| !host.is_empty());
    host.unwrap_or("host").to_owned()
}
