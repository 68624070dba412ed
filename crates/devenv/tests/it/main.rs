//! Tests against real servers. Those that stop, kill or orphan servers start their own; each start costs seconds, so
//! one test looks at several facts of the same servers.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod owner;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod shared;
