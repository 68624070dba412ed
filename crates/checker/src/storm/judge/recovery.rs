//! What was done, and whether it passed.

use super::{Finding, Invariant, Verdict};
use crate::storm::{
    fault::Fault,
    history::History,
    suffering::{ENDED_BADLY, ENDED_BY_ITSELF},
};

pub(super) fn recovers_by_itself(history: &History) -> Verdict {
    let mut finding = Finding::of(Invariant::RecoversByItself);
    for it in &history.recoveries {
        finding.checked();
        if it.recovered.is_none() {
            let fault = it.fault.map_or("no fault", Fault::as_str);
            let seconds = it.began / 1_000_000;
            let what = format!("a shard was still waiting a minute after {fault} at {seconds} s");
            finding.deployment(what);
        }
    }
    for it in &history.resizes {
        finding.checked();
        let (seconds, to) = (it.began / 1_000_000, it.to);
        let what = match it.ended {
            None => "was not done",
            Some(_) if !it.took_effect => "left another number of them",
            Some(_) => continue,
        };
        finding.deployment(format!("the resize to {to} shards at {seconds} s {what}"));
    }
    let is_a_fault = |what: &str| what.ends_with(ENDED_BY_ITSELF) || what.ends_with(ENDED_BADLY);
    for it in history.faults.iter().filter(|it| is_a_fault(&it.what)) {
        let seconds = it.at / 1_000_000;
        finding.deployment(format!("{} at {seconds} s", it.what));
    }
    finding.verdict
}
