//! Histories written by hand.

use std::collections::BTreeSet;

use super::{Answer, Counts, Evidence, Told, Wish, judge};
use crate::race::{
    evidence::{Effect, FinalOrder, Shelf, Write},
    plan::{Intent, note_key},
};

const ROUND: usize = 0;

fn told(number: usize, wish: Wish, answers: Vec<Answer>) -> Told {
    let intent = Intent {
        number,
        round: ROUND,
        wish,
        repeated: answers.len() > 1,
    };
    Told { intent, answers }
}

fn noted(number: usize, version: u64) -> Told {
    told(number, Wish::Note, vec![note_answer(version)])
}

fn note_answer(version: u64) -> Answer {
    Answer::Noted {
        version,
        by: "command".to_owned(),
    }
}

fn sold(number: usize) -> Told {
    let answer = Answer::Sold {
        order: format!("order of {number}"),
        by: "command".to_owned(),
    };
    told(number, Wish::Checkout, vec![answer])
}

fn order(version: u64, notes: &[usize]) -> FinalOrder {
    FinalOrder {
        round: ROUND,
        version,
        notes: notes.iter().copied().map(note_key).collect::<BTreeSet<_>>(),
    }
}

fn write(intent: usize, version: u64) -> Write {
    Write {
        round: ROUND,
        version,
        effect: effect(intent),
    }
}

fn effect(intent: usize) -> Effect {
    Effect {
        intent,
        by: format!("command of {intent}"),
    }
}

fn shelf(on_hand: i64, reserved: i64) -> Shelf {
    Shelf {
        round: ROUND,
        on_hand,
        reserved,
    }
}

/// Two notes, two customers for one piece.
fn clean() -> Evidence {
    Evidence {
        told: vec![
            noted(0, 2),
            noted(1, 3),
            sold(2),
            told(3, Wish::Checkout, vec![Answer::SoldOut]),
        ],
        orders: vec![order(3, &[0, 1])],
        writes: vec![write(0, 2), write(1, 3)],
        sales: vec![effect(2)],
        charges: vec![effect(2)],
        shelves: vec![shelf(1, 1)],
        ..Evidence::default()
    }
}

fn counts(evidence: &Evidence) -> Counts {
    judge(evidence).counts
}

#[test]
fn a_clean_history_passes() {
    let judgement = judge(&clean());
    assert!(judgement.counts.are_zero(), "{:?}", judgement.faults);
    assert!(judgement.faults.is_empty() && judgement.example.is_none());
}

#[test]
fn a_confirmed_note_that_is_not_there_is_a_lost_update_with_an_example() {
    let mut evidence = clean();
    evidence.told[1] = noted(1, 2);
    evidence.writes[1] = write(1, 2);
    evidence.orders = vec![order(2, &[1])];
    let judgement = judge(&evidence);
    let expected = Counts {
        lost_updates: 1,
        bad_versions: 1,
        ..Counts::default()
    };
    assert_eq!(judgement.counts, expected);
    assert!(
        judgement.faults[0].contains("intent 0 (command)"),
        "{:?}",
        judgement.faults
    );
    let example = judgement.example.unwrap();
    assert_eq!(
        (
            example.lost_note.as_str(),
            example.kept_note.as_str(),
            example.version_read
        ),
        ("note-0", "note-1", 1)
    );
}

#[test]
fn a_confirmed_sale_without_its_order_or_its_charge_is_lost() {
    let mut without_order = clean();
    without_order.sales.clear();
    without_order.charges.clear();
    without_order.shelves = vec![shelf(1, 0)];
    let expected = Counts {
        lost_updates: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&without_order), expected);
    let mut without_charge = clean();
    without_charge.charges.clear();
    assert_eq!(counts(&without_charge), expected);
}

#[test]
fn what_was_not_confirmed_cannot_be_lost() {
    let mut evidence = clean();
    evidence.told[0] = told(0, Wish::Note, vec![Answer::Failed("gone".to_owned())]);
    evidence.orders = vec![order(3, &[1])];
    let expected = Counts {
        unanswered: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&evidence), expected);
}

#[test]
fn a_retry_that_was_carried_out_again_is_doubled() {
    let mut evidence = clean();
    evidence.told[1] = told(1, Wish::Note, vec![note_answer(3), note_answer(4)]);
    evidence.writes.push(write(1, 4));
    evidence.orders = vec![order(4, &[0, 1])];
    let expected = Counts {
        done_twice: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&evidence), expected);
}

#[test]
fn two_charges_and_two_orders_of_one_customer_are_found_apart() {
    let mut charged = clean();
    charged.charges.push(effect(2));
    assert_eq!(
        counts(&charged),
        Counts {
            charged_twice: 1,
            ..Counts::default()
        }
    );
    let mut ordered = clean();
    ordered.sales.push(effect(2));
    ordered.shelves = vec![shelf(2, 2)];
    assert_eq!(
        counts(&ordered),
        Counts {
            done_twice: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn more_sold_than_there_was_is_oversold_and_the_counter_may_hide_it() {
    let mut evidence = clean();
    evidence.told[3] = sold(3);
    evidence.sales.push(effect(3));
    evidence.charges.push(effect(3));
    let expected = Counts {
        oversold_pieces: 1,
        miscounted_pieces: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&evidence), expected);
}

#[test]
fn a_version_that_nobody_made_is_a_gap() {
    let mut evidence = clean();
    evidence.writes[1] = write(1, 4);
    evidence.orders = vec![order(5, &[0, 1])];
    // 3 and 5.
    assert_eq!(counts(&evidence).bad_versions, 2);
}

#[test]
fn a_fault_in_words_counts() {
    let mut evidence = clean();
    evidence
        .strange
        .push("an event of a command that nobody sent".to_owned());
    assert_eq!(counts(&evidence).strange, 1);
}
