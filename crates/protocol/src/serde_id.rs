//! Serde for the ids and versions of crate domain, which knows no serde. Ids are UUIDs in their 36 character form only:
//! one id, one text.

use orderly_domain::{CommandId, OrderId, PaymentId, ProducerId, RefundId, Version};
use serde::{Deserialize, Deserializer, Serializer, de};
use std::borrow::Cow;
use uuid::Uuid;

use crate::ids::parse_uuid;

/// An id that is a UUID on the wire.
pub(crate) trait UuidId: From<Uuid> + Copy {
    fn uuid(self) -> Uuid;
}

macro_rules! uuid_id {
    ($($id:ty),+) => {
        $(impl UuidId for $id {
            fn uuid(self) -> Uuid {
                self.0
            }
        })+
    };
}
uuid_id!(CommandId, OrderId, PaymentId, ProducerId, RefundId);

pub(crate) fn serialize<I: UuidId, S: Serializer>(
    id: &I,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(
        id.uuid()
            .hyphenated()
            .encode_lower(&mut Uuid::encode_buffer()),
    )
}

pub(crate) fn deserialize<'de, I: UuidId, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<I, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    parse_uuid(&text)
        .map(I::from)
        .ok_or_else(|| de::Error::custom("not a UUID"))
}

/// A version as a number.
pub(crate) mod version {
    use super::{Deserialize, Deserializer, Serializer, Version};

    pub(crate) fn serialize<S: Serializer>(
        version: &Version,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(version.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Version, D::Error> {
        u64::deserialize(deserializer).map(Version)
    }
}

/// A version that may be absent.
pub(crate) mod optional_version {
    use super::{Deserialize, Deserializer, Serializer, Version};

    pub(crate) fn serialize<S: Serializer>(
        version: &Option<Version>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match version {
            Some(version) => serializer.serialize_u64(version.0),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Version>, D::Error> {
        Option::<u64>::deserialize(deserializer).map(|version| version.map(Version))
    }
}
