//! Whether entries make one chain: the walk from one to the next. Pure; reads nothing.

use orderly_protocol::audit::{AuditHash, AuditRecord};
use serde::Serialize;

/// The first entry that does not fit, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    pub(super) audit_id: i64,
    pub(super) what: String,
}

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Head {
    pub(super) audit_id: i64,
    pub(super) hash: AuditHash,
}

/// The walk, from behind `last` on.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) last: Head,
    pub(super) entries: u64,
    /// A head that was written down earlier, and whether it was met.
    noted: Option<(AuditHash, bool)>,
}

impl Walk {
    /// From behind an entry whose hash is taken for granted, or from the beginning.
    pub(super) fn behind(last: Option<Head>, noted: Option<AuditHash>) -> Self {
        let before_all = Head {
            audit_id: 0,
            hash: AuditHash::NONE,
        };
        let last = last.unwrap_or(before_all);
        Self {
            noted: noted.map(|hash| (hash, hash == last.hash)),
            last,
            entries: 0,
        }
    }

    /// Goes to the next entry.
    pub(super) fn step(&mut self, record: &AuditRecord) -> Result<(), Fault> {
        let (audit_id, last) = (record.content.audit_id, self.last.audit_id);
        let fault = |audit_id, what| Err(Fault { audit_id, what });
        if audit_id != last + 1 {
            let what = match audit_id - 1 {
                one if one == last + 1 => format!("entry {one} is missing"),
                to => format!("entries {} to {to} are missing", last + 1),
            };
            return fault(last + 1, what);
        }
        if record.content.previous_hash != self.last.hash {
            let what = match last {
                0 => "it is not the first of its chain: its previous_hash is not zero".to_owned(),
                last => format!(
                    "its previous_hash is not the hash of entry {last}: one of the two was put in or changed"
                ),
            };
            return fault(audit_id, what);
        }
        if !record.is_intact() {
            return fault(
                audit_id,
                "it does not say what its hash was made of: it was changed".to_owned(),
            );
        }
        self.last = Head {
            audit_id,
            hash: record.hash,
        };
        self.entries += 1;
        if let Some((noted, met)) = &mut self.noted {
            *met |= *noted == record.hash;
        }
        Ok(())
    }

    /// What is missing at the end.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.noted {
            Some((noted, false)) => Err(Fault {
                audit_id: self.last.audit_id + 1,
                what: format!(
                    "no entry has the hash {noted}: the end was cut off, or all was written anew"
                ),
            }),
            _ => Ok(()),
        }
    }
}
