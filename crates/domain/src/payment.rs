//! The payments and refunds of an order, as it remembers them.

use crate::{PaymentId, RefundId};

/// A payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub payment_id: PaymentId,
    /// What was asked for, minor units.
    pub amount_minor: i64,
    /// How.
    pub method: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// The gateway's own id, once known.
    pub reference: Option<String>,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// The gateway was asked.
    Requested,
    /// Reserved.
    Authorized,
    /// Taken. Final.
    Captured,
    /// Refused. Final.
    Declined,
}

impl PaymentStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [
        Self::Requested,
        Self::Authorized,
        Self::Captured,
        Self::Declined,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Declined => "declined",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it cannot change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Captured | Self::Declined)
    }
}

/// A refund of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub refund_id: RefundId,
    /// Minor units.
    pub amount_minor: i64,
    /// Where it stands.
    pub status: RefundStatus,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// The gateway was asked.
    Pending,
    /// Paid back. Final.
    Refunded,
    /// Did not work. Final.
    Failed,
}

impl RefundStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Refunded, Self::Failed];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it cannot change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Refunded | Self::Failed)
    }
}
