//! The kinds of commands and their names.

/// Which command, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// See [`Action::Place`].
    Place,
    /// See [`Action::Amend`].
    Amend,
    /// See [`Action::SetAddress`].
    SetAddress,
    /// See [`Action::Annotate`].
    Annotate,
    /// See [`Action::Hold`].
    Hold,
    /// See [`Action::Release`].
    Release,
    /// See [`Action::Pay`].
    Pay,
    /// See [`Action::RecordPayment`].
    RecordPayment,
    /// See [`Action::Ship`].
    Ship,
    /// See [`Action::Deliver`].
    Deliver,
    /// See [`Action::Cancel`].
    Cancel,
    /// See [`Action::Refund`].
    Refund,
    /// See [`Action::RecordRefund`].
    RecordRefund,
    /// See [`Action::Return`].
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
