//! Reads typed values out of JSON and notes every fault on the way: each field is asked for by its name, and what nobody
//! asked for is unknown. Owns the way of reading and the parts that several documents share; knows no document.

use std::collections::BTreeMap;

use orderly_domain::{Address, Currency, LineQuantity, NewLine, Sku, Version};
use serde_json::{Map, Value};

use crate::field::{Faults, INVALID_VALUE, MISSING_FIELD, UNKNOWN_FIELD, WRONG_TYPE};
use crate::ids::parse_uuid;
use crate::limits;
use crate::pointer::Pointer;
use crate::serde_id::UuidId;

/// A type that can be read from a JSON value. `None` means that at least one fault was noted.
pub(crate) trait FromJson: Sized {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self>;
}

/// Reads a whole document.
pub(crate) fn document<T: FromJson>(value: &Value) -> Result<T, Vec<crate::FieldFault>> {
    let mut faults = Faults::default();
    let read = T::read(value, Pointer::Root, &mut faults);
    faults.settle(read)
}

/// The fields of one object.
pub(crate) struct Fields<'v, 'f> {
    object: &'v Map<String, Value>,
    at: Pointer<'f>,
    faults: &'f mut Faults,
    asked: Vec<&'static str>,
}

impl<'v, 'f> Fields<'v, 'f> {
    /// The fields of `value`, which must be an object.
    pub(crate) fn of(value: &'v Value, at: Pointer<'f>, faults: &'f mut Faults) -> Option<Self> {
        let Value::Object(object) = value else {
            wrong_type("an object", value, at, faults);
            return None;
        };
        Some(Self {
            object,
            at,
            faults,
            asked: Vec::with_capacity(16),
        })
    }

    /// A field that must be there.
    pub(crate) fn required<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        self.required_with(name, T::read)
    }

    /// A field that may be absent or null.
    #[expect(
        clippy::option_option,
        reason = "outside: was it read; inside: was it there"
    )]
    pub(crate) fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.optional_with(name, T::read)
    }

    /// A field that may be absent or null, read in a way of its own.
    #[expect(
        clippy::option_option,
        reason = "outside: was it read; inside: was it there"
    )]
    pub(crate) fn optional_with<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value, Pointer<'_>, &mut Faults) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => read(value, Pointer::Field(&self.at, name), self.faults).map(Some),
        }
    }

    /// A field that must be there, read in a way of its own.
    pub(crate) fn required_with<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value, Pointer<'_>, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.take(name) else {
            self.faults.add(
                Pointer::Field(&self.at, name),
                MISSING_FIELD,
                "Is required.",
            );
            return None;
        };
        read(value, Pointer::Field(&self.at, name), self.faults)
    }

    /// The value of a field that the caller reads, or leaves unread.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'v Value> {
        self.asked.push(name);
        self.object.get(name)
    }

    /// Notes every field that nobody asked for, and hands the faults back.
    pub(crate) fn close(self) -> &'f mut Faults {
        for name in self.object.keys() {
            if !self.asked.contains(&name.as_str()) {
                let at = Pointer::Field(&self.at, name);
                self.faults.add(
                    at,
                    UNKNOWN_FIELD,
                    format!("No such field; known: {}.", self.asked.join(", ")),
                );
            }
        }
        self.faults
    }
}

/// Notes that `value` is not of the type that was `wanted`.
pub(crate) fn wrong_type(wanted: &str, value: &Value, at: Pointer<'_>, faults: &mut Faults) {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction or exponent",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    faults.add(at, WRONG_TYPE, format!("Must be {wanted}, not {found}."));
}

/// Reads a string that `parse` understands; `wanted` says what that is.
pub(crate) fn text<T>(
    value: &Value,
    at: Pointer<'_>,
    faults: &mut Faults,
    wanted: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let Value::String(text) = value else {
        wrong_type("a string", value, at, faults);
        return None;
    };
    let read = parse(text);
    if read.is_none() {
        faults.add(at, INVALID_VALUE, format!("Must be {wanted}."));
    }
    read
}

impl FromJson for String {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(value, at, faults, "a string", |text| Some(text.to_owned()))
    }
}

impl FromJson for i64 {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        match value {
            Value::Number(number) if !number.is_f64() => {
                let exact = number
                    .as_i64()
                    .filter(|n| n.unsigned_abs() <= limits::JSON_INTEGER.unsigned_abs());
                if exact.is_none() {
                    faults.add(
                        at,
                        INVALID_VALUE,
                        "Must be between -(2^53 - 1) and 2^53 - 1.",
                    );
                }
                exact
            }
            _ => {
                wrong_type("an integer", value, at, faults);
                None
            }
        }
    }
}

impl FromJson for Version {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let number = i64::read(value, at, faults)?;
        let version = u64::try_from(number).ok().map(Version);
        if version.is_none() {
            faults.add(at, INVALID_VALUE, "Must not be negative.");
        }
        version
    }
}

impl<I: UuidId> FromJson for I {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(value, at, faults, "a UUID of 36 characters", |text| {
            parse_uuid(text).map(I::from)
        })
    }
}

impl FromJson for Sku {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(
            value,
            at,
            faults,
            "1 to 64 characters without white space or controls",
            Self::new,
        )
    }
}

impl FromJson for Currency {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(value, at, faults, "an ISO 4217 currency code", Self::new)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let Value::Array(items) = value else {
            wrong_type("an array", value, at, faults);
            return None;
        };
        // Every item is read, even after a fault, so that all faults are reported at once.
        let mut read = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            read.extend(T::read(item, Pointer::Item(&at, index), faults));
        }
        (read.len() == items.len()).then_some(read)
    }
}

impl FromJson for BTreeMap<String, String> {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let Value::Object(object) = value else {
            wrong_type("an object", value, at, faults);
            return None;
        };
        let mut read = Self::new();
        for (name, value) in object {
            let text = String::read(value, Pointer::Field(&at, name), faults);
            read.extend(text.map(|text| (name.clone(), text)));
        }
        (read.len() == object.len()).then_some(read)
    }
}

impl FromJson for NewLine {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let sku = fields.required("sku");
        let quantity = fields.required("quantity");
        let unit_price_minor = fields.required("unit_price_minor");
        fields.close();
        Some(Self {
            sku: sku?,
            quantity: quantity?,
            unit_price_minor: unit_price_minor?,
        })
    }
}

impl FromJson for LineQuantity {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let line = fields.required_with("line", |value, at, faults| {
            let line = i64::read(value, at, faults)?;
            let number = u32::try_from(line).ok().filter(|line| *line > 0);
            if number.is_none() {
                faults.add(at, INVALID_VALUE, "Must be the number of a line, from 1.");
            }
            number
        });
        let quantity = fields.required("quantity");
        fields.close();
        Some(Self {
            line: line?,
            quantity: quantity?,
        })
    }
}

impl FromJson for Address {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let name = fields.required("name");
        let street = fields.required("street");
        let city = fields.required("city");
        let region = fields.optional("region");
        let postal_code = fields.optional("postal_code");
        let country = fields.required("country");
        fields.close();
        Some(Self {
            name: name?,
            street: street?,
            city: city?,
            region: region?,
            postal_code: postal_code?,
            country: country?,
        })
    }
}
