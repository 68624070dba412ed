//! What can go wrong with the database, sorted by what to do about it. Knows no business rule.

use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// The unique indexes that make a command's effect happen once: in `commands`, and in `lane_entries` while it is parked.
const ONCE_PER_COMMAND: [&str; 2] = ["commands_pkey", "lane_entries_once"];

/// A failure of the database, or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The driver or the server failed, or refused the statement.
    #[error("database call failed")]
    Driver(#[from] sqlx::Error),

    /// The schema could not be brought up to date.
    #[error("migrations could not be applied")]
    Migrate(#[from] MigrateError),

    /// No answer in time. The call may still have its effect.
    #[error("no answer from the database within {} s", after.as_secs())]
    TimedOut {
        /// How long the call was waited for.
        after: Duration,
    },

    /// A cell holds what this version cannot read. What is there is not repeated: it may be personal.
    #[error("{table}.{column} of row {row} is not {expected}")]
    BadCell {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What should be there.
        expected: &'static str,
    },

    /// A statement touched another number of rows than it must.
    #[error("{actual} rows of {table} written instead of {expected}")]
    RowCount {
        /// The table.
        table: &'static str,
        /// How many rows the statement must touch.
        expected: u64,
        /// How many it touched.
        actual: u64,
    },
}

/// What to do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// Lost against another transaction: run it again in place.
    Transient,
    /// The database, the way to it or this program is at fault, not what was written: come back later, blame no command.
    Systemic,
    /// The values are at fault: running it again fails again.
    Data,
}

impl StoreError {
    /// What to do about it. Whatever is not known to be transient or a fault of the data is systemic, since a systemic
    /// fault costs time but never a command.
    #[must_use]
    pub fn class(&self) -> FaultClass {
        match self {
            Self::BadCell { .. } => FaultClass::Data,
            Self::TimedOut { .. } | Self::RowCount { .. } => FaultClass::Systemic,
            // Another shard was first with the same command id: run again, and dedupe finds it.
            Self::Driver(_)
                if self
                    .constraint()
                    .is_some_and(|name| ONCE_PER_COMMAND.contains(&name)) =>
            {
                FaultClass::Transient
            }
            Self::Driver(_) | Self::Migrate(_) => self
                .sqlstate()
                .map_or(FaultClass::Systemic, class_of_sqlstate),
        }
    }

    /// Whether running the same transaction again may succeed at once.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class() == FaultClass::Transient
    }

    /// The five characters by which Postgres names the fault, if it was Postgres that refused.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.refusal().map(PgDatabaseError::code)
    }

    /// The name of the violated constraint, if one was.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.refusal().and_then(PgDatabaseError::constraint)
    }

    /// A statement must touch exactly the rows it was written for: fewer is a lost write, more a wrong one.
    pub(crate) fn expect_rows(
        table: &'static str,
        expected: usize,
        actual: u64,
    ) -> Result<(), Self> {
        let expected = u64::try_from(expected).unwrap_or(u64::MAX);
        if actual == expected {
            Ok(())
        } else {
            Err(Self::RowCount {
                table,
                expected,
                actual,
            })
        }
    }

    fn refusal(&self) -> Option<&PgDatabaseError> {
        let (Self::Driver(driver)
        | Self::Migrate(
            MigrateError::Execute(driver) | MigrateError::ExecuteMigration(driver, _),
        )) = self
        else {
            return None;
        };
        driver.as_database_error()?.try_downcast_ref()
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn class_of_sqlstate(sqlstate: &str) -> FaultClass {
    match sqlstate {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => FaultClass::Transient,
        // data_exception, integrity_constraint_violation
        state if state.starts_with("22") || state.starts_with("23") => FaultClass::Data,
        _ => FaultClass::Systemic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_fall_into_their_classes() {
        for state in ["40001", "40P01", "55P03"] {
            assert_eq!(class_of_sqlstate(state), FaultClass::Transient, "{state}");
        }
        for state in ["22001", "22P02", "22P05", "23502", "23505", "23514"] {
            assert_eq!(class_of_sqlstate(state), FaultClass::Data, "{state}");
        }
        for state in [
            "08006", "25P03", "25006", "28P01", "42P01", "53300", "57014", "57P01", "58030",
            "XX000",
        ] {
            assert_eq!(class_of_sqlstate(state), FaultClass::Systemic, "{state}");
        }
    }

    #[test]
    fn faults_without_a_sqlstate_blame_no_command() {
        for fault in [
            sqlx::Error::PoolTimedOut,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::RowNotFound,
        ] {
            assert_eq!(StoreError::Driver(fault).class(), FaultClass::Systemic);
        }
        let timed_out = StoreError::TimedOut {
            after: Duration::from_secs(20),
        };
        assert_eq!(timed_out.class(), FaultClass::Systemic);
        assert_eq!(
            timed_out.to_string(),
            "no answer from the database within 20 s"
        );
    }

    #[test]
    fn bad_cell_is_a_fault_of_the_data_and_names_its_place() {
        let fault = StoreError::BadCell {
            table: "orders",
            column: "state",
            row: "7".to_owned(),
            expected: "an order",
        };
        assert_eq!(fault.class(), FaultClass::Data);
        assert_eq!(fault.to_string(), "orders.state of row 7 is not an order");
    }
}
