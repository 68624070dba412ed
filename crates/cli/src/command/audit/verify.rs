//! `orderly audit verify`: walks the chain. Reads the database itself, so that it believes no server.

use std::io;

use anyhow::Context;
use orderly_protocol::audit::AuditHash;
use orderly_store::Store;
use serde::Serialize;

use super::chain::{Fault, Head, Walk};
use crate::{
    config::{Settings, parse},
    database,
    exit::Exit,
    output::{self, Format, Progress},
};

/// Check that no entry of the audit was changed, removed or put in
///
/// Names the first entry that does not fit, and how, and then exits with 1. An end that was cut off, or a chain that was written
/// anew from somewhere on, can only be told by who kept the hash of a head elsewhere: this command prints the head; write it down,
/// and give it with --head next time.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly audit verify
  orderly audit verify -o json | jq -r .head.hash >> heads.txt
  orderly audit verify --head $(tail -n 1 heads.txt)")]
pub(super) struct VerifyArgs {
    /// Begin with the entry of this id; the one before is taken for granted
    #[arg(long, value_name = "ID", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    from: i64,
    /// Hash of a head seen earlier: it must be on the way
    #[arg(long, value_name = "HASH")]
    head: Option<AuditHash>,
    /// Database to check [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Those that fit.
    entries: u64,
    /// The last of them; nothing where there is none.
    head: Option<Head>,
    fault: Option<Fault>,
}

/// Entries read at once: some MB at most.
const PAGE: u32 = 1_000;

pub(super) async fn run(args: VerifyArgs, format: Format) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_command();
    let url = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let store = database::open(&settings.finish(|| url)?, "orderly audit").await?;
    let report = verify(&store, args.from, args.head).await?;
    output::unless_closed(report.print(format))?;
    Ok(if report.fault.is_none() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

async fn verify(store: &Store, from: i64, noted: Option<AuditHash>) -> anyhow::Result<Report> {
    let granted = match from {
        1 => None,
        from => match taken_for_granted(store, from - 1).await? {
            Ok(head) => Some(head),
            Err(fault) => {
                return Ok(Report {
                    entries: 0,
                    head: None,
                    fault: Some(fault),
                });
            }
        },
    };
    let mut walk = Walk::behind(granted, noted);
    let fault = walk_on(store, &mut walk)
        .await?
        .and_then(|()| walk.end())
        .err();
    let head = Some(walk.last).filter(|head| head.audit_id > 0);
    Ok(Report {
        entries: walk.entries,
        head,
        fault,
    })
}

/// The entry before the first that is checked.
async fn taken_for_granted(store: &Store, audit_id: i64) -> anyhow::Result<Result<Head, Fault>> {
    let found = store
        .audit_chain(audit_id - 1, 1)
        .await
        .context("read the audit")?;
    let found = found
        .first()
        .filter(|record| record.content.audit_id == audit_id);
    Ok(match found {
        Some(record) => Ok(Head {
            audit_id,
            hash: record.hash,
        }),
        None => Err(Fault {
            audit_id,
            what: "it is missing".to_owned(),
        }),
    })
}

async fn walk_on(store: &Store, walk: &mut Walk) -> anyhow::Result<Result<(), Fault>> {
    let progress = Progress::counting("entries");
    loop {
        let page = store.audit_chain(walk.last.audit_id, PAGE).await;
        let page = page.context("read the audit")?;
        if page.is_empty() {
            return Ok(Ok(()));
        }
        progress.add(page.len());
        for record in &page {
            if let Err(fault) = walk.step(record) {
                return Ok(Err(fault));
            }
        }
    }
}

impl Report {
    fn print(&self, format: Format) -> io::Result<()> {
        format.record(self, || {
            let mut facts = vec![("entries", self.entries.to_string())];
            if let Some(head) = &self.head {
                facts.push(("head", format!("{} {}", head.audit_id, head.hash)));
            }
            match &self.fault {
                None => facts.push(("chain", output::green("whole"))),
                Some(fault) => facts.push((
                    "chain",
                    output::red(&format!(
                        "broken at entry {}: {}",
                        fault.audit_id, fault.what
                    )),
                )),
            }
            output::facts(facts)
        })
    }
}
