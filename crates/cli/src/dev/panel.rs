//! What `orderly dev` shows once everything runs.

use std::{io, path::Path, time::Duration};

use crate::output::{bold, line};

/// One screen: where it is, what to paste, what to do next.
pub(super) struct Panel<'a> {
    pub(super) url: &'a str,
    pub(super) key: &'a str,
    pub(super) env_file: &'a Path,
    pub(super) demo: bool,
}

impl Panel<'_> {
    pub(super) fn print(&self, took: Duration) -> io::Result<()> {
        let Self {
            url,
            key,
            env_file,
            demo,
        } = self;
        let demo = if *demo {
            "Demo traffic is running: watch the events.\n"
        } else {
            ""
        };
        line(&format!(
            r#"
{ready} after {seconds:.1} s
  Dashboard  {url}/#key={key}
  URL        {url}
  API key    {key}
{demo}
{place}
  curl -sS -X POST {url}/v1/orders -H 'Authorization: Bearer {key}' \
    -H 'Content-Type: application/json' -H 'Prefer: wait=5' \
    -d '{{"customer_id":"you","currency":"EUR","lines":[{{"sku":"{sku}","quantity":2,"unit_price_minor":1250}}]}}'

{next}
  curl -N {url}/v1/events -H 'Authorization: Bearer {key}'     status events, live
  orderly orders list                          all orders, newest first
  orderly orders watch                         orders as they change
  orderly commands send ORDER pay --data '{{"method":"card"}}'
  orderly import retail FILE --seed-stock 100  a shop's file of invoices
  orderly verify                               does everything follow from the events?

Settings for other shells: source {env_file}
Ctrl-C stops everything.
"#,
            ready = bold("Orderly is ready"),
            place = bold("Place an order:"),
            next = bold("Then:"),
            seconds = took.as_secs_f64(),
            sku = super::demo::FIRST_SKU,
            env_file = env_file.display(),
        ))
    }
}
