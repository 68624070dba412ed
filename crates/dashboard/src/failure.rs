//! Failures of the database as answers. The detail stays in the log.

use orderly_http::ProblemResponse;
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::{FaultClass, StoreError};

/// The answer to a request that the database could not serve.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn database(error: StoreError) -> ProblemResponse {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "a request failed in the database"
    );
    match error.class() {
        FaultClass::Transient | FaultClass::Systemic => ProblemResponse::from(Problem::new(
            ProblemCode::DatabaseUnavailable,
            "the database did not answer; the same request is safe to send again",
        ))
        .retry_after(1),
        FaultClass::Data => internal(),
    }
}

/// The answer to a request that met a fault of ours, already logged.
pub(crate) fn internal() -> ProblemResponse {
    Problem::new(
        ProblemCode::Internal,
        "the server could not read its own records; the log has more",
    )
    .into()
}
