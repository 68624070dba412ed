//! The command message: `{"commands": [envelope, …]}`, one or more commands of one shard in order. Envelopes stay bytes
//! here: they are taken apart and put together again without being read, and a bad one does not spoil its neighbours.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Joins encoded envelopes into one message. The caller keeps to [`crate::limits::MESSAGE_COMMANDS`].
#[must_use]
pub fn encode_commands<'a>(envelopes: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    body.extend_from_slice(br#"{"commands":["#);
    for (index, envelope) in envelopes.into_iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(envelope);
    }
    body.extend_from_slice(b"]}");
    body
}

/// The envelopes of a message, each as it came.
///
/// # Errors
/// If the message is not JSON of this form, or holds no command.
pub fn decode_commands(body: &[u8]) -> Result<Vec<&RawValue>, MessageUnreadable> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Message<'a> {
        #[serde(borrow)]
        commands: Vec<&'a RawValue>,
    }

    let message: Message<'_> = serde_json::from_slice(body).map_err(MessageUnreadable::Form)?;
    if message.commands.is_empty() {
        return Err(MessageUnreadable::Empty);
    }
    Ok(message.commands)
}

/// A message that is dead-lettered as a whole.
#[derive(Debug, thiserror::Error)]
pub enum MessageUnreadable {
    /// Not `{"commands": […]}`.
    #[error("not a command message")]
    Form(#[source] serde_json::Error),
    /// A list without a command.
    #[error("a command message without a command")]
    Empty,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_come_out_as_they_went_in() {
        let envelopes: [&[u8]; 3] = [br#"{"a": 1}"#, b"not an envelope".as_slice(), b"{}"];
        let body = encode_commands([envelopes[0], envelopes[2]]);
        assert_eq!(body, br#"{"commands":[{"a": 1},{}]}"#);
        let raw: Vec<&str> = decode_commands(&body)
            .unwrap()
            .iter()
            .map(|raw| raw.get())
            .collect();
        assert_eq!(raw, [r#"{"a": 1}"#, "{}"]);
        assert!(decode_commands(&encode_commands(envelopes)).is_err());
    }

    #[test]
    fn a_bad_envelope_leaves_its_neighbours_readable() {
        let body = br#"{"commands":[{"x":1,"x":2},17,{"order_id":"\u0000"}]}"#;
        assert_eq!(decode_commands(body).unwrap().len(), 3);
    }

    #[test]
    fn other_forms_are_unreadable() {
        for body in [
            &b""[..],
            b"[]",
            b"{}",
            b"{\"commands\":{}}",
            b"{\"commands\":[{}],\"x\":1}",
            b"\xff",
        ] {
            assert!(
                matches!(decode_commands(body), Err(MessageUnreadable::Form(_))),
                "{body:?}"
            );
        }
        assert!(matches!(
            decode_commands(b"{\"commands\":[]}"),
            Err(MessageUnreadable::Empty)
        ));
    }
}
