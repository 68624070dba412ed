//! Batches whose lines lost their order, or did not end where they must.

use super::*;
use crate::storm::history::BatchLine;

/// [`clean`], whose note and hold came in one batch, behind a line that was refused and before it was sent again without that.
fn batched() -> History {
    let mut history = clean();
    let batch = Uuid::from_u128(9);
    let refused = Answer::Refused {
        status: 422,
        code: "invalid_command".to_owned(),
    };
    let mut nonsense = sent(8, Action::nonsense(), (21, 29), applied(0));
    nonsense.outcome = None;
    nonsense.attempts[0].answer = refused;
    history.commands.push(nonsense);
    for (line, number) in [(0, 7), (1, NOTE), (2, HOLD)] {
        history.commands[number].batch = Some(BatchLine { batch, line });
    }
    for number in [NOTE, HOLD] {
        let sent = &mut history.commands[number];
        (sent.attempts[0].began, sent.attempts[0].ended) = (30, 40);
        let first = Attempt {
            began: 21,
            ended: 29,
            answer: preceding(),
        };
        sent.attempts.insert(0, first);
    }
    history
}

fn preceding() -> Answer {
    Answer::Unavailable {
        status: 424,
        code: "preceding_not_accepted".to_owned(),
    }
}

#[test]
fn a_batch_that_ends_for_an_order_where_a_line_is_refused_passes() {
    assert_eq!(broken(&batched()), []);
}

#[test]
fn lines_of_a_batch_that_changed_places_are_found() {
    let mut history = batched();
    let (note, hold) = (NOTE, HOLD);
    let line = history.commands[note].batch;
    history.commands[note].batch = history.commands[hold].batch;
    history.commands[hold].batch = line;
    assert_eq!(broken(&history), [Invariant::BatchInOrder]);
}

#[test]
fn a_line_accepted_behind_one_that_was_not_is_found() {
    let mut history = batched();
    history.commands[HOLD].attempts[0].answer = accepted(HOLD);
    assert_eq!(broken(&history), [Invariant::BatchInOrder]);
    // What was accepted before may be repeated.
    let earlier = Attempt {
        began: 20,
        ended: 20,
        answer: Answer::Lost {
            why: "hung up".to_owned(),
        },
    };
    history.commands[HOLD].attempts.insert(0, earlier);
    assert_eq!(broken(&history), []);
}

#[test]
fn a_line_refused_for_one_before_it_that_was_accepted_is_found() {
    let mut history = batched();
    history.commands[HOLD].attempts[1].answer = preceding();
    let again = Attempt {
        began: 41,
        ended: 45,
        answer: accepted(HOLD),
    };
    history.commands[HOLD].attempts.push(again);
    assert_eq!(broken(&history), [Invariant::BatchInOrder]);
}
