//! What a client is told when a request fails (RFC 9457). Owns the codes, which are stable, and what each means for a
//! retry. Details for operators belong into the log, not here.

use orderly_domain::RejectionCode;
use serde::{Deserialize, Serialize};

use crate::field::FieldFault;
use crate::outcome::RejectionBody;

/// A problem as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Reference to the description of the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The code in words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable code to act on.
    pub code: String,
    /// This occurrence, in one sentence.
    pub detail: String,
    /// Whether the same request may succeed later and is safe to repeat. A command without an idempotency key is only
    /// safe if the detail says so.
    pub retryable: bool,
    /// To be named in a question to the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Every fault found; pointers into the request's body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldFault>,
    /// What could be sent instead, where an order said no.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_commands: Vec<String>,
}

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $status:literal $retryable:literal $title:literal;)+) => {
        /// Every problem that is not a rejection by an order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)+
        }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// Its HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }

            /// The code in words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// Whether the same request may succeed later and is safe to repeat.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable),+ }
            }
        }
    };
}

problem_codes! {
    /// Not JSON, or a key twice in an object.
    MalformedJson "malformed_json" 400 false "The body is not acceptable JSON";
    /// A header that cannot be understood or does not belong to this request.
    InvalidHeader "invalid_header" 400 false "A header is not acceptable";
    /// A query parameter or path segment that cannot be understood.
    InvalidParameter "invalid_parameter" 400 false "A parameter is not acceptable";
    /// No key, or not a live one.
    Unauthenticated "unauthenticated" 401 false "A valid API key is required";
    /// The key lacks a scope.
    Forbidden "forbidden" 403 false "The API key may not do this";
    /// No such thing.
    NotFound "not_found" 404 false "Not found";
    /// No order with this id.
    OrderNotFound "order_not_found" 404 false "The order does not exist";
    /// The receipt is not one of ours.
    ReceiptInvalid "receipt_invalid" 404 false "The receipt is not valid";
    /// The path exists, the method does not.
    MethodNotAllowed "method_not_allowed" 405 false "The method is not allowed here";
    /// The body took too long to arrive.
    RequestTimeout "request_timeout" 408 true "The request did not arrive in time";
    /// The order exists already, with other content.
    OrderExists "order_exists" 409 false "The order exists already";
    /// The command is not the head of its order's lane.
    NotHead "not_head" 409 false "The command is not the head of its lane";
    /// A stock level below what orders hold.
    StockBelowReserved "stock_below_reserved" 409 false "Stock cannot fall below what is reserved";
    /// A resize is under way, and this cannot be done beside it.
    ResizeUnderWay "resize_under_way" 409 true "A resize is under way";
    /// There is no resize to take back.
    NoResize "no_resize" 409 false "No resize is under way";
    /// A resize to the number of shards that there are.
    SameShardCount "same_shard_count" 409 false "There are so many shards already";
    /// What asks for every shard cannot be done while one is paused.
    ShardsPaused "shards_paused" 409 true "A shard is paused";
    /// The only worker that is alive and not drained.
    LastWorker "last_worker" 409 true "No other worker could take over";
    /// The dead letter was retried, repaired or discarded before.
    DeadLetterResolved "dead_letter_resolved" 409 false "The dead letter is resolved";
    /// This version can read it no better than the one that kept it.
    DeadLetterUnreadable "dead_letter_unreadable" 409 false "The dead letter cannot be read";
    /// The receipt's time is over.
    ReceiptExpired "receipt_expired" 410 false "The receipt has expired";
    /// The order is not at the version that `If-Match` names.
    VersionConflict "version_conflict" 412 false "The order is not at the expected version";
    /// The body is too large.
    PayloadTooLarge "payload_too_large" 413 false "The body is too large";
    /// The body is not JSON by its content type.
    UnsupportedMediaType "unsupported_media_type" 415 false "The content type is not supported";
    /// The command cannot be read, or breaks a rule that needs no order to be seen.
    InvalidCommand "invalid_command" 422 false "The command is not valid";
    /// The stock write cannot be read, or leaves the bounds of a stock level.
    InvalidStockWrite "invalid_stock_write" 422 false "The stock write is not valid";
    /// The key belongs to another request.
    IdempotencyKeyReused "idempotency_key_reused" 422 false "The idempotency key was used for another request";
    /// A command of the same order, before it in the same batch, was not accepted. Certainly not stored.
    PrecedingNotAccepted "preceding_not_accepted" 424 true "An earlier command of the order was not accepted";
    /// Too many requests of this producer.
    RateLimited "rate_limited" 429 true "Too many requests";
    /// A fault of ours.
    Internal "internal" 500 true "Something went wrong on the server";
    /// The shard's queue takes no more now. Certainly not stored.
    ShardFull "shard_full" 503 true "The order's shard is full";
    /// The broker is away or blocked. Certainly not stored.
    BrokerUnavailable "broker_unavailable" 503 true "The message broker is unavailable";
    /// It may be stored or not.
    OutcomeUnknown "outcome_unknown" 503 true "It is not known whether the command was stored";
    /// The database is away.
    DatabaseUnavailable "database_unavailable" 503 true "The database is unavailable";
    /// The process stops or has not started fully.
    NotReady "not_ready" 503 true "The server is not ready";
}

