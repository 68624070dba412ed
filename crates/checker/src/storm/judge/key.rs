//! An idempotency key names one thing.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Finding, Index, Invariant, Verdict};
use crate::storm::history::Sent;

pub(super) fn one_effect_per_key(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::OneEffectPerKey);
    let mut by_key: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for sent in &index.history.commands {
        by_key.entry(&sent.key).or_default().push(sent);
    }
    for requests in by_key.values() {
        finding.checked();
        let first = requests[0];
        let ids: BTreeSet<Uuid> = requests.iter().flat_map(|it| it.command_ids()).collect();
        if ids.len() > 1 {
            let what = format!(
                "its key was answered with {} command ids: {ids:?}",
                ids.len()
            );
            finding.command(first, what);
        }
        // By mark and by id: whichever way a second effect came about.
        let marked = requests.iter().flat_map(|it| index.effects(it));
        let by_id = ids.iter().filter_map(|id| index.by_command.get(id));
        let events = marked.chain(by_id.flatten().copied());
        let effects: BTreeSet<(Uuid, u64)> = events.map(|it| (it.order, it.version)).collect();
        if effects.len() > 1 {
            let what = format!("its key had {} effects: {effects:?}", effects.len());
            finding.command(first, what);
        }
    }
    finding.verdict
}
