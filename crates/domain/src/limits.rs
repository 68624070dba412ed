//! How large each part of an order may be. The ingress, the wire description and `faults` all read these.

/// Lines of one order, or of one shipment or return. An order is loaded, decided and stored whole, and a batch locks
/// the stock of all its lines.
pub const ORDER_LINES: usize = 1_000;
/// Pieces in one line. Far above any real line, far below where quantity times price could leave an `i64`'s reach.
pub const LINE_QUANTITY: i64 = 1_000_000;

/// Keys of annotations per order, because an order is loaded and stored whole.
pub const ANNOTATIONS: usize = 100;
/// Payments per order, because an order is loaded and stored whole. Each but the last was declined.
pub const PAYMENTS: usize = 100;
/// Refunds per order that `refund` may ask for, because an order is loaded and stored whole. The one refund that a
/// cancellation may cause comes on top: money that must go back does not wait for room.
pub const REFUNDS: usize = 1_000;

/// Characters of a customer's id: room for any scheme with a prefix; it is indexed.
pub const CUSTOMER_ID_CHARS: usize = 128;
/// Characters of a note: a page of text.
pub const NOTE_CHARS: usize = 2_000;
/// Characters of a reason: a few sentences.
pub const REASON_CHARS: usize = 500;
/// Characters of an annotation's key: an identifier, not a text.
pub const ANNOTATION_KEY_CHARS: usize = 64;
/// Characters of an annotation's value: a short text or another system's URL.
pub const ANNOTATION_VALUE_CHARS: usize = 1_000;
/// Characters of a payment method: an identifier of the gateway.
pub const METHOD_CHARS: usize = 64;
/// Characters of what others name: carrier, tracking number, the gateway's reference. Their systems allow 255.
pub const FOREIGN_ID_CHARS: usize = 255;
/// Characters of each line of an address; postal standards stop well before.
pub const ADDRESS_LINE_CHARS: usize = 200;
/// Street lines of an address (UPU S42 knows no layout with more).
pub const STREET_LINES: usize = 4;
