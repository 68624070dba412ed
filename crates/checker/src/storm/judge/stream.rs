//! What subscribers saw, against each other and against the record.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Finding, Index, Invariant, Verdict};
use crate::storm::history::{Event, Stream};

pub(super) fn subscribers_agree(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::SubscribersAgree);
    let streams = &index.history.streams;
    let seen: Vec<_> = (0..)
        .zip(streams)
        .map(|(subscriber, stream)| follow(index, subscriber, stream, &mut finding))
        .collect();
    let mut furthest: BTreeMap<Uuid, u64> = BTreeMap::new();
    for (order, version) in seen.iter().flatten() {
        let high = furthest.entry(*order).or_default();
        *high = (*high).max(*version);
    }
    for (subscriber, (stream, seen)) in streams.iter().zip(&seen).enumerate() {
        if stream.resets > 0 {
            continue;
        }
        for (order, furthest) in &furthest {
            let version = seen.get(order).copied().unwrap_or_default();
            if version < *furthest {
                let what = format!(
                    "subscriber {subscriber} saw versions up to {version}, another up to {furthest}"
                );
                finding.order(*order, what);
            }
        }
    }
    finding.verdict
}

/// Reads one stream as its description asks: drops what is not newer than what was seen.
fn follow(
    index: &Index<'_>,
    subscriber: usize,
    stream: &Stream,
    finding: &mut Finding,
) -> BTreeMap<Uuid, u64> {
    let mut seen: BTreeMap<Uuid, u64> = BTreeMap::new();
    for sighting in &stream.sightings {
        let event = &sighting.event;
        let last = seen.entry(event.order).or_default();
        if event.version <= *last {
            continue;
        }
        finding.checked();
        if event.version > *last + 1 && stream.resets == 0 {
            let what = format!(
                "subscriber {subscriber} saw version {} after {last}",
                event.version
            );
            finding.order(event.order, what);
        }
        *last = event.version;
        if let Some(what) = differs(recorded(index, event), event) {
            let what = format!(
                "subscriber {subscriber} saw version {} {what}",
                event.version
            );
            finding.order(event.order, what);
        }
    }
    seen
}

fn recorded<'a>(index: &Index<'a>, seen: &Event) -> Option<&'a Event> {
    let events = &index.history.orders.get(&seen.order)?.events;
    // Where it stands unless there is a gap; an order may have thousands.
    let place = usize::try_from(seen.version.checked_sub(1)?).ok()?;
    let is_it = |event: &&Event| event.version == seen.version;
    events
        .get(place)
        .filter(is_it)
        .or_else(|| events.iter().find(is_it))
}

fn differs(recorded: Option<&Event>, seen: &Event) -> Option<String> {
    let Some(recorded) = recorded else {
        return Some("which the API does not show".to_owned());
    };
    (recorded != seen).then(|| {
        format!(
            "as {} by {}, the API shows {} by {}",
            seen.name, seen.command_id, recorded.name, recorded.command_id
        )
    })
}