impl Problem {
    /// A problem with this code; `detail` is one sentence for a person.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            type_uri: type_uri(code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: detail.into(),
            retryable: code.retryable(),
            request_id: None,
            errors: Vec::new(),
            allowed_commands: Vec::new(),
        }
    }

    /// The problem of a command that its order rejected, or that was discarded. Its faults point into the command's data,
    /// which stands in the request's body under `data_pointer`.
    #[must_use]
    pub fn rejection(rejection: &RejectionBody, data_pointer: &str) -> Self {
        let (status, title) = rejection_status(&rejection.code);
        let errors = rejection.errors.iter().cloned();
        Self {
            type_uri: type_uri(&rejection.code),
            title: title.to_owned(),
            status,
            code: rejection.code.clone(),
            detail: rejection.detail.clone(),
            // The outcome is final: the same request gets the same answer.
            retryable: false,
            request_id: None,
            errors: errors.map(|fault| fault.under(data_pointer)).collect(),
            allowed_commands: rejection.allowed_commands.clone(),
        }
    }

    /// The same problem with these faults.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldFault>) -> Self {
        Self { errors, ..self }
    }

    /// The same problem for this request.
    #[must_use]
    pub fn with_request_id(self, request_id: impl Into<String>) -> Self {
        Self {
            request_id: Some(request_id.into()),
            ..self
        }
    }
}

fn type_uri(code: &str) -> String {
    format!("/docs/problems#{code}")
}

/// HTTP status and title of a rejection. What another content of the same command would cure is 422; what depends on
/// the order's state or the stock is 409.
fn rejection_status(code: &str) -> (u16, &'static str) {
    let Some(code) = RejectionCode::parse(code) else {
        return (409, "The command was discarded");
    };
    match code {
        RejectionCode::OrderNotFound => (404, ProblemCode::OrderNotFound.title()),
        RejectionCode::OrderExists => (409, ProblemCode::OrderExists.title()),
        RejectionCode::OrderHeld => (409, "The order is held"),
        RejectionCode::IllegalTransition => (409, "The order's status does not allow this"),
        RejectionCode::UnknownPayment => (409, "The order has no such payment"),
        RejectionCode::UnknownRefund => (409, "The order has no such refund"),
        RejectionCode::InsufficientStock => (409, "Not enough stock is available"),
        RejectionCode::NotHead => (409, "The command is not the head of its lane"),
        RejectionCode::NotParked => (409, "The order has no lane"),
        RejectionCode::NotPaused => (409, "The order is not paused"),
        RejectionCode::OrderPaused => (409, "The order is paused"),
        RejectionCode::VersionConflict => (412, ProblemCode::VersionConflict.title()),
        RejectionCode::InvalidAmount => (422, "An amount is out of bounds"),
        RejectionCode::InvalidQuantity => (422, "A quantity is out of bounds"),
        RejectionCode::DuplicateLine => (422, "A line stands twice"),
        RejectionCode::InvalidText => (422, "A text is out of bounds"),
        RejectionCode::LimitExceeded => (422, "More than an order may hold"),
        RejectionCode::UnknownSku => (422, "No stock is kept under a SKU"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let mut codes: Vec<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ProblemCode::ALL.len());
        assert!(
            ProblemCode::ALL
                .iter()
                .all(|code| (400..600).contains(&code.status()))
        );
    }

    #[test]
    fn a_rejection_and_its_problem_agree_where_both_have_the_code() {
        for code in RejectionCode::ALL {
            let (status, title) = rejection_status(code.as_str());
            for problem in ProblemCode::ALL
                .iter()
                .filter(|it| it.as_str() == code.as_str())
            {
                assert_eq!((problem.status(), problem.title()), (status, title));
            }
        }
        assert_eq!(rejection_status("skipped").0, 409);
    }
}
