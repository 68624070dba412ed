//! The kinds of commands and their names.

/// Which command, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// See [`crate::Action::Place`].
    Place,
    /// See [`crate::Action::Amend`].
    Amend,
    /// See [`crate::Action::SetAddress`].
    SetAddress,
    /// See [`crate::Action::Annotate`].
    Annotate,
    /// See [`crate::Action::Hold`].
    Hold,
    /// See [`crate::Action::Release`].
    Release,
    /// See [`crate::Action::Pay`].
    Pay,
    /// See [`crate::Action::RecordPayment`].
    RecordPayment,
    /// See [`crate::Action::Ship`].
    Ship,
    /// See [`crate::Action::Deliver`].
    Deliver,
    /// See [`crate::Action::Cancel`].
    Cancel,
    /// See [`crate::Action::Refund`].
    Refund,
    /// See [`crate::Action::RecordRefund`].
    RecordRefund,
    /// See [`crate::Action::Return`].
    Return,
}

impl ActionKind {
    /// Every kind, in the order in which people meet them.
    pub const ALL: [Self; 14] = [
        Self::Place,
        Self::Amend,
        Self::SetAddress,
        Self::Annotate,
        Self::Hold,
        Self::Release,
        Self::Pay,
        Self::RecordPayment,
        Self::Ship,
        Self::Deliver,
        Self::Cancel,
        Self::Refund,
        Self::RecordRefund,
        Self::Return,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Amend => "amend",
            Self::SetAddress => "set_address",
            Self::Annotate => "annotate",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Pay => "pay",
            Self::RecordPayment => "record_payment",
            Self::Ship => "ship",
            Self::Deliver => "deliver",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::RecordRefund => "record_refund",
            Self::Return => "return",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
