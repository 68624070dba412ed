//! Writes the types of crate domain as JSON. Owns the parts that several documents share; each document's own shape
//! stands beside its reader.

use orderly_domain::{
    Address, CommandId, Currency, LineQuantity, NewLine, OrderId, PaymentId, RefundId, Version,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::serde_id;

/// A domain value in its JSON form.
pub(crate) struct Json<'a, T: ?Sized>(pub(crate) &'a T);

/// Writes a field only if there is something to write.
pub(crate) fn entry_if_some<M: SerializeMap, T: Serialize>(
    map: &mut M,
    name: &'static str,
    value: Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(name, &value),
        None => Ok(()),
    }
}

macro_rules! json_id {
    ($($id:ty),+) => {
        $(impl Serialize for Json<'_, $id> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde_id::serialize(self.0, serializer)
            }
        })+
    };
}
json_id!(CommandId, OrderId, PaymentId, RefundId);

impl Serialize for Json<'_, Version> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_id::version::serialize(self.0, serializer)
    }
}

impl Serialize for Json<'_, Currency> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<T> Serialize for Json<'_, Vec<T>>
where
    for<'a> Json<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Json))
    }
}

impl Serialize for Json<'_, NewLine> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("sku", self.0.sku.as_str())?;
        map.serialize_entry("quantity", &self.0.quantity)?;
        map.serialize_entry("unit_price_minor", &self.0.unit_price_minor)?;
        map.end()
    }
}

impl Serialize for Json<'_, LineQuantity> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("line", &self.0.line)?;
        map.serialize_entry("quantity", &self.0.quantity)?;
        map.end()
    }
}

impl Serialize for Json<'_, Address> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let address = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &address.name)?;
        map.serialize_entry("street", &address.street)?;
        map.serialize_entry("city", &address.city)?;
        entry_if_some(&mut map, "region", address.region.as_ref())?;
        entry_if_some(&mut map, "postal_code", address.postal_code.as_ref())?;
        map.serialize_entry("country", &address.country)?;
        map.end()
    }
}
