//! The commands that a storm sends, as the API's description has them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What commands a storm sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storm) enum Action {
    Place {
        lines: Vec<Line>,
    },
    Amend {
        lines: Vec<Line>,
    },
    SetAddress,
    Annotate {
        key: String,
    },
    Hold,
    Release,
    Pay,
    /// Without parts all that remains.
    Ship {
        parts: Vec<Part>,
    },
    Deliver,
    Cancel,
    Refund {
        amount_minor: i64,
    },
    Return {
        parts: Vec<Part>,
    },
}

/// The same without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storm) enum Kind {
    Place,
    Amend,
    SetAddress,
    Annotate,
    Hold,
    Release,
    Pay,
    Ship,
    Deliver,
    Cancel,
    Refund,
    Return,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::storm) struct Line {
    pub(in crate::storm) sku: String,
    pub(in crate::storm) quantity: i64,
    pub(in crate::storm) unit_price_minor: i64,
}

/// Pieces of a line, by its number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::storm) struct Part {
    pub(in crate::storm) line: usize,
    pub(in crate::storm) quantity: i64,
}

/// Of an annotation's key; a longer one is refused.
const KEY_CHARS: usize = 64;

impl Action {
    pub(in crate::storm) fn kind(&self) -> Kind {
        match self {
            Self::Place { .. } => Kind::Place,
            Self::Amend { .. } => Kind::Amend,
            Self::SetAddress => Kind::SetAddress,
            Self::Annotate { .. } => Kind::Annotate,
            Self::Hold => Kind::Hold,
            Self::Release => Kind::Release,
            Self::Pay => Kind::Pay,
            Self::Ship { .. } => Kind::Ship,
            Self::Deliver => Kind::Deliver,
            Self::Cancel => Kind::Cancel,
            Self::Refund { .. } => Kind::Refund,
            Self::Return { .. } => Kind::Return,
        }
    }

    /// As [`Action::data`] wrote it.
    pub(in crate::storm) fn read(kind: &str, data: &Value) -> Option<Self> {
        fn list<'a, T: Deserialize<'a>>(data: &'a Value) -> Option<Vec<T>> {
            Vec::deserialize(&data["lines"]).ok()
        }
        Some(
            match Kind::ALL.into_iter().find(|it| it.as_str() == kind)? {
                Kind::Place => Self::Place { lines: list(data)? },
                Kind::Amend => Self::Amend { lines: list(data)? },
                Kind::SetAddress => Self::SetAddress,
                Kind::Annotate => Self::Annotate {
                    key: data["key"].as_str()?.to_owned(),
                },
                Kind::Hold => Self::Hold,
                Kind::Release => Self::Release,
                Kind::Pay => Self::Pay,
                Kind::Ship if data["lines"].is_null() => Self::Ship { parts: Vec::new() },
                Kind::Ship => Self::Ship { parts: list(data)? },
                Kind::Deliver => Self::Deliver,
                Kind::Cancel => Self::Cancel,
                Kind::Refund => Self::Refund {
                    amount_minor: data["amount_minor"].as_i64()?,
                },
                Kind::Return => Self::Return { parts: list(data)? },
            },
        )
    }

    /// What no Orderly may accept.
    pub(in crate::storm) fn nonsense() -> Self {
        Self::Annotate {
            key: "x".repeat(KEY_CHARS + 1),
        }
    }

    /// Whether it must be refused, whatever its order is like.
    pub(in crate::storm) fn is_nonsense(&self) -> bool {
        matches!(self, Self::Annotate { key } if key.len() > KEY_CHARS)
    }

    /// The lines for which it needs stock.
    pub(in crate::storm) fn reserves(&self) -> Option<&[Line]> {
        match self {
            Self::Place { lines } | Self::Amend { lines } => Some(lines),
            _ => None,
        }
    }

    /// The command's data.
    pub(in crate::storm) fn data(&self, mark: &str) -> Value {
        match self {
            Self::Place { lines } => {
                json!({"customer_id": mark, "currency": "EUR", "lines": lines})
            }
            Self::Amend { lines } => json!({ "lines": lines }),
            Self::SetAddress => json!({
                "name": mark, "street": ["Storm Lane 1"], "city": "Brest", "country": "FR",
            }),
            Self::Annotate { key } => json!({"key": key, "value": mark}),
            Self::Hold | Self::Cancel => json!({ "reason": mark }),
            Self::Pay => json!({ "method": mark }),
            Self::Ship { parts } if parts.is_empty() => {
                json!({"carrier": "storm", "tracking": mark})
            }
            Self::Ship { parts } => {
                json!({"lines": parts, "carrier": "storm", "tracking": mark})
            }
            Self::Release | Self::Deliver => json!({}),
            Self::Refund { amount_minor } => json!({"amount_minor": amount_minor, "reason": mark}),
            Self::Return { parts } => json!({ "lines": parts }),
        }
    }

    /// The body of a request for it alone.
    pub(in crate::storm) fn body(&self, mark: &str) -> Value {
        match self.kind() {
            Kind::Place => self.data(mark),
            kind => json!({"type": kind.as_str(), "data": self.data(mark)}),
        }
    }
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Place,
        Self::Amend,
        Self::SetAddress,
        Self::Annotate,
        Self::Hold,
        Self::Release,
        Self::Pay,
        Self::Ship,
        Self::Deliver,
        Self::Cancel,
        Self::Refund,
        Self::Return,
    ];

    pub(in crate::storm) fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Amend => "amend",
            Self::SetAddress => "set_address",
            Self::Annotate => "annotate",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Pay => "pay",
            Self::Ship => "ship",
            Self::Deliver => "deliver",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::Return => "return",
        }
    }

    /// The event that it makes.
    pub(in crate::storm) fn event_name(self) -> &'static str {
        match self {
            Self::Place => "placed",
            Self::Amend => "amended",
            Self::SetAddress => "address_set",
            Self::Annotate => "annotated",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Pay => "payment_requested",
            Self::Ship => "shipped",
            Self::Deliver => "delivered",
            Self::Cancel => "cancelled",
            Self::Refund => "refund_requested",
            Self::Return => "returned",
        }
    }

    /// Which of them makes this event; the payment role's events are nobody's here.
    pub(in crate::storm) fn of_event(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event_name() == name)
    }

    /// Where its event's data repeats the mark (RFC 6901).
    pub(super) fn mark_at(self) -> Option<&'static str> {
        match self {
            Self::Place => Some("/customer_id"),
            Self::SetAddress => Some("/address/name"),
            Self::Annotate => Some("/value"),
            Self::Hold | Self::Cancel | Self::Refund => Some("/reason"),
            Self::Pay => Some("/method"),
            Self::Ship => Some("/tracking"),
            Self::Amend | Self::Release | Self::Deliver | Self::Return => None,
        }
    }

    /// Whether its event can be known without the command's id.
    pub(in crate::storm) fn is_marked(self) -> bool {
        self.mark_at().is_some()
    }
}
