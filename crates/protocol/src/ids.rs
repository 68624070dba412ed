//! How ids come to be. Derived ids make a retry the same command and the same order, in any process and any language.

use orderly_domain::{CommandId, OrderId, ProducerId};
use uuid::{Uuid, uuid};

use crate::fingerprint::Fingerprint;

/// The producer of the commands that the payments role sends: `UUIDv5` of the URL namespace and
/// `https://orderly.dev/producers/payments`.
pub const PAYMENTS_PRODUCER: ProducerId = ProducerId(uuid!("08d7a81d-49b0-5582-a230-21f398b32847"));

/// `UUIDv5` of the URL namespace and `https://orderly.dev/dead-letters`.
const DEAD_LETTERS: Uuid = uuid!("ac688acb-1abe-512a-b21a-3bd56d62d181");
/// The producer of the control commands that Orderly gives by itself, as the one that ends an expired pause: `UUIDv5` of the
/// URL namespace and `https://orderly.dev/producers/operations`.
pub const OPERATIONS_PRODUCER: ProducerId =
    ProducerId(uuid!("39dd34c2-0ff3-598f-97cf-0a4ffcc1154d"));

/// The id of the command that `producer` sends under `key` (without the quotes of the header): `UUIDv5`.
#[must_use]
pub fn command_id(producer: ProducerId, key: &str) -> CommandId {
    CommandId(Uuid::new_v5(&producer.0, key.as_bytes()))
}

/// The id of a `PUT /v1/orders/{id}` without a key: the order's id stands for it.
#[must_use]
pub fn put_command_id(producer: ProducerId, order_id: OrderId) -> CommandId {
    command_id(producer, &format!("put:{order_id}"))
}

/// A new command id (v7, from the clock and randomness), for a command without a key.
#[must_use]
pub fn mint_command_id() -> CommandId {
    CommandId(Uuid::now_v7())
}

/// The id of the command that an edit puts in the place of its head: a redelivery of the edit makes the same one.
#[must_use]
pub fn replacement_id(edit: CommandId) -> CommandId {
    CommandId(Uuid::new_v5(&edit.0, b"replacement"))
}

/// The id of the control command that ends this pause when it expires, whichever process sends it, and however often.
#[must_use]
pub fn pause_end_id(pause: CommandId) -> CommandId {
    CommandId(Uuid::new_v5(&pause.0, b"expired"))
}

/// The id of the order that a keyed `POST /v1/orders` creates when it names none, so that a retry is the same order.
#[must_use]
pub fn order_id_for(command_id: CommandId) -> OrderId {
    OrderId(Uuid::new_v5(&command_id.0, b"order"))
}

/// The id of the command that repairs a dead letter: `UUIDv5` of its bytes' SHA-256 as hex and its arrival, `<hash>.<arrival>`.
/// So a repair that is sent twice is one command.
#[must_use]
pub fn dead_letter_command_id(body_hash: &[u8; 32], arrival: i32) -> CommandId {
    let name = format!("{}.{arrival}", Fingerprint(*body_hash));
    CommandId(Uuid::new_v5(&DEAD_LETTERS, name.as_bytes()))
}

/// A new order id (v7), for a `POST /v1/orders` without a key.
#[must_use]
pub fn mint_order_id() -> OrderId {
    OrderId(Uuid::now_v7())
}

/// The UUID of any version that `text` is, in its 36 character form; upper case is read too.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    // `Uuid` alone reads braces, URNs and bare digits as well: several texts for one id.
    if text.len() == 36 {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: ProducerId = ProducerId(uuid!("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));

    #[test]
    fn payments_producer_is_derived_from_its_url() {
        let derived = Uuid::new_v5(
            &Uuid::NAMESPACE_URL,
            b"https://orderly.dev/producers/payments",
        );
        assert_eq!(PAYMENTS_PRODUCER.0, derived);
        let derived = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://orderly.dev/dead-letters");
        assert_eq!(DEAD_LETTERS, derived);
    }

    #[test]
    fn operations_producer_is_derived_from_its_url() {
        let derived = Uuid::new_v5(
            &Uuid::NAMESPACE_URL,
            b"https://orderly.dev/producers/operations",
        );
        assert_eq!(OPERATIONS_PRODUCER.0, derived);
    }

    #[test]
    fn a_key_names_one_command_and_one_order() {
        // The vector of RFC 9562, appendix A.4: namespace DNS, name "www.example.com".
        let id = command_id(PRODUCER, "www.example.com");
        assert_eq!(id.0, uuid!("2ed6657d-e927-568b-95e1-2665a8aea6a2"));
        assert_eq!(
            order_id_for(id),
            order_id_for(command_id(PRODUCER, "www.example.com"))
        );
        assert_ne!(id, command_id(PAYMENTS_PRODUCER, "www.example.com"));
    }

    #[test]
    fn a_put_without_a_key_is_keyed_by_its_order() {
        let order_id = OrderId(uuid!("0190a5c1-2b3c-7d4e-8f50-617283940516"));
        let id = put_command_id(PRODUCER, order_id);
        assert_eq!(
            id,
            command_id(PRODUCER, "put:0190a5c1-2b3c-7d4e-8f50-617283940516")
        );
    }

    #[test]
    fn only_the_36_character_form_is_read() {
        let text = "0190a5c1-2b3c-7d4e-8f50-617283940516";
        assert!(parse_uuid(text).is_some());
        assert!(parse_uuid(&text.to_uppercase()).is_some());
        assert!(parse_uuid(&text.replace('-', "")).is_none());
        assert!(parse_uuid(&format!("{{{text}}}")).is_none());
        assert!(parse_uuid(&format!("urn:uuid:{text}")).is_none());
        // 36 characters, but not that form.
        assert!(parse_uuid("0190a5c12b3c7d4e8f50617283940516----").is_none());
    }
}
