//! A refusal by the domain: a value that is recorded and answered, not an error.

use std::fmt;

use crate::Version;

/// Why a command was not applied. Codes are stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The first failing class of checks.
    pub code: RejectionCode,
    /// The order's version it was decided against; 0 without an order.
    pub version: Version,
    /// One sentence for a person: what was found and what could be done.
    pub detail: String,
    /// Every fault of that class.
    pub faults: Vec<Fault>,
}

/// One thing wrong with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer into the command's `data` (RFC 6901); empty for the whole.
    pub pointer: String,
    /// Which rule.
    pub code: RejectionCode,
    /// What is wrong, with the numbers that a person needs.
    pub detail: String,
}

impl Rejection {
    /// A rejection for one fault.
    pub(crate) fn new(version: Version, fault: Fault) -> Self {
        Self {
            code: fault.code,
            version,
            detail: fault.detail.clone(),
            faults: vec![fault],
        }
    }

    /// A rejection for `first`, which names it, and others of its class.
    pub(crate) fn with(version: Version, first: Fault, others: Vec<Fault>) -> Self {
        let mut rejection = Self::new(version, first);
        if !others.is_empty() {
            rejection.detail = format!("{} Further faults: {}.", rejection.detail, others.len());
        }
        rejection.faults.extend(others);
        rejection
    }

    /// A rejection for these faults, if there are any.
    pub(crate) fn unless_none(version: Version, mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        let first = faults.remove(0);
        Err(Self::with(version, first, faults))
    }
}

impl Fault {
    pub(crate) fn new(
        pointer: impl Into<String>,
        code: RejectionCode,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        }
    }
}

/// The stable code of a rejection or fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectionCode {
    /// `place` on an order that exists.
    OrderExists,
    /// Any other command on an order that does not.
    OrderNotFound,
    /// The order is not at the expected version.
    VersionConflict,
    /// The order is held and the command must wait for `release`.
    OrderHeld,
    /// The state does not allow the command.
    IllegalTransition,
    /// No such payment on this order.
    UnknownPayment,
    /// No such refund on this order.
    UnknownRefund,
    /// An amount outside its bounds.
    InvalidAmount,
    /// A quantity or line outside its bounds.
    InvalidQuantity,
    /// The same SKU and price twice.
    DuplicateLine,
    /// A text outside its bounds.
    InvalidText,
    /// More entries than an order may hold.
    LimitExceeded,
    /// No stock is kept under this SKU.
    UnknownSku,
    /// Less is available than asked for.
    InsufficientStock,
    /// A control command that names a command which is not the head of its lane.
    NotHead,
    /// A control command about a lane that is not there.
    NotParked,
    /// A control command that takes a pause away which is not there.
    NotPaused,
    /// A control command that would decide commands of a paused order.
    OrderPaused,
}

impl RejectionCode {
    /// Every code.
    pub const ALL: [Self; 18] = [
        Self::OrderExists,
        Self::OrderNotFound,
        Self::VersionConflict,
        Self::OrderHeld,
        Self::IllegalTransition,
        Self::UnknownPayment,
        Self::UnknownRefund,
        Self::InvalidAmount,
        Self::InvalidQuantity,
        Self::DuplicateLine,
        Self::InvalidText,
        Self::LimitExceeded,
        Self::UnknownSku,
        Self::InsufficientStock,
        Self::NotHead,
        Self::NotParked,
        Self::NotPaused,
        Self::OrderPaused,
    ];

    /// The code as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderExists => "order_exists",
            Self::OrderNotFound => "order_not_found",
            Self::VersionConflict => "version_conflict",
            Self::OrderHeld => "order_held",
            Self::IllegalTransition => "illegal_transition",
            Self::UnknownPayment => "unknown_payment",
            Self::UnknownRefund => "unknown_refund",
            Self::InvalidAmount => "invalid_amount",
            Self::InvalidQuantity => "invalid_quantity",
            Self::DuplicateLine => "duplicate_line",
            Self::InvalidText => "invalid_text",
            Self::LimitExceeded => "limit_exceeded",
            Self::UnknownSku => "unknown_sku",
            Self::InsufficientStock => "insufficient_stock",
            Self::NotHead => "not_head",
            Self::NotParked => "not_parked",
            Self::NotPaused => "not_paused",
            Self::OrderPaused => "order_paused",
        }
    }

    /// The code with this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
