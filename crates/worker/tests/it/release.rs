//! What operators do to a lane: everything in it is decided once, in order, or discarded, and nothing overtakes it.

use std::time::Duration;

use orderly_domain::{CommandId, OrderId, ProducerId};
use orderly_protocol::ids::replacement_id;
use orderly_protocol::{
    Control, ControlAct, Envelope, Outcome, Replacement, Timestamp, encode_commands,
};
use orderly_store::ControlRecord;
use serde_json::json;
use uuid::Uuid;

use crate::fault::raise;
use crate::world::{World, annotate, envelope, order_on, place, until};

fn control(order_id: OrderId, act: ControlAct) -> Envelope {
    let control = Control {
        by: "k1".to_owned(),
        reason: "a test".to_owned(),
        act,
    };
    let (id, producer) = (CommandId(Uuid::now_v7()), ProducerId(Uuid::from_u128(8)));
    control.envelope(id, order_id, producer, Timestamp::now_utc())
}

fn retry(head: &Envelope) -> Envelope {
    let act = ControlAct::Retry {
        head: head.command_id,
    };
    control(head.order_id, act)
}

fn skip(head: &Envelope) -> Envelope {
    let act = ControlAct::Skip {
        head: head.command_id,
    };
    control(head.order_id, act)
}

fn discard(head: &Envelope) -> Envelope {
    let act = ControlAct::Discard {
        head: head.command_id,
    };
    control(head.order_id, act)
}

fn edit(head: &Envelope, action_type: &str, data: serde_json::Value) -> Envelope {
    let replacement = Replacement {
        action_type: action_type.to_owned(),
        data,
    };
    let act = ControlAct::Edit {
        head: head.command_id,
        replacement,
    };
    control(head.order_id, act)
}

fn pause(order_id: OrderId, expires_in_seconds: Option<u32>) -> Envelope {
    control(order_id, ControlAct::Pause { expires_in_seconds })
}

fn resume(order_id: OrderId, pause: Option<CommandId>) -> Envelope {
    control(order_id, ControlAct::Resume { pause })
}

/// Parked when it comes, decided when it is retried.
fn old(order_id: OrderId) -> Envelope {
    let mut old = annotate(order_id, "old");
    old.accepted_at -= Duration::from_hours(29 * 24 + 1);
    old
}

fn teleport(order_id: OrderId) -> Envelope {
    envelope(order_id, "teleport", &json!({"to": "moon"}))
}

impl World {
    /// A placed order with these commands behind it, when all of them are decided or parked.
    async fn order_with(&self, order_id: OrderId, commands: &[Envelope]) -> Envelope {
        let placed = place(order_id);
        self.post_one(&placed).await;
        for commands in commands.chunks(100) {
            self.post(commands).await;
        }
        self.settled(commands.last().unwrap_or(&placed)).await;
        placed
    }

    async fn done(&self, control: &Envelope) -> ControlRecord {
        let outcome = self.outcome(control).await;
        assert_eq!(outcome.outcome, Outcome::Applied, "{outcome:?}");
        self.store
            .control(control.command_id)
            .await
            .unwrap()
            .unwrap()
    }

    async fn refused(&self, control: &Envelope) -> String {
        let outcome = self.outcome(control).await;
        assert_eq!(outcome.outcome, Outcome::Rejected, "{outcome:?}");
        outcome.rejection.unwrap().code
    }

    /// The commands that made this order's events, in the order of their versions.
    async fn applied_to(&self, order_id: OrderId) -> Vec<CommandId> {
        let ids = self
            .sql(&format!(
                "select string_agg(command_id::text, ' ' order by version) from events where order_id = '{order_id}'"
            ))
            .await;
        ids.split(' ')
            .map(|id| CommandId(id.parse().unwrap()))
            .collect()
    }

    async fn lanes(&self) -> String {
        self.sql("select coalesce(string_agg(reason, ','), '') from lanes")
            .await
    }
}

fn ids<'a>(commands: impl IntoIterator<Item = &'a Envelope>) -> Vec<CommandId> {
    commands
        .into_iter()
        .map(|command| command.command_id)
        .collect()
}

