//! Receipts: nobody else can make one.

use orderly_protocol::CommandStatus;
use orderly_protocol::receipt::{Receipt, ReceiptError, sign, verify};

use crate::sample;

fn receipt() -> Receipt {
    let envelope = sample::envelope(&sample::actions()[0].1, true);
    Receipt {
        command_id: sample::COMMAND,
        order_id: sample::ORDER,
        producer: sample::PRODUCER,
        fingerprint: envelope.fingerprint,
        accepted_at: sample::ACCEPTED,
    }
}

#[test]
fn a_receipt_holds_under_the_current_and_the_previous_key() {
    let (old, new, other) = ([1; 32], [2; 32], [3; 32]);
    let token = sign(&receipt(), &old);
    assert_eq!(verify(&token, &[&old]).unwrap(), receipt());
    assert_eq!(verify(&token, &[&new, &old]).unwrap(), receipt());
    assert_eq!(verify(&token, &[&new, &other]), Err(ReceiptError::Forged));
    assert_eq!(verify(&token, &[]), Err(ReceiptError::Forged));
}

#[test]
fn any_changed_character_breaks_it() {
    let key = [7; 32];
    let token = sign(&receipt(), &key);
    for place in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        assert!(
            verify(&String::from_utf8(forged).unwrap(), &[&key]).is_err(),
            "{place}"
        );
    }
    for wrong in [
        "",
        ".",
        "a.b",
        token.split_once('.').unwrap().0,
        &format!("{token}.x"),
        &format!("{token}="),
    ] {
        assert!(verify(wrong, &[&key]).is_err(), "{wrong}");
    }
}

#[test]
fn a_token_needs_no_escape_in_a_query() {
    let token = sign(&receipt(), &[7; 32]);
    assert!(
        token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    );
    let resource = receipt().resource(&token);
    assert_eq!(resource.status, CommandStatus::Queued);
    assert_eq!(
        resource.links.command,
        format!("/v1/commands/{}?receipt={token}", sample::COMMAND)
    );
}
