//! What Linux says of processes: CPU time and memory.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// Clock ticks of `/proc` in a second: `USER_HZ`, which every architecture that we run on has as 100.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time that named groups of processes have used, in seconds.
pub(crate) type CpuSeconds = BTreeMap<String, f64>;

/// Processes whose CPU time is told together: a root with all that descends from it, or the root alone.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) root: u32,
    pub(crate) with_descendants: bool,
}

/// One process as `/proc/PID/stat` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    /// Ticks of its own.
    own: u64,
    /// Ticks of children that ended.
    ended: u64,
}

/// The CPU time of each group up to now.
pub(crate) fn cpu_seconds(groups: &[Group]) -> Result<CpuSeconds> {
    let processes = processes()?;
    let seconds = groups.iter().map(|group| {
        let ticks = if group.with_descendants {
            tree_ticks(&processes, group.root)
        } else {
            let own = processes.iter().find(|process| process.pid == group.root);
            own.map_or(0, |process| process.own)
        };
        (group.name.clone(), in_seconds(ticks))
    });
    Ok(seconds.collect())
}

/// The CPU time of a process and all that descends from it.
pub(crate) fn tree_seconds(root: u32) -> Result<f64> {
    Ok(in_seconds(tree_ticks(&processes()?, root)))
}

/// What each group used between two looks, in seconds.
pub(crate) fn used(before: &CpuSeconds, after: &CpuSeconds) -> CpuSeconds {
    let used = |(name, then): (&String, &f64)| {
        let now = after.get(name).unwrap_or(then);
        (name.clone(), now - then)
    };
    before.iter().map(used).collect()
}

/// The most memory that a process ever held, in MiB.
pub(crate) fn peak_memory_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmHWM:")
}

/// The memory that a process holds, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    Ok(kib.with_context(|| format!("{path} has no {field}"))? / 1_024.0)
}

/// CPU time of the whole machine since its start, in seconds: by any process, and stolen by the host.
pub(crate) fn machine_seconds() -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or(0);
    // user, nice, system; interrupts are served on behalf of everybody and charged to nobody.
    let busy = field(0) + field(1) + field(2);
    Ok((in_seconds(busy), in_seconds(field(7))))
}

fn processes() -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("read /proc")?;
    let pids = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    // One that ends meanwhile is left out.
    Ok(pids
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter_map(|stat| parse_stat(&stat))
        .collect())
}

/// The name in brackets may hold anything, so fields count from its end.
fn parse_stat(stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(')')?;
    let pid = before.split_whitespace().next()?.parse().ok()?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        ended: ticks(13)? + ticks(14)?,
    })
}

fn tree_ticks(processes: &[Process], root: u32) -> u64 {
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        next += 1;
        let children = processes.iter().filter(|process| process.parent == parent);
        tree.extend(children.map(|process| process.pid));
    }
    processes
        .iter()
        .filter(|process| tree.contains(&process.pid))
        .map(|process| process.own + process.ended)
        .sum()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "for people to read; 2^52 ticks are a million years"
)]
fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "17 (a) b (c) S 4 17 17 0 -1 4194304 1 2 3 4 50 60 7 8 20 0 1";
        let expected = Process {
            pid: 17,
            parent: 4,
            own: 110,
            ended: 15,
        };
        assert_eq!(parse_stat(stat), Some(expected));
    }

    #[test]
    fn a_tree_counts_its_descendants_and_those_that_ended() {
        let process = |pid, parent, own, ended| Process {
            pid,
            parent,
            own,
            ended,
        };
        let all = [
            process(1, 0, 1_000, 0),
            process(5, 1, 10, 3),
            process(7, 5, 20, 0),
            process(8, 7, 40, 0),
            process(9, 1, 500, 0),
        ];
        assert_eq!(tree_ticks(&all, 5), 73);
    }

    #[test]
    fn this_process_has_memory_and_a_place_among_processes() {
        assert!(peak_memory_mib(std::process::id()).unwrap() > 0.5);
        let processes = processes().unwrap();
        assert!(
            processes
                .iter()
                .any(|process| process.pid == std::process::id())
        );
    }
}
