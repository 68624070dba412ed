//! Control commands: what an operator does to one order's lane. They travel in the order's shard like any command, so that
//! what they release is serialized with everything else, and no producer can send them: the ingress does not know their types.

use orderly_domain::{CommandId, OrderId, ProducerId};
use serde_json::{Map, Value, json};

use crate::field::{Faults, INVALID_VALUE};
use crate::pointer::Pointer;
use crate::read::{Fields, FromJson, text};
use crate::timestamp::Timestamp;
use crate::{Envelope, FieldFault, fingerprint, ids, limits};

mod request;

pub use request::{LaneGroupRequest, LaneRequest, OrderRequest};

/// Which control command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlKind {
    /// Decide the head anew, then all behind it.
    LaneRetry,
    /// Discard the head, then decide all behind it.
    LaneSkip,
    /// Discard the head for another command that is decided in its place, then all behind it.
    LaneEdit,
    /// Discard the head and everything behind it.
    LaneDiscard,
    /// Let every later command of the order wait.
    OrderPause,
    /// Take the pause away, and release what waits.
    OrderResume,
}

impl ControlKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::LaneRetry,
        Self::LaneSkip,
        Self::LaneEdit,
        Self::LaneDiscard,
        Self::OrderPause,
        Self::OrderResume,
    ];

    /// Its name: the `type` of its envelope and of its outcome.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LaneRetry => "lane_retry",
            Self::LaneSkip => "lane_skip",
            Self::LaneEdit => "lane_edit",
            Self::LaneDiscard => "lane_discard",
            Self::OrderPause => "order_pause",
            Self::OrderResume => "order_resume",
        }
    }

    /// The kind with this name. Whoever counts what happened to orders leaves these types out: they make no event.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A control command.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Who gave it: the id of the key.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub act: ControlAct,
}

/// What a control command does, with what it names.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlAct {
    /// See [`ControlKind::LaneRetry`].
    Retry {
        /// The head that it is about.
        head: CommandId,
    },
    /// See [`ControlKind::LaneSkip`].
    Skip {
        /// The head that it is about.
        head: CommandId,
    },
    /// See [`ControlKind::LaneEdit`].
    Edit {
        /// The head that it is about.
        head: CommandId,
        /// What is decided in its place.
        replacement: Replacement,
    },
    /// See [`ControlKind::LaneDiscard`].
    Discard {
        /// The head that it is about.
        head: CommandId,
    },
    /// See [`ControlKind::OrderPause`].
    Pause {
        /// How long, from when it is decided and by Postgres's clock; none: until it is taken away.
        expires_in_seconds: Option<u32>,
    },
    /// See [`ControlKind::OrderResume`].
    Resume {
        /// Only this pause; none: whichever there is. What ends an expired pause must not end a later one.
        pause: Option<CommandId>,
    },
}

/// A command in place of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    /// Name of the command.
    pub action_type: String,
    /// Its data.
    pub data: Value,
}

impl Control {
    /// Which control command it is.
    #[must_use]
    pub fn kind(&self) -> ControlKind {
        match self.act {
            ControlAct::Retry { .. } => ControlKind::LaneRetry,
            ControlAct::Skip { .. } => ControlKind::LaneSkip,
            ControlAct::Edit { .. } => ControlKind::LaneEdit,
            ControlAct::Discard { .. } => ControlKind::LaneDiscard,
            ControlAct::Pause { .. } => ControlKind::OrderPause,
            ControlAct::Resume { .. } => ControlKind::OrderResume,
        }
    }

    /// The command that it is about: a head.
    #[must_use]
    pub fn head(&self) -> Option<CommandId> {
        match self.act {
            ControlAct::Retry { head }
            | ControlAct::Skip { head }
            | ControlAct::Edit { head, .. }
            | ControlAct::Discard { head } => Some(head),
            ControlAct::Pause { .. } | ControlAct::Resume { .. } => None,
        }
    }

    /// The control command on its way. The fingerprint leaves out which key gave it: a retry with a producer's other key is
    /// the same request.
    #[must_use]
    pub fn envelope(
        &self,
        command_id: CommandId,
        order_id: OrderId,
        producer: ProducerId,
        accepted_at: Timestamp,
    ) -> Envelope {
        let mut data = self.request();
        let action_type = self.kind().as_str();
        let fingerprint = fingerprint(
            action_type,
            Some(order_id),
            &Value::Object(data.clone()),
            None,
        );
        data.insert("by".to_owned(), json!(self.by));
        Envelope {
            command_id,
            order_id,
            action_type: action_type.to_owned(),
            data: serde_json::value::to_raw_value(&data).expect("a JSON value is always JSON"),
            expected_version: None,
            producer,
            idempotency_key: None,
            fingerprint,
            accepted_at,
            traceparent: None,
            reply_to: None,
        }
    }

