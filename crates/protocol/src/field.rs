//! What is wrong with one field of a request, and where. Finds no fault itself.

use std::fmt::Write as _;

use orderly_domain::Fault;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::pointer::Pointer;

/// A field that is required is not there.
pub(crate) const MISSING_FIELD: &str = "missing_field";
/// A field that nobody asked for.
pub(crate) const UNKNOWN_FIELD: &str = "unknown_field";
/// A JSON value of another type than the field's.
pub(crate) const WRONG_TYPE: &str = "wrong_type";
/// The right type, but not a value of the field.
pub(crate) const INVALID_VALUE: &str = "invalid_value";
/// No command has this name.
pub(crate) const UNKNOWN_TYPE: &str = "unknown_type";

/// One thing wrong with a request. `code` is `missing_field`, `unknown_field`, `wrong_type`, `invalid_value`,
/// `unknown_type`, or the code of a rule of the domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFault {
    /// JSON pointer (RFC 6901) into what was read; empty for the whole.
    pub pointer: String,
    /// Which rule; stable.
    pub code: String,
    /// What is wrong, for a person.
    pub detail: String,
}

impl FieldFault {
    /// The same fault, seen from a document that holds what was read under `prefix`, as `/data`.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        Self {
            pointer: format!("{prefix}{}", self.pointer),
            ..self
        }
    }
}

impl From<&Fault> for FieldFault {
    fn from(fault: &Fault) -> Self {
        Self {
            pointer: fault.pointer.clone(),
            code: fault.code.as_str().to_owned(),
            detail: fault.detail.clone(),
        }
    }
}

/// The faults in one line for a log or a lane, without control characters (Postgres takes no NUL in a text).
#[must_use]
pub fn describe_faults(faults: &[FieldFault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let separator = if text.is_empty() { "" } else { " " };
        let pointer = &fault.pointer;
        let colon = if pointer.is_empty() { "" } else { ": " };
        write!(text, "{separator}{pointer}{colon}{}", fault.detail)
            .expect("a String takes every write");
    }
    printable(&text)
}

/// `text` with its control characters escaped: details may quote what a stranger sent.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// Every fault found so far, bounded by [`limits::FAULTS`].
#[derive(Default)]
pub(crate) struct Faults(Vec<FieldFault>);

impl Faults {
    pub(crate) fn add(&mut self, at: Pointer<'_>, code: &str, detail: impl Into<String>) {
        if self.0.len() < limits::FAULTS {
            let detail = printable(&detail.into());
            self.0.push(FieldFault {
                pointer: at.to_string(),
                code: code.to_owned(),
                detail,
            });
        }
    }

    /// What was read, if nothing is wrong with it.
    pub(crate) fn settle<T>(self, read: Option<T>) -> Result<T, Vec<FieldFault>> {
        match read {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_in_details() {
        let mut faults = Faults::default();
        faults.add(
            Pointer::Field(&Pointer::Root, "a\0b"),
            UNKNOWN_FIELD,
            "no field \"a\0b\"",
        );
        let faults = faults.settle::<()>(None).unwrap_err();
        assert_eq!(faults[0].pointer, "/a\0b", "the pointer is exact");
        assert_eq!(faults[0].detail, "no field \"a\\u{0}b\"");
        assert_eq!(describe_faults(&faults), "/a\\u{0}b: no field \"a\\u{0}b\"");
    }

    #[test]
    fn faults_are_bounded() {
        let mut faults = Faults::default();
        for _ in 0..1_000 {
            faults.add(Pointer::Root, WRONG_TYPE, "wrong");
        }
        assert_eq!(faults.settle::<()>(None).unwrap_err().len(), limits::FAULTS);
    }
}
