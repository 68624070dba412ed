//! Reads JSON text from strangers, more strictly than `serde_json` alone: a key twice in an object is refused (RFC 7493,
//! section 2.3), since readers differ in which one they take, and so is deep nesting.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::field::printable;
use crate::limits;
use crate::pointer::Pointer;

/// A text that is not acceptable JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct JsonFault {
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in bytes; 0 is the end of the line before.
    pub column: usize,
    /// JSON pointer to a key that stands twice, or to what is nested too deeply.
    pub pointer: Option<String>,
    /// What is wrong and where, for a person.
    pub detail: String,
}

/// Reads one JSON value. Numbers are kept as they came; whether an integer is wanted is for the reader of the field.
///
/// # Errors
/// If the bytes are not UTF-8, not one JSON value, hold a key twice in an object, or nest deeper than
/// [`limits::JSON_DEPTH`].
pub fn parse_json(bytes: &[u8]) -> Result<Value, JsonFault> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let place = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Strict {
        at: Pointer::Root,
        place: &place,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value))
    .map_err(|error| JsonFault {
        line: error.line(),
        column: error.column(),
        pointer: place.take(),
        detail: printable(&error.to_string()),
    })
}

fn not_utf8(bytes: &[u8], valid: usize) -> JsonFault {
    let lines: Vec<&[u8]> = bytes[..valid].split(|byte| *byte == b'\n').collect();
    let (line, column) = (lines.len(), lines.last().map_or(1, |last| last.len() + 1));
    let detail = format!("not UTF-8 at line {line} column {column}");
    JsonFault {
        line,
        column,
        pointer: None,
        detail,
    }
}

/// Reads the value at a place. `place` takes the pointer of a fault, for which a serde error has no room.
struct Strict<'a> {
    at: Pointer<'a>,
    place: &'a RefCell<Option<String>>,
}

impl Strict<'_> {
    fn fault<E: de::Error>(&self, at: Pointer<'_>, detail: &str) -> E {
        let pointer = at.to_string();
        let error = E::custom(format_args!("{detail} ({pointer})"));
        self.place.replace(Some(pointer));
        error
    }

    fn refuse_depth<E: de::Error>(&self) -> Result<(), E> {
        if self.at.depth() < limits::JSON_DEPTH {
            return Ok(());
        }
        Err(self.fault(
            self.at,
            &format!("nested deeper than {} levels", limits::JSON_DEPTH),
        ))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.refuse_depth()?;
        let mut array = Vec::new();
        loop {
            let at = Pointer::Item(&self.at, array.len());
            let Some(item) = items.next_element_seed(Strict {
                at,
                place: self.place,
            })?
            else {
                return Ok(Value::Array(array));
            };
            array.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.refuse_depth()?;
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let at = Pointer::Field(&self.at, &name);
            if object.contains_key(&name) {
                return Err(self.fault(at, "key stands twice in its object"));
            }
            let value = fields.next_value_seed(Strict {
                at,
                place: self.place,
            })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_it_came() {
        let value = parse_json(br#" {"a":[1,-2,1.5,true,null,"\u0000x"],"b":{}} "#).unwrap();
        assert_eq!(
            value,
            json!({"a": [1, -2, 1.5, true, null, "\u{0}x"], "b": {}})
        );
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        let fault = parse_json(b"{\"lines\":[{\"sku\":\"A\",\n\"sku\":\"B\"}]}").unwrap_err();
        assert_eq!(fault.pointer.as_deref(), Some("/lines/0/sku"));
        assert_eq!((fault.line, fault.column), (2, 5));
        assert!(fault.detail.contains("stands twice"), "{fault}");
        // Two spellings of one key are one key.
        assert!(parse_json(br#"{"a":1,"\u0061":2}"#).is_err());
        assert!(parse_json(br#"{"a":{"x":1},"b":{"x":1}}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse_json(&nested(limits::JSON_DEPTH)).is_ok());
        let fault = parse_json(&nested(limits::JSON_DEPTH + 1)).unwrap_err();
        assert!(
            fault.detail.contains("nested deeper than 100 levels"),
            "{fault}"
        );
        assert!(fault.pointer.is_some());
        // Far deeper must not exhaust the stack either.
        assert!(parse_json(&nested(1_000_000)).is_err());
    }

    #[test]
    fn what_is_not_json_is_placed() {
        let fault = parse_json(b"{\n\"a\": }").unwrap_err();
        assert_eq!((fault.line, fault.pointer), (2, None));
        assert!(parse_json(b"").is_err());
        assert!(parse_json(b"{} {}").is_err());
        assert!(parse_json(b"1e999").is_err());
        assert!(
            parse_json(br#""\ud800""#).is_err(),
            "half of a surrogate pair"
        );
        let fault = parse_json(b"{\"a\":\n\"\xff\"}").unwrap_err();
        assert_eq!(fault.detail, "not UTF-8 at line 2 column 2");
    }
}
