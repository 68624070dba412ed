//! The envelope: one command on its way from an ingress to the worker that decides it. Strict on the way in, since a
//! field that this version does not know may change what the command means.

use orderly_domain::{Command, CommandId, OrderId, ProducerId, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::field::{FieldFault, INVALID_VALUE, printable};
use crate::fingerprint::Fingerprint;
use crate::json::parse_json;
use crate::timestamp::{self, Timestamp};
use crate::{Control, ControlKind, action, limits, serde_id};

/// One command with all that its way needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The unit of idempotence.
    #[serde(with = "serde_id")]
    pub command_id: CommandId,
    /// The order it is for; decides the shard.
    #[serde(with = "serde_id")]
    pub order_id: OrderId,
    /// Name of the command, as `place`. May be one that this version does not know.
    #[serde(rename = "type")]
    pub action_type: String,
    /// The command's data, not read yet.
    pub data: Box<RawValue>,
    /// The version the producer insists on (`If-Match`).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "serde_id::optional_version"
    )]
    pub expected_version: Option<Version>,
    /// Who sent it.
    #[serde(with = "serde_id")]
    pub producer: ProducerId,
    /// The producer's key, without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Of the request as the client sent it.
    pub fingerprint: Fingerprint,
    /// When the ingress took it.
    #[serde(with = "timestamp")]
    pub accepted_at: Timestamp,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The reply queue of the ingress at which somebody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// An envelope that cannot be read. Details hold no control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not even its order can be told: a dead letter.
    #[error("envelope without a readable order id: {detail}")]
    NoOrder {
        /// What is wrong, for a person.
        detail: String,
    },
    /// Its order is known: parked there, so that nothing overtakes it.
    #[error("unreadable envelope for order {order_id}: {detail}")]
    Unreadable {
        /// Whose it is.
        order_id: OrderId,
        /// Its id, if that can be read.
        command_id: Option<CommandId>,
        /// What is wrong, for a person.
        detail: String,
    },
}

impl Envelope {
    /// The envelope as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and raw JSON are always JSON")
    }

    /// Reads an envelope; its data stays unread until [`Envelope::command`].
    ///
    /// # Errors
    /// If it is not exactly of this form. The error tells whose it is where that can be found out.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let fault = match serde_json::from_slice::<Self>(bytes) {
            Ok(envelope) => match envelope.unstorable_text() {
                None => return Ok(envelope),
                Some(field) => format!("{field} must be visible ASCII of a bounded length"),
            },
            Err(error) => error.to_string(),
        };
        let detail = printable(&fault);
        match serde_json::from_slice::<HasOrderId>(bytes) {
            Err(_) => Err(EnvelopeError::NoOrder { detail }),
            Ok(HasOrderId { order_id }) => {
                let command_id = serde_json::from_slice::<HasCommandId>(bytes).ok();
                let command_id = command_id.map(|has| has.command_id);
                Err(EnvelopeError::Unreadable {
                    order_id,
                    command_id,
                    detail,
                })
            }
        }
    }

    /// The command inside. Faults point into `data`.
    ///
    /// # Errors
    /// If this version knows no such command, or its data is not of the command's form.
    pub fn command(&self) -> Result<Command, Vec<FieldFault>> {
        let data = self.parsed_data()?;
        Ok(Command {
            command_id: self.command_id,
            order_id: self.order_id,
            expected_version: self.expected_version,
            action: action::parse_action(&self.action_type, &data)?,
        })
    }

    /// The control command inside, if its type says that it is one. Faults point into `data`.
    #[must_use]
    pub fn control(&self) -> Option<Result<Control, Vec<FieldFault>>> {
        let kind = ControlKind::parse(&self.action_type)?;
        let data = self.parsed_data();
        Some(data.and_then(|data| Control::parse(kind, &data)))
    }

    fn parsed_data(&self) -> Result<serde_json::Value, Vec<FieldFault>> {
        parse_json(self.data.get().as_bytes()).map_err(|fault| {
            vec![FieldFault {
                pointer: fault.pointer.unwrap_or_default(),
                code: INVALID_VALUE.to_owned(),
                detail: fault.detail,
            }]
        })
    }

    /// The first text that a table or a header could not take as it is (Postgres takes no NUL).
    fn unstorable_text(&self) -> Option<&'static str> {
        let fits = |text: &str, limit: usize| {
            !text.is_empty()
                && text.len() <= limit
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let optional =
            |text: &Option<String>, limit| text.as_deref().is_none_or(|text| fits(text, limit));
        let texts = [
            ("type", fits(&self.action_type, limits::TYPE_CHARS)),
            (
                "idempotency_key",
                optional(&self.idempotency_key, limits::IDEMPOTENCY_KEY_CHARS),
            ),
            // Both end in AMQP short strings of 255 bytes or beside them.
            ("traceparent", optional(&self.traceparent, 255)),
            ("reply_to", optional(&self.reply_to, 255)),
        ];
        texts
            .into_iter()
            .find(|(_, fits)| !fits)
            .map(|(field, _)| field)
    }
}

/// The order of a broken envelope. An id that stands twice is none: it could be either order's.
#[derive(Deserialize)]
struct HasOrderId {
    #[serde(with = "serde_id")]
    order_id: OrderId,
}

/// The command id of a broken envelope.
#[derive(Deserialize)]
struct HasCommandId {
    #[serde(with = "serde_id")]
    command_id: CommandId,
}
