//! Sessions: nobody else can make one, none outlives its time, and no other token passes for one.

use orderly_protocol::receipt::{self, Receipt, ReceiptError};
use orderly_protocol::session::{Session, SessionError, sign, verify};
use orderly_protocol::time::Duration;

use crate::sample;

const KEY: [u8; 32] = [7; 32];

fn session() -> Session {
    Session {
        key_id: "k1".into(),
        expires_at: sample::ACCEPTED,
    }
}

#[test]
fn a_session_holds_until_its_time_is_over() {
    let token = sign(&session(), &KEY);
    let at = |offset| verify(&token, &[&[1; 32], &KEY], sample::ACCEPTED + offset);
    assert_eq!(at(Duration::microseconds(-1)), Ok(session()));
    assert_eq!(at(Duration::ZERO), Err(SessionError::Expired));
    assert_eq!(at(Duration::days(400)), Err(SessionError::Expired));
}

#[test]
fn a_changed_or_foreign_session_is_forged() {
    let now = sample::ACCEPTED - Duration::hours(1);
    let token = sign(&session(), &KEY);
    for place in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert!(verify(&forged, &[&KEY], now).is_err(), "{place}");
    }
    assert_eq!(verify(&token, &[&[8; 32]], now), Err(SessionError::Forged));
    assert_eq!(verify(&token, &[], now), Err(SessionError::Forged));
    assert_eq!(verify("", &[&KEY], now), Err(SessionError::Malformed));
}

#[test]
fn neither_a_receipt_is_a_session_nor_a_session_a_receipt() {
    let envelope = sample::envelope(&sample::actions()[0].1, true);
    let receipt = receipt::sign(
        &Receipt {
            command_id: sample::COMMAND,
            order_id: sample::ORDER,
            producer: sample::PRODUCER,
            fingerprint: envelope.fingerprint,
            accepted_at: sample::ACCEPTED,
        },
        &KEY,
    );
    let session = sign(&session(), &KEY);
    let now = sample::ACCEPTED - Duration::hours(1);
    // Under the same key: what sets them apart is what was signed.
    assert_eq!(verify(&receipt, &[&KEY], now), Err(SessionError::Forged));
    assert_eq!(
        receipt::verify(&session, &[&KEY]),
        Err(ReceiptError::Forged)
    );
    // Nor with the text that was signed in front of it.
    let glued = format!("orderly session v1\n{session}");
    assert_eq!(
        receipt::verify(&glued, &[&KEY]),
        Err(ReceiptError::Malformed)
    );
}