fn counts(record: &ControlRecord) -> [i64; 3] {
    [record.decided, record.discarded, record.waiting]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_decides_the_head_and_all_behind_it_before_what_comes_later() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let mut lane = vec![old(order)];
    lane.extend((0..20).map(|n| annotate(order, &n.to_string())));
    let placed = world.order_with(order, &lane).await;

    // In one message with commands before and behind it.
    let retry = retry(&lane[0]);
    let later: Vec<_> = (0..4)
        .map(|n| annotate(order, &format!("later {n}")))
        .collect();
    let other = place(order_on(1));
    let message = [&later[0], &other, &retry, &later[1]].map(Clone::clone);
    world.post(&message).await;
    world.post(&later[2..]).await;
    world.applied(&later[3]).await;
    world.applied(&other).await;

    assert_eq!(counts(&world.done(&retry).await), [22, 0, 0]);
    let expected = [&placed].into_iter().chain(&lane).chain(&later);
    assert_eq!(world.applied_to(order).await, ids(expected));
    assert_eq!(world.lanes().await, "");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_lane_is_released_in_several_transactions_and_a_lost_delivery_publishes_all_of_them()
 {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let mut lane = vec![old(order)];
    lane.extend((1..600).map(|n| annotate(order, &n.to_string())));
    let placed = world.order_with(order, &lane).await;
    world.stream_until(|events| events.len() == 1).await;

    // The second part cannot be written, and nothing of the first can be published.
    let stuck = raise("events", "new.version > 400", "53400");
    world.sql(&stuck).await;
    world.delete_stream().await;
    let retry = retry(&lane[0]);
    let later = annotate(order, "later");
    world.post(&[retry.clone(), later.clone()]).await;
    until(|| async { (world.lanes().await == "releasing").then_some(()) }).await;
    assert_eq!(world.applied_to(order).await.len(), 257);
    assert!(
        world
            .store
            .outcome(retry.command_id)
            .await
            .unwrap()
            .is_none()
    );
    worker.stop().await;

    world.declare_stream().await;
    world.sql("drop trigger fail on events").await;
    let worker = world.worker("w2");
    world.applied(&later).await;
    let record = world.done(&retry).await;
    assert_eq!(counts(&record), [600, 0, 0]);
    let parts = format!(
        "select count(distinct recorded_at) from events where delivery_id = '{}'",
        retry.command_id
    );
    assert_eq!(world.sql(&parts).await, "3");
    let expected = [&placed].into_iter().chain(&lane).chain([&later]);
    assert_eq!(world.applied_to(order).await, ids(expected));

    // Every version of the release is in the new stream, the first copies in order.
    let last = format!("{order}.602");
    let events = world
        .stream_until(|events| events.iter().any(|event| event.id == last))
        .await;
    let mut seen = 1;
    for event in events {
        assert!(event.version.0 <= seen + 1, "{} after {seen}", event.id);
        seen = seen.max(event.version.0);
    }
    assert_eq!(seen, 602);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_delivered_again_after_its_end_publishes_its_events_and_decides_nothing()
{
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [old(order), annotate(order, "behind")];
    world.order_with(order, &lane).await;
    let retry = retry(&lane[0]);
    world.post_one(&retry).await;
    world.done(&retry).await;
    worker.stop().await;

    // As if versions 2 and 3 had never been published.
    world.delete_stream().await;
    world.declare_stream().await;
    world.post(&[retry.clone(), lane[0].clone()]).await;
    world.deliver_and_drop(1).await;
    let worker = world.worker("w2");
    let last = annotate(order, "last");
    world.post_one(&last).await;
    let events = world.stream_until(|events| events.len() == 3).await;
    let versions: Vec<_> = events.iter().map(|event| event.version.0).collect();
    assert_eq!(versions, [2, 3, 4]);
    worker.stop().await;
    assert_eq!(world.sql("select count(*) from events").await, "4");
    assert_eq!(world.sql("select count(*) from controls").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_head_can_be_released_and_only_where_there_is_one() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let (order, free) = (order_on(1), order_on(1));
    let lane = [teleport(order), annotate(order, "behind")];
    world.order_with(order, &lane).await;
    let placed = world.order_with(free, &[]).await;

    let wrong = skip(&lane[1]);
    world.post_one(&wrong).await;
    assert_eq!(world.refused(&wrong).await, "not_head");
    let detail = world.outcome(&wrong).await.rejection.unwrap().detail;
    assert!(detail.contains(&lane[0].command_id.to_string()), "{detail}");
    let nowhere = retry(&placed);
    world.post_one(&nowhere).await;
    assert_eq!(world.refused(&nowhere).await, "not_parked");
    let mut unreadable = retry(&lane[0]);
    unreadable.data = serde_json::value::to_raw_value(&json!({})).unwrap();
    world.post_one(&unreadable).await;
    assert_eq!(world.refused(&unreadable).await, "unreadable_command");
    assert_eq!(world.sql("select count(*) from lane_entries").await, "2");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_discards_the_head_and_decides_the_rest_with_its_stock() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [teleport(order), place(order), annotate(order, "behind")];
    world.post(&lane).await;
    world.settled(&lane[2]).await;
    let skip = skip(&lane[0]);
    world.post_one(&skip).await;
    assert_eq!(counts(&world.done(&skip).await), [2, 1, 0]);
    let skipped = world.outcome(&lane[0]).await;
    assert_eq!(skipped.outcome, Outcome::Discarded);
    let rejection = skipped.rejection.unwrap();
    assert_eq!(
        (rejection.code.as_str(), rejection.detail.as_str()),
        ("skipped", "k1 skipped it: a test")
    );
    assert_eq!(world.applied_to(order).await, ids(&lane[1..]));
    assert_eq!(world.sql("select reserved from stock").await, "2");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_decides_another_command_in_the_place_of_the_head() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [teleport(order), annotate(order, "behind")];
    let placed = world.order_with(order, &lane).await;

    // One that cannot be decided either becomes the head, and is edited in its turn.
    let useless = edit(&lane[0], "levitate", json!({}));
    world.post_one(&useless).await;
    let record = world.done(&useless).await;
    let second = replacement_id(useless.command_id);
    assert_eq!(
        (counts(&record), record.replacement),
        ([0, 1, 2], Some(second))
    );
    let superseded = world.outcome(&lane[0]).await.rejection.unwrap();
    assert_eq!(superseded.code, "superseded");
    let head = world
        .store
        .lane(order)
        .await
        .unwrap()
        .unwrap()
        .head
        .unwrap();
    assert_eq!(
        (head.command_id, head.action_type.as_str()),
        (second, "levitate")
    );

    let act = ControlAct::Edit {
        head: second,
        replacement: Replacement {
            action_type: "annotate".to_owned(),
            data: json!({"key": "k", "value": "edited"}),
        },
    };
    let useful = control(order, act);
    world.post_one(&useful).await;
    assert_eq!(counts(&world.done(&useful).await), [2, 1, 0]);
    let third = replacement_id(useful.command_id);
    let expected = [placed.command_id, third, lane[1].command_id];
    assert_eq!(world.applied_to(order).await, expected);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discard_empties_the_lane_and_the_order_flows_again() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let mut lane = vec![teleport(order)];
    lane.extend((0..300).map(|n| annotate(order, &n.to_string())));
    let placed = world.order_with(order, &lane).await;
    let discard = discard(&lane[0]);
    let after = annotate(order, "after");
    world.post(&[discard.clone(), after.clone()]).await;
    world.applied(&after).await;
    assert_eq!(counts(&world.done(&discard).await), [0, 301, 0]);
    assert_eq!(world.applied_to(order).await, ids([&placed, &after]));
    let discarded = "select count(*) from commands where outcome = 'discarded'";
    assert_eq!(world.sql(discarded).await, "301");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_stops_at_the_next_command_that_cannot_be_decided() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [
        old(order),
        annotate(order, "a"),
        teleport(order),
        annotate(order, "b"),
    ];
    let placed = world.order_with(order, &lane).await;
    let first = retry(&lane[0]);
    world.post_one(&first).await;
    assert_eq!(counts(&world.done(&first).await), [2, 0, 2]);
    assert_eq!(world.lanes().await, "unreadable_command");
    // The new head is the one to name, and it fails again by itself.
    let second = retry(&lane[2]);
    world.post_one(&second).await;
    assert_eq!(counts(&world.done(&second).await), [0, 0, 2]);
    let third = skip(&lane[2]);
    world.post_one(&third).await;
    assert_eq!(counts(&world.done(&third).await), [1, 1, 0]);
    let expected = ids([&placed, &lane[0], &lane[1], &lane[3]]);
    assert_eq!(world.applied_to(order).await, expected);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_command_that_the_database_refuses_is_the_new_head() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane: Vec<_> = std::iter::once(old(order))
        .chain(["a", "b", "poison", "c"].map(|note| annotate(order, note)))
        .collect();
    let placed = world.order_with(order, &lane).await;
    world
        .sql(&raise("events", "new.data ->> 'value' = 'poison'", "23514"))
        .await;
    let first = retry(&lane[0]);
    world.post_one(&first).await;
    assert_eq!(counts(&world.done(&first).await), [3, 0, 2]);
    assert_eq!(world.lanes().await, "refused_by_database");
    let head = world
        .store
        .lane(order)
        .await
        .unwrap()
        .unwrap()
        .head
        .unwrap();
    assert_eq!(head.command_id, lane[3].command_id);
    world.sql("drop trigger fail on events").await;
    let second = retry(&lane[3]);
    world.post_one(&second).await;
    assert_eq!(counts(&world.done(&second).await), [2, 0, 0]);
    let expected = [&placed].into_iter().chain(&lane);
    assert_eq!(world.applied_to(order).await, ids(expected));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_cannot_be_read_can_only_be_taken_away() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(2);
    let behind = annotate(order, "behind");
    let mut broken = teleport(order);
    let bytes = format!(
        r#"{{"order_id":"{order}","command_id":"{}","type":7}}"#,
        broken.command_id
    );
    let placed = world.order_with(order, &[]).await;
    let message = encode_commands([bytes.as_bytes(), behind.encode().as_slice()]);
    world.post_raw(2, message).await;
    world.settled(&behind).await;
    broken.order_id = order;
    let tried = retry(&broken);
    world.post_one(&tried).await;
    assert_eq!(counts(&world.done(&tried).await), [0, 0, 2]);
    assert_eq!(world.lanes().await, "unreadable_envelope");
    let skipped = skip(&broken);
    world.post_one(&skipped).await;
    assert_eq!(counts(&world.done(&skipped).await), [1, 1, 0]);
    assert_eq!(world.applied_to(order).await, ids([&placed, &behind]));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_order_waits_and_is_resumed_in_order() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let nowhere = pause(order_on(1), None);
    world.post_one(&nowhere).await;
    assert_eq!(world.refused(&nowhere).await, "order_not_found");

    let placed = world.order_with(order, &[]).await;
    let pause = pause(order, Some(3_600));
    let waiting = [annotate(order, "a"), annotate(order, "b")];
    world.post(&[pause.clone(), waiting[0].clone()]).await;
    world.post_one(&waiting[1]).await;
    world.settled(&waiting[1]).await;
    world.done(&pause).await;
    let lane = world.store.lane(order).await.unwrap().unwrap();
    let paused = lane.state.pause.unwrap();
    assert_eq!((lane.state.reason.as_str(), lane.commands), ("paused", 2));
    assert_eq!(
        (paused.by.as_str(), paused.reason.as_str()),
        ("k1", "a test")
    );
    assert_eq!(paused.until.unwrap() - paused.at, Duration::from_hours(1));

    // What would end another pause does not end this one, and nothing has failed that could be skipped.
    let other = resume(order, Some(CommandId(Uuid::nil())));
    let skipped = skip(&waiting[0]);
    world.post(&[other.clone(), skipped.clone()]).await;
    assert_eq!(world.refused(&other).await, "not_paused");
    assert_eq!(world.refused(&skipped).await, "not_head");

    let resumed = resume(order, Some(pause.command_id));
    let later = annotate(order, "later");
    world.post(&[resumed.clone(), later.clone()]).await;
    world.applied(&later).await;
    assert_eq!(counts(&world.done(&resumed).await), [2, 0, 0]);
    let expected = [&placed].into_iter().chain(&waiting).chain([&later]);
    assert_eq!(world.applied_to(order).await, ids(expected));
    let again = resume(order, None);
    world.post_one(&again).await;
    assert_eq!(world.refused(&again).await, "not_paused");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_paused_order_is_decided_whatever_failed_in_it() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [teleport(order), teleport(order), annotate(order, "a")];
    let placed = world.order_with(order, &lane).await;
    let pause = pause(order, None);
    let retried = retry(&lane[0]);
    world.post(&[pause.clone(), retried.clone()]).await;
    world.done(&pause).await;
    assert_eq!(world.refused(&retried).await, "order_paused");
    assert_eq!(world.lanes().await, "unreadable_command");

    // What failed can be taken away; the rest waits for the end of the pause.
    let skipped = skip(&lane[0]);
    world.post_one(&skipped).await;
    assert_eq!(counts(&world.done(&skipped).await), [0, 1, 2]);
    assert_eq!(world.lanes().await, "paused");
    let resumed = resume(order, None);
    world.post_one(&resumed).await;
    assert_eq!(counts(&world.done(&resumed).await), [0, 0, 2]);
    assert_eq!(world.lanes().await, "unreadable_command");

    // A pause over a failure ends without releasing it.
    let (paused, resumed) = (self::pause(order, None), resume(order, None));
    world.post(&[paused, resumed.clone()]).await;
    assert_eq!(counts(&world.done(&resumed).await), [0; 3]);
    assert_eq!(world.lanes().await, "unreadable_command");
    let edited = edit(&lane[1], "annotate", json!({"key": "k", "value": "edited"}));
    world.post_one(&edited).await;
    assert_eq!(counts(&world.done(&edited).await), [2, 1, 0]);
    let expected = [
        placed.command_id,
        replacement_id(edited.command_id),
        lane[2].command_id,
    ];
    assert_eq!(world.applied_to(order).await, expected);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_five_processes_died_of_leaves_its_head_in_the_lane() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [old(order), annotate(order, "behind")];
    let placed = world.order_with(order, &lane).await;
    worker.stop().await;
    let deadly = retry(&lane[0]);
    world.leave_attempts(&deadly, "'dead ' || n").await;
    world.post_one(&deadly).await;
    for _ in 0..2 {
        world.deliver_and_drop(1).await;
    }
    let worker = world.worker("w2");
    assert_eq!(counts(&world.done(&deadly).await), [0, 0, 2]);
    assert_eq!(world.lanes().await, "attempts_exhausted");
    let again = retry(&lane[0]);
    world.post_one(&again).await;
    assert_eq!(counts(&world.done(&again).await), [2, 0, 0]);
    let expected = ids([&placed, &lane[0], &lane[1]]);
    assert_eq!(world.applied_to(order).await, expected);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_sent_twice_happens_once() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let lane = [old(order), old(order), old(order)];
    let placed = world.order_with(order, &lane).await;
    // Only the head is retried: those behind it are as old, and stop the release, each with a head of its own.
    let first = retry(&lane[0]);
    let message = [first.clone(), first.clone(), retry(&lane[1])];
    world.post(&message).await;
    assert_eq!(counts(&world.done(&first).await), [1, 0, 2]);
    assert_eq!(counts(&world.done(&message[2]).await), [1, 0, 1]);
    assert_eq!(world.lanes().await, "accepted_too_long_ago");
    let expected = ids([&placed, &lane[0], &lane[1]]);
    assert_eq!(world.applied_to(order).await, expected);
    assert_eq!(world.sql("select count(*) from controls").await, "2");
    worker.stop().await;
}