    fn request(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("reason".to_owned(), json!(self.reason));
        if let Some(head) = self.head() {
            data.insert("command_id".to_owned(), json!(head.to_string()));
        }
        match &self.act {
            ControlAct::Edit { replacement, .. } => {
                let command = json!({"type": replacement.action_type, "data": replacement.data});
                data.insert("replacement".to_owned(), command);
            }
            ControlAct::Pause {
                expires_in_seconds: Some(seconds),
            } => {
                data.insert("expires_in_seconds".to_owned(), json!(seconds));
            }
            ControlAct::Resume { pause: Some(pause) } => {
                data.insert("pause".to_owned(), json!(pause.to_string()));
            }
            _ => {}
        }
        data
    }

    /// Reads the control command `kind` with its `data`.
    pub(crate) fn parse(kind: ControlKind, data: &Value) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Faults::default();
        let control = read_control(kind, data, &mut faults);
        faults.settle(control)
    }
}

fn read_control(kind: ControlKind, data: &Value, faults: &mut Faults) -> Option<Control> {
    let mut fields = Fields::of(data, Pointer::Root, faults)?;
    let by = fields.required_with("by", read_line);
    let reason = fields.required_with("reason", read_line);
    let act = match kind {
        ControlKind::LaneRetry => read_head(&mut fields).map(|head| ControlAct::Retry { head }),
        ControlKind::LaneSkip => read_head(&mut fields).map(|head| ControlAct::Skip { head }),
        ControlKind::LaneDiscard => read_head(&mut fields).map(|head| ControlAct::Discard { head }),
        ControlKind::LaneEdit => {
            let head = read_head(&mut fields);
            let replacement = fields.required("replacement");
            head.zip(replacement)
                .map(|(head, replacement)| ControlAct::Edit { head, replacement })
        }
        ControlKind::OrderPause => fields
            .optional_with("expires_in_seconds", read_seconds)
            .map(|expires_in_seconds| ControlAct::Pause { expires_in_seconds }),
        ControlKind::OrderResume => fields
            .optional("pause")
            .map(|pause| ControlAct::Resume { pause }),
    };
    fields.close();
    Some(Control {
        by: by?,
        reason: reason?,
        act: act?,
    })
}

fn read_head(fields: &mut Fields<'_, '_>) -> Option<CommandId> {
    fields.required("command_id")
}

/// A line for a person: what goes into tables, answers and logs.
fn read_line(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<String> {
    let wanted = format!("1 to {} characters without controls", limits::REASON_CHARS);
    text(value, at, faults, &wanted, |line| {
        let fits = (1..=limits::REASON_CHARS).contains(&line.chars().count());
        (fits && !line.chars().any(char::is_control)).then(|| line.to_owned())
    })
}

fn read_seconds(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<u32> {
    let seconds = i64::read(value, at, faults)?;
    let fits = u32::try_from(seconds).ok();
    let fits = fits.filter(|seconds| (1..=limits::PAUSE_SECONDS).contains(seconds));
    if fits.is_none() {
        let detail = format!("Must be 1 to {} seconds.", limits::PAUSE_SECONDS);
        faults.add(at, INVALID_VALUE, detail);
    }
    fits
}

impl FromJson for Replacement {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let action_type = fields.required("type");
        let data = fields.take("data").filter(|data| !data.is_null()).cloned();
        fields.close();
        Some(Self {
            action_type: action_type?,
            data: data.unwrap_or_else(|| Value::Object(Map::new())),
        })
    }
}

impl Replacement {
    /// The new command on its way, given by the edit with this id.
    #[must_use]
    pub fn envelope(
        &self,
        edit: CommandId,
        order_id: OrderId,
        producer: ProducerId,
        accepted_at: Timestamp,
    ) -> Envelope {
        Envelope {
            command_id: ids::replacement_id(edit),
            order_id,
            action_type: self.action_type.clone(),
            data: serde_json::value::to_raw_value(&self.data).expect("a JSON value is always JSON"),
            expected_version: None,
            producer,
            idempotency_key: None,
            fingerprint: fingerprint(&self.action_type, Some(order_id), &self.data, None),
            accepted_at,
            traceparent: None,
            reply_to: None,
        }
    }
}
