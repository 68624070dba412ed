//! The commands that a storm sends, as the API's description has them.

use serde::Serialize;
use serde_json::{Value, json};

/// What commands a storm sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storm) enum Action {
    Place { lines: Vec<Line> },
    Annotate { key: String },
    Hold,
    Release,
    Pay,
    Ship,
    Deliver,
    Cancel,
}

/// The same without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storm) enum Kind {
    Place,
    Annotate,
    Hold,
    Release,
    Pay,
    Ship,
    Deliver,
    Cancel,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::storm) struct Line {
    pub(in crate::storm) sku: String,
    pub(in crate::storm) quantity: i64,
    pub(in crate::storm) unit_price_minor: i64,
}

impl Action {
    pub(in crate::storm) fn kind(&self) -> Kind {
        match self {
            Self::Place { .. } => Kind::Place,
            Self::Annotate { .. } => Kind::Annotate,
            Self::Hold => Kind::Hold,
            Self::Release => Kind::Release,
            Self::Pay => Kind::Pay,
            Self::Ship => Kind::Ship,
            Self::Deliver => Kind::Deliver,
            Self::Cancel => Kind::Cancel,
        }
    }

    /// The request's body.
    pub(in crate::storm) fn body(&self, mark: &str) -> Value {
        let data = match self {
            Self::Place { lines } => {
                return json!({"customer_id": mark, "currency": "EUR", "lines": lines});
            }
            Self::Annotate { key } => json!({"key": key, "value": mark}),
            Self::Hold | Self::Cancel => json!({ "reason": mark }),
            Self::Pay => json!({ "method": mark }),
            Self::Ship => json!({"carrier": "storm", "tracking": mark}),
            Self::Release | Self::Deliver => json!({}),
        };
        json!({"type": self.kind().as_str(), "data": data})
    }
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Place,
        Self::Annotate,
        Self::Hold,
        Self::Release,
        Self::Pay,
        Self::Ship,
        Self::Deliver,
        Self::Cancel,
    ];

    pub(in crate::storm) fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Annotate => "annotate",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Pay => "pay",
            Self::Ship => "ship",
            Self::Deliver => "deliver",
            Self::Cancel => "cancel",
        }
    }

    /// The event that it makes.
    pub(in crate::storm) fn event_name(self) -> &'static str {
        match self {
            Self::Place => "placed",
            Self::Annotate => "annotated",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Pay => "payment_requested",
            Self::Ship => "shipped",
            Self::Deliver => "delivered",
            Self::Cancel => "cancelled",
        }
    }

    /// Which of them makes this event; the payment role's events are nobody's here.
    pub(in crate::storm) fn of_event(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event_name() == name)
    }

    /// The member of its event's data that repeats the mark.
    pub(super) fn mark_member(self) -> Option<&'static str> {
        match self {
            Self::Place => Some("customer_id"),
            Self::Annotate => Some("value"),
            Self::Hold | Self::Cancel => Some("reason"),
            Self::Pay => Some("method"),
            Self::Ship => Some("tracking"),
            Self::Release | Self::Deliver => None,
        }
    }

    /// Whether its event can be known without the command's id.
    pub(in crate::storm) fn is_marked(self) -> bool {
        self.mark_member().is_some()
    }
}
