//! Histories that are wrong in one way each, made from one that is right.

use super::*;

const ORDERS: [u128; 2] = [0xa, 0xb];

fn id(number: u128) -> CommandId {
    CommandId(Uuid::from_u128(number))
}

/// Two orders, placed, with three commands each, sent one after the other's answer.
fn right() -> History {
    let mut history = History {
        base: 1,
        visible: Some(HashMap::new()),
        ..History::default()
    };
    for (order, number) in ORDERS.iter().enumerate() {
        let order_id = Uuid::from_u128(*number);
        history.orders.push((order_id, 4));
        for version in 1..=4_i64 {
            let command_id = id(number * 100 + u128::try_from(version).unwrap());
            history.outcomes.push(OutcomeRow {
                command_id,
                order_id,
                applied: true,
                version,
            });
            history.events.push(EventRow {
                order_id,
                version,
                command_id,
            });
            if version > 1 {
                let at = u64::try_from(version).unwrap() * 10;
                history.sent.push(Sent {
                    command_id,
                    order,
                    due: at,
                    begun: at,
                    answered: at + 5,
                    answer: Answer::Accepted,
                });
                history.visible.as_mut().unwrap().insert(command_id, at + 6);
            }
        }
    }
    history
}

fn faults_of(spoil: impl FnOnce(&mut History)) -> Vec<Fault> {
    let mut history = right();
    spoil(&mut history);
    judge(&history)
}

#[test]
fn a_right_history_has_no_fault() {
    assert_eq!(faults_of(|_| {}), []);
}

#[test]
fn a_gap_is_found() {
    let faults = faults_of(|history| {
        history.events.remove(2);
        history.outcomes.remove(2);
        history.sent.remove(1);
    });
    let order_id = Uuid::from_u128(ORDERS[0]);
    assert_eq!(
        faults,
        [Fault::Gap {
            order_id,
            version: 4
        }]
    );
}

#[test]
fn an_order_behind_its_events_is_found() {
    let faults = faults_of(|history| history.orders[1].1 = 3);
    let order_id = Uuid::from_u128(ORDERS[1]);
    assert_eq!(
        faults,
        [Fault::Gap {
            order_id,
            version: 3
        }]
    );
}

#[test]
fn events_of_an_order_without_a_row_are_found() {
    let faults = faults_of(|history| {
        history.orders.pop();
        history.sent.retain(|sent| sent.order == 0);
        history
            .outcomes
            .retain(|outcome| outcome.order_id == Uuid::from_u128(ORDERS[0]));
        history.events.truncate(5);
    });
    assert!(faults.contains(&Fault::Gap {
        order_id: Uuid::from_u128(ORDERS[1]),
        version: 0
    }));
}

#[test]
fn a_second_effect_is_found() {
    let doubled = id(0xa * 100 + 4);
    let faults = faults_of(|history| {
        let event = history.events[3].clone();
        history.events.push(EventRow {
            version: 5,
            ..event
        });
        history.orders[0].1 = 5;
    });
    assert!(
        faults.contains(&Fault::Unpaired {
            command_id: doubled
        }),
        "{faults:?}"
    );
}

#[test]
fn a_second_outcome_is_found() {
    let faults = faults_of(|history| {
        let outcome = history.outcomes[3].clone();
        history.outcomes.push(outcome);
    });
    assert_eq!(
        faults,
        [Fault::Twice {
            command_id: id(0xa * 100 + 4)
        }]
    );
}

#[test]
fn a_lost_command_is_found() {
    let faults = faults_of(|history| {
        history.events.remove(3);
        history.outcomes.remove(3);
        history.orders[0].1 = 3;
    });
    assert_eq!(
        faults,
        [Fault::Lost {
            command_id: id(0xa * 100 + 4)
        }]
    );
}

#[test]
fn an_outcome_that_nobody_sent_or_that_was_refused_is_found() {
    let unsent = faults_of(|history| history.sent.retain(|sent| sent.due > 20 || sent.order > 0));
    assert_eq!(
        unsent,
        [Fault::Extra {
            command_id: id(0xa * 100 + 2)
        }]
    );
    let refused = faults_of(|history| history.sent[0].answer = Answer::Refused);
    assert_eq!(
        refused,
        [Fault::Extra {
            command_id: id(0xa * 100 + 2)
        }]
    );
}

#[test]
fn a_command_in_doubt_may_be_applied_or_not() {
    assert_eq!(
        faults_of(|history| history.sent[0].answer = Answer::Unknown),
        []
    );
    let absent = faults_of(|history| {
        history.sent[2].answer = Answer::Unknown;
        history.events.remove(3);
        history.outcomes.remove(3);
        history.orders[0].1 = 3;
    });
    assert_eq!(absent, []);
}

#[test]
fn a_legal_command_that_was_rejected_is_found() {
    let faults = faults_of(|history| {
        history.events.remove(3);
        history.outcomes[3].applied = false;
        history.outcomes[3].version = 3;
        history.orders[0].1 = 3;
    });
    assert_eq!(
        faults,
        [Fault::NotApplied {
            command_id: id(0xa * 100 + 4)
        }]
    );
}

#[test]
fn a_reordering_is_found_even_between_connections() {
    // Versions 3 and 4 of the first order change places.
    let faults = faults_of(|history| {
        history.outcomes[2].version = 4;
        history.outcomes[3].version = 3;
        history.events[2].version = 4;
        history.events[3].version = 3;
    });
    let fault = Fault::Reordered {
        command_id: id(0xa * 100 + 3),
        before: id(0xa * 100 + 4),
    };
    assert_eq!(faults, [fault]);
}

#[test]
fn commands_in_flight_together_may_come_in_any_order() {
    let faults = faults_of(|history| {
        history.outcomes[2].version = 4;
        history.outcomes[3].version = 3;
        history.events[2].version = 4;
        history.events[3].version = 3;
        // The later one was sent before the earlier one was answered.
        history.sent[2].begun = history.sent[1].answered - 1;
    });
    assert_eq!(faults, []);
}

#[test]
fn an_event_that_never_came_is_found() {
    let missing = id(0xb * 100 + 3);
    let faults = faults_of(|history| {
        history.visible.as_mut().unwrap().remove(&missing);
    });
    assert_eq!(
        faults,
        [Fault::Unpublished {
            command_id: missing
        }]
    );
}
