//! Histories that were written to a file, read again, and torn.

use super::{shop::shop, *};
use crate::storm::{
    history::{Head, JournalLine, Only, read},
    judge_again,
};

fn text(history: &History, seconds: Option<f64>) -> String {
    let head = JournalLine::Storm(Head {
        scenario: "mixed".to_owned(),
        seed: 7,
        clients: 8,
        parked_is_allowed: false,
    });
    let mut lines = vec![head.to_json()];
    lines.extend(history.lines_of(Only::default()));
    lines.extend(seconds.map(|seconds| JournalLine::End { seconds }.to_json()));
    lines.join("\n") + "\n"
}

#[test]
fn a_history_is_the_same_from_its_file() {
    for history in [clean(), shop()] {
        let again = read(text(&history, Some(1.0)).as_bytes()).unwrap().history;
        assert_eq!(
            again.lines_of(Only::default()),
            history.lines_of(Only::default())
        );
        assert_eq!(
            judge(&again, Rules::default()),
            judge(&history, Rules::default())
        );
    }
}

#[test]
fn what_is_wrong_is_wrong_in_its_file_too() {
    let mut history = shop();
    history.shelves[0].on_hand = 7;
    let judged = judge_again(text(&history, Some(1.0)).as_bytes()).unwrap();
    assert!(!judged.report.is_clean && !judged.is_torn);
}

#[test]
fn a_storm_that_was_killed_anywhere_breaks_no_promise_by_that() {
    for history in [clean(), shop()] {
        let whole = text(&history, None);
        for (end, _) in whole.char_indices().filter(|(at, _)| at % 97 == 0) {
            let Ok(judged) = judge_again(&whole.as_bytes()[..end]) else {
                assert!(!whole[..end].contains('\n'), "its first line is there");
                continue;
            };
            assert!(judged.report.is_clean, "{:?}", judged.report.smallest);
            assert_eq!(judged.report.seconds, None);
        }
    }
}

#[test]
fn what_was_wrong_before_it_was_killed_is_found() {
    let mut history = shop();
    // More than is left of what was taken; nobody saw what came of it.
    let wrong = &mut history.orders.get_mut(&ORDER).unwrap().events[7];
    wrong.data["amount_minor"] = json!(301);
    let judged = judge_again(text(&watched(history), None).as_bytes()).unwrap();
    let smallest = judged.report.smallest.unwrap();
    assert_eq!(smallest.violation.invariant, Invariant::Linearizable);
}
