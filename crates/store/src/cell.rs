//! Reads cells into the types of domain and protocol, and names the cell that cannot be read.

use std::fmt::Display;

use orderly_domain::{Sku, Version};
use orderly_protocol::Fingerprint;
use serde_json::value::RawValue;

use crate::StoreError;

/// The row under the eyes: says where a bad cell was found.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    table: &'static str,
    key: &'a dyn Display,
}

impl<'a> Row<'a> {
    pub(crate) fn new(table: &'static str, key: &'a dyn Display) -> Self {
        Self { table, key }
    }

    pub(crate) fn bad(self, column: &'static str, expected: &'static str) -> StoreError {
        StoreError::BadCell {
            table: self.table,
            column,
            row: self.key.to_string(),
            expected,
        }
    }

    pub(crate) fn version(self, column: &'static str, cell: i64) -> Result<Version, StoreError> {
        u64::try_from(cell)
            .map(Version)
            .map_err(|_| self.bad(column, "a version"))
    }

    pub(crate) fn sku(self, column: &'static str, cell: &str) -> Result<Sku, StoreError> {
        Sku::new(cell).ok_or_else(|| self.bad(column, "a SKU"))
    }

    /// SHA-256 hashes and keys: 32 bytes.
    pub(crate) fn bytes(self, column: &'static str, cell: &[u8]) -> Result<[u8; 32], StoreError> {
        cell.try_into().map_err(|_| self.bad(column, "32 bytes"))
    }

    pub(crate) fn fingerprint(
        self,
        column: &'static str,
        cell: &[u8],
    ) -> Result<Fingerprint, StoreError> {
        self.bytes(column, cell).map(Fingerprint)
    }

    pub(crate) fn json(
        self,
        column: &'static str,
        cell: String,
    ) -> Result<Box<RawValue>, StoreError> {
        RawValue::from_string(cell).map_err(|_| self.bad(column, "JSON"))
    }
}

/// A version as its cell. Versions count commands of one order: they never come near 2^63.
pub(crate) fn from_version(version: Version) -> i64 {
    i64::try_from(version.0).expect("a version fits a bigint")
}
