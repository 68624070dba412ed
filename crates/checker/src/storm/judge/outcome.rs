//! Commands against outcomes, and outcomes against events.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Finding, Index, Invariant, Rules, Verdict};
use crate::storm::history::{Answer, Event, Kind, Outcome, Sent};

pub(super) fn accepted_has_one_outcome(index: &Index<'_>, rules: Rules) -> Verdict {
    let mut finding = Finding::of(Invariant::AcceptedHasOneOutcome);
    let mut of_key: HashMap<&str, usize> = HashMap::new();
    for sent in &index.history.commands {
        *of_key.entry(&sent.key).or_default() += 1;
    }
    for sent in &index.history.commands {
        let shares_key = of_key[sent.key.as_str()] > 1;
        let reused = |it: &Answer| matches!(it, Answer::Refused { code, .. } if code == "idempotency_key_reused");
        if !shares_key && sent.attempts.iter().any(|it| reused(&it.answer)) {
            let what = "its key was called reused, but nobody else used it".to_owned();
            finding.command(sent, what);
        }
        if !sent.is_accepted() {
            continue;
        }
        finding.checked();
        if let Some(what) = unfinished(sent, shares_key, rules).or_else(|| told_otherwise(sent)) {
            finding.command(sent, what);
        }
    }
    finding.verdict
}

/// What is wrong with the end of an accepted command.
fn unfinished(sent: &Sent, shares_key: bool, rules: Rules) -> Option<String> {
    let what = match sent.outcome.as_ref() {
        Some(outcome) if outcome.is_final() => return None,
        // The other request under its key owns the outcome.
        Some(Outcome::KeyReused) if shares_key => return None,
        Some(Outcome::Parked) if rules.parked_is_allowed => return None,
        Some(Outcome::Parked) => "it was accepted and is parked",
        Some(Outcome::KeyReused) => "it was accepted, and its key is called reused",
        Some(Outcome::Missing { code }) => {
            return Some(format!(
                "it was accepted, and asked for it Orderly says {code}"
            ));
        }
        None | Some(_) => "it was accepted and is not decided",
    };
    Some(what.to_owned())
}

/// What its sender was told while it waited must be what is recorded.
fn told_otherwise(sent: &Sent) -> Option<String> {
    let outcome = sent.outcome.as_ref()?;
    let differs = |answer: &&Answer| match (answer, outcome) {
        (Answer::Applied { version, .. }, Outcome::Applied { version: recorded }) => {
            version != recorded
        }
        (Answer::Rejected { code }, Outcome::Rejected { code: recorded, .. }) => code != recorded,
        (Answer::Applied { .. } | Answer::Rejected { .. }, _) => true,
        _ => false,
    };
    let mut answers = sent.attempts.iter().map(|it| &it.answer);
    let told = answers.find(differs)?;
    Some(format!(
        "its sender was told {told:?}, recorded is {outcome:?}"
    ))
}

pub(super) fn events_match_commands(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::EventsMatchCommands);
    let mut by_id: HashMap<Uuid, &Sent> = HashMap::new();
    let mut by_mark: HashMap<&str, &Sent> = HashMap::new();
    for sent in &index.history.commands {
        // The others' events are known by their marks, and under a key that was used for two things one id is both's.
        if !sent.action.kind().is_marked() {
            by_id.extend(sent.command_ids().into_iter().map(|id| (id, sent)));
        }
        by_mark.insert(&sent.mark, sent);
    }
    let streamed = streamed(index);
    for (order, account) in &index.history.orders {
        for event in &account.events {
            finding.checked();
            let sent = match event.mark() {
                Some(mark) => by_mark.get(mark),
                None => by_id.get(&event.command_id),
            };
            if let Some(what) = strange(event, sent.copied()) {
                finding.order(*order, what);
            }
        }
        // One line for an order: what never came is seldom one event.
        let mut missing = account.events.iter().filter(|event| {
            let seen = streamed.as_ref();
            seen.is_some_and(|seen| !seen.contains(&(*order, event.version)))
        });
        if let Some(event) = missing.next() {
            let more = missing.count();
            let what = format!(
                "version {} ({}) never came through the stream, and {more} later ones",
                event.version, event.name
            );
            finding.order(*order, what);
        }
    }
    for sent in &index.history.commands {
        let effects = index.effects(sent);
        let what = match sent.outcome {
            Some(Outcome::Applied { version }) => {
                let missing = !effects.iter().any(|event| event.version == version);
                missing.then(|| {
                    format!("it was applied as version {version}, which has no event of it")
                })
            }
            Some(Outcome::Rejected { .. }) => effects
                .first()
                .map(|event| format!("it was rejected, and made version {}", event.version)),
            _ => continue,
        };
        finding.checked();
        if let Some(what) = what {
            finding.command(sent, what);
        }
    }
    finding.verdict
}

/// Which events any subscriber saw; none without subscribers.
fn streamed(index: &Index<'_>) -> Option<HashSet<(Uuid, u64)>> {
    let streams = &index.history.streams;
    let seen = streams.iter().flat_map(|stream| &stream.sightings);
    let seen = seen.map(|it| (it.event.order, it.event.version));
    (!streams.is_empty()).then(|| seen.collect())
}

/// What is wrong with where an event comes from.
fn strange(event: &Event, sent: Option<&Sent>) -> Option<String> {
    let (version, name) = (event.version, &event.name);
    // Those of the payment role; whether they were asked for is the model's to say.
    let kind = Kind::of_event(name)?;
    let Some(sent) = sent else {
        return Some(format!("nobody sent what made version {version} ({name})"));
    };
    if sent.order != event.order || sent.action.kind() != kind {
        let what = sent.action.kind().as_str();
        return Some(format!(
            "version {version} ({name}) is of the {what} that was sent to order {} under key {}",
            sent.order, sent.key
        ));
    }
    sent.is_refused().then(|| {
        format!(
            "version {version} ({name}) is of a command that was never accepted (key {})",
            sent.key
        )
    })
}
