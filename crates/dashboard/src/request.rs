//! Parts of requests that several handlers read: ids in the path, the query, one number in a body.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use orderly_domain::{MAX_AMOUNT_MINOR, OrderId, Sku};
use orderly_http::ProblemResponse;
use orderly_protocol::ids::parse_uuid;
use orderly_protocol::serde_json::Value;
use orderly_protocol::{FieldFault, Problem, ProblemCode};

use crate::operator::reason_fault;

/// The field of a body that says why, for the audit.
const REASON: &str = "reason";

/// The order in the path.
pub(crate) struct OrderPath(pub(crate) OrderId);

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let text = path(parts, state).await?;
        let id =
            parse_uuid(&text).ok_or_else(|| invalid("the order id in the path is not a UUID"))?;
        Ok(Self(OrderId(id)))
    }
}

/// The SKU in the path.
pub(crate) struct SkuPath(pub(crate) Sku);

impl<S: Send + Sync> FromRequestParts<S> for SkuPath {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let text = path(parts, state).await?;
        Sku::new(&text).map(Self).ok_or_else(invalid_sku)
    }
}

async fn path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, ProblemResponse> {
    let Path(text) = Path::<String>::from_request_parts(parts, state)
        .await
        .map_err(|_| invalid("the path is not UTF-8"))?;
    Ok(text)
}

/// The query: every parameter is asked for by name, at most once, and what nobody asked for is refused.
pub(crate) struct QueryParams(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let Query(pairs) =
            Query::try_from_uri(&parts.uri).map_err(|_| invalid("the query cannot be read"))?;
        Ok(Self(pairs))
    }
}

impl QueryParams {
    /// Every parameter, as it came.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The parameter `name`, if it is there.
    pub(crate) fn take<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, ProblemResponse> {
        let Some(at) = self.0.iter().position(|(given, _)| given == name) else {
            return Ok(None);
        };
        let (_, text) = self.0.swap_remove(at);
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(invalid(format!(
                "{name} in the query has a value that it cannot have"
            ))),
        }
    }

    /// The parameter `limit`: how many entries one answer may hold.
    pub(crate) fn take_limit(&mut self, default: u32, most: u32) -> Result<u32, ProblemResponse> {
        match self.take("limit")? {
            None => Ok(default),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(invalid(format!("limit in the query is 1 to {most}"))),
        }
    }

    /// Refuses what is left.
    pub(crate) fn finish(self) -> Result<(), ProblemResponse> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!(
                "the query parameter {name:?} is unknown here or stands twice"
            ))),
        }
    }
}

pub(crate) fn invalid(detail: impl Into<String>) -> ProblemResponse {
    Problem::new(ProblemCode::InvalidParameter, detail).into()
}

pub(crate) fn invalid_sku() -> ProblemResponse {
    invalid(format!(
        "a SKU has 1 to {} characters, none of them white space or a control character",
        Sku::MAX_CHARS
    ))
}

/// The whole number in a body, and the reason for the audit, if one is given: `{"<name>": 7, "reason": "…"}`.
pub(crate) fn integer_and_reason(
    body: &Value,
    name: &str,
) -> Result<(i64, Option<String>), Vec<FieldFault>> {
    let fault = |pointer: String, code: &str, detail: String| FieldFault {
        pointer,
        code: code.to_owned(),
        detail,
    };
    let Value::Object(fields) = body else {
        return Err(vec![fault(
            String::new(),
            "wrong_type",
            "must be an object".to_owned(),
        )]);
    };
    let unknown = fields.keys().filter(|key| *key != name && *key != REASON);
    let mut faults: Vec<_> = unknown
        .map(|key| {
            let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            fault(
                pointer,
                "unknown_field",
                format!("no such field; known: {name}, {REASON}"),
            )
        })
        .collect();
    let pointer = format!("/{name}");
    let exact = -MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR;
    let number = match fields.get(name) {
        None => Err(fault(pointer, "missing_field", "is required".to_owned())),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            let in_range = number.as_i64().filter(|number| exact.contains(number));
            in_range.ok_or_else(|| {
                fault(
                    pointer,
                    "invalid_value",
                    format!("is beyond ±{MAX_AMOUNT_MINOR}"),
                )
            })
        }
        Some(_) => Err(fault(
            pointer,
            "wrong_type",
            "must be a whole number".to_owned(),
        )),
    };
    let pointer = format!("/{REASON}");
    let reason = match fields.get(REASON) {
        None => Ok(None),
        Some(Value::String(reason)) => match reason_fault(reason) {
            None => Ok(Some(reason.clone())),
            Some(detail) => Err(fault(pointer, "invalid_value", detail)),
        },
        Some(_) => Err(fault(pointer, "wrong_type", "must be a text".to_owned())),
    };
    match (number, reason) {
        (Ok(number), Ok(reason)) if faults.is_empty() => Ok((number, reason)),
        (number, reason) => {
            faults.extend(number.err());
            faults.extend(reason.err());
            Err(faults)
        }
    }
}

/// `text` as one part of a URL (RFC 3986, section 2).
pub(crate) fn url_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let part = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(part).collect()
}

#[cfg(test)]
mod tests {
    use orderly_protocol::serde_json::json;

    use super::{integer_and_reason, url_encoded};

    #[test]
    fn a_body_of_one_number_is_read() {
        assert_eq!(
            integer_and_reason(&json!({"on_hand": 7}), "on_hand"),
            Ok((7, None))
        );
        assert_eq!(
            integer_and_reason(
                &json!({"delta": -9_007_199_254_740_991_i64, "reason": "broken"}),
                "delta"
            ),
            Ok((-9_007_199_254_740_991, Some("broken".to_owned())))
        );
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        let codes = |body| {
            let faults = integer_and_reason(&body, "delta").unwrap_err();
            faults
                .into_iter()
                .map(|fault| format!("{} {}", fault.pointer, fault.code))
                .collect::<Vec<_>>()
        };
        assert_eq!(codes(json!([])), [" wrong_type"]);
        assert_eq!(codes(json!({})), ["/delta missing_field"]);
        assert_eq!(codes(json!({"delta": "1"})), ["/delta wrong_type"]);
        assert_eq!(codes(json!({"delta": 1.0})), ["/delta wrong_type"]);
        assert_eq!(
            codes(json!({"delta": 9_007_199_254_740_992_i64})),
            ["/delta invalid_value"]
        );
        assert_eq!(codes(json!({"delta": u64::MAX})), ["/delta invalid_value"]);
        assert_eq!(
            codes(json!({"a/b": 1, "delta": null})),
            ["/a~1b unknown_field", "/delta wrong_type"]
        );
        assert_eq!(
            codes(json!({"delta": "1", "reason": ""})),
            ["/delta wrong_type", "/reason invalid_value"]
        );
        assert_eq!(
            codes(json!({"delta": 1, "reason": 7})),
            ["/reason wrong_type"]
        );
    }

    #[test]
    fn a_cursor_survives_the_url() {
        assert_eq!(url_encoded("MUG-RED_1.~"), "MUG-RED_1.~");
        assert_eq!(url_encoded("a/b&c=é%"), "a%2Fb%26c%3D%C3%A9%25");
    }
}
