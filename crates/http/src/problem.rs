//! Refusals as HTTP answers: problem+json (RFC 9457) with the id of the request.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use orderly_protocol::{Problem, ProblemCode, names};

use crate::RequestId;

/// A [`Problem`] on its way to the client, with the headers that belong to it.
#[derive(Clone, Debug)]
pub struct ProblemResponse(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    problem: Problem,
    headers: HeaderMap,
}

impl ProblemResponse {
    /// The problem `code`; `detail` is one sentence for a person.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// The problem itself.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says after how many seconds another try makes sense.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }
}

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Inner {
            problem,
            headers: HeaderMap::new(),
        }))
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let Inner { problem, headers } = *self.0;
        let status = StatusCode::from_u16(problem.status).expect("a problem has a valid status");
        let mut response = (status, headers).into_response();
        // The body is written by `render`, where the request id is known.
        response.extensions_mut().insert(problem);
        response
    }
}

/// Writes the body of an answer that is a problem.
pub(crate) fn render(response: &mut Response, request_id: &RequestId) {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else {
        return;
    };
    problem.request_id = Some(request_id.as_str().to_owned());
    let body = serde_json::to_vec(&problem).expect("a problem is plain data");
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    // Set for the empty body that stood here before.
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(names::PROBLEM_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

pub(crate) async fn not_found(uri: Uri) -> ProblemResponse {
    ProblemResponse::new(
        ProblemCode::NotFound,
        format!("there is nothing at {}", uri.path()),
    )
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> ProblemResponse {
    ProblemResponse::new(
        ProblemCode::MethodNotAllowed,
        format!("{} does not take {method}", uri.path()),
    )
}
