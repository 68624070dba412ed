//! Faults of the database, and commands that end processes.

use orderly_protocol::Outcome;

use crate::world::{World, annotate, order_on, place, until};

/// A trigger that raises `sqlstate` when a row of `table` meets `condition`.
pub(crate) fn raise(table: &str, condition: &str, sqlstate: &str) -> String {
    format!(
        "create function fail() returns trigger language plpgsql as $$
         begin
             if {condition} then raise exception 'a test' using errcode = '{sqlstate}'; end if;
             return new;
         end $$;
         create trigger fail before insert on {table} for each row execute function fail();"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_database_refuses_is_found_and_parked_alone() {
    let world = World::new().await;
    world
        .sql(&raise("events", "new.data ->> 'value' = 'poison'", "23514"))
        .await;
    let worker = world.worker("w1");
    let (order, other) = (order_on(1), order_on(1));
    let commands = [
        place(order),
        place(other),
        annotate(order, "fine"),
        annotate(order, "poison"),
        annotate(order, "behind"),
        annotate(other, "fine"),
    ];
    world.post(&commands).await;
    world.applied(&commands[5]).await;
    world.applied(&commands[2]).await;
    let lane = world
        .sql("select string_agg(command_id::text, ',' order by position) from lane_entries")
        .await;
    assert_eq!(
        lane,
        format!("{},{}", commands[3].command_id, commands[4].command_id)
    );
    assert_eq!(
        world
            .sql("select reason || ': ' || detail from lanes")
            .await,
        "refused_by_database: database call failed, SQLSTATE 23514"
    );
    worker.stop().await;
    let epoch = world.sql("select epoch from shards where shard = 1").await;
    assert_eq!(epoch, "1", "a command at fault costs no subscription");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acked_only_when_all_of_it_is_done() {
    let world = World::new().await;
    // More than one batch; in the second a command at fault makes each run alone, and one behind it meets a broken database.
    world
        .sql(
            "create function fail() returns trigger language plpgsql as $$
             begin
                 raise exception 'a test' using errcode =
                     case new.data ->> 'value' when 'poison' then '23514' else '58030' end;
             end $$;
             create trigger fail before insert on events for each row
                 when (new.data ->> 'value' in ('poison', 'later')) execute function fail();",
        )
        .await;
    let (order, poisoned, waiting) = (order_on(1), order_on(1), order_on(1));
    let mut commands = vec![place(order), place(poisoned), place(waiting)];
    commands.extend((0..260).map(|n| annotate(order, &n.to_string())));
    commands.push(annotate(poisoned, "poison"));
    commands.push(annotate(waiting, "later"));
    let last = annotate(order, "last");
    commands.push(last.clone());
    world.post(&commands).await;
    let worker = world.worker("w1");
    until(|| async {
        let epoch = world.sql("select epoch from shards where shard = 1").await;
        (epoch.parse::<i64>().unwrap() > 1).then_some(())
    })
    .await;
    world.sql("drop trigger fail on events").await;
    world.applied(&last).await;
    assert_eq!(world.sql("select count(*) from lane_entries").await, "1");
    let decided = world.sql("select count(*) from commands").await;
    assert_eq!(decided, (commands.len() - 1).to_string());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serialization_failure_is_tried_again_in_place() {
    let world = World::new().await;
    world.sql("create sequence tries").await;
    world
        .sql(&raise("events", "nextval('tries') <= 3", "40001"))
        .await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let commands = [place(order), annotate(order, "a"), annotate(order, "b")];
    world.post(&commands).await;
    world.applied(&commands[2]).await;
    let events = world.stream_until(|events| events.len() == 3).await;
    assert_eq!(events[2].id, format!("{order}.3"));
    worker.stop().await;
    assert_eq!(world.sql("select last_value > 3 from tries").await, "t");
    let epoch = world.sql("select epoch from shards where shard = 1").await;
    assert_eq!(epoch, "1", "the shard kept its owner all the while");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_out_of_order_burns_no_command() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let placed = place(order);
    world.post_one(&placed).await;
    world.applied(&placed).await;
    world.sql("alter table events rename to mislaid").await;
    let noted = annotate(order, "patience");
    world.post_one(&noted).await;
    // The shard is given up and claimed again and again meanwhile.
    until(|| async {
        let epoch = world.sql("select epoch from shards where shard = 1").await;
        (epoch.parse::<i64>().unwrap() > 2).then_some(())
    })
    .await;
    world.sql("alter table mislaid rename to events").await;
    world.applied(&noted).await;
    assert_eq!(world.sql("select count(*) from lanes").await, "0");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_five_processes_died_of_is_parked_and_its_neighbours_are_applied() {
    let world = World::new().await;
    let (deadly, innocent) = (place(order_on(1)), place(order_on(1)));
    world.post(&[deadly.clone(), innocent.clone()]).await;
    // Delivered twice before, to consumers that went away; five processes left their attempt open.
    for _ in 0..2 {
        world.deliver_and_drop(1).await;
    }
    world.leave_attempts(&deadly, "'dead' || n").await;
    let worker = world.worker("w1");
    world.applied(&innocent).await;
    assert_eq!(
        world.sql("select reason from lanes").await,
        "attempts_exhausted"
    );
    let open = "select count(*) from attempts where ended_at is null and owner = 'w1'";
    assert_eq!(
        world.sql(open).await,
        "0",
        "attempts of the living are ended"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_open_while_a_suspect_runs() {
    let world = World::new().await;
    let suspect = place(order_on(1));
    world.post_one(&suspect).await;
    for _ in 0..2 {
        world.deliver_and_drop(1).await;
    }
    // The suspect can only be applied while an attempt at it is on record.
    let open = "not exists (select from attempts where ended_at is null and owner = 'w1')";
    world.sql(&raise("commands", open, "23514")).await;
    let worker = world.worker("w1");
    assert_eq!(world.outcome(&suspect).await.outcome, Outcome::Applied);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_the_living_could_not_end_blame_no_command() {
    let world = World::new().await;
    let suspect = place(order_on(1));
    world.post_one(&suspect).await;
    for _ in 0..2 {
        world.deliver_and_drop(1).await;
    }
    // What a worker leaves behind when the answers of the database are lost again and again.
    for owner in ["w1", "another"] {
        world.leave_attempts(&suspect, &format!("'{owner}'")).await;
    }
    let worker = world.worker("w1");
    world.applied(&suspect).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspects_that_a_process_died_of_run_one_at_a_time() {
    let world = World::new().await;
    let suspects: Vec<_> = (0..40).map(|n| place(order_on(n % 4))).collect();
    for suspect in &suspects {
        world.post_one(suspect).await;
        world.leave_attempts(suspect, "'dead'").await;
    }
    for shard in 0..4 {
        for _ in 0..2 {
            world.deliver_and_drop(shard).await;
        }
    }
    // Were two open when the process dies, the innocent one would be blamed as well.
    let beside = "(select count(*) from attempts where ended_at is null and owner = 'w1') > 1";
    world.sql(&raise("commands", beside, "23514")).await;
    let worker = world.worker("w1");
    for suspect in &suspects {
        world.settled(suspect).await;
    }
    assert_eq!(world.sql("select count(*) from lanes").await, "0");
    worker.stop().await;
}
