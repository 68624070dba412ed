//! `orderly doctor`: everything that Orderly rests on, looked at; each finding says how to mend it.
//!
//! Owns the walk and its account. Changes nothing but that each queue of the current generation gets a probe, which means nothing to
//! its worker. What is away is a finding like any other: that is when a doctor is called.

use anyhow::Context;
use orderly_broker::BrokerConfig;
use orderly_store::Store;
use url::Url;

mod bindings;
mod broker;
mod database;
mod finding;
mod fleet;
pub(crate) mod management;
mod policy;
mod server;

use crate::{
    config::{Settings, parse},
    database as connect,
    exit::Exit,
    output::{self, Format},
};
use finding::{Findings, State};
use management::Management;

/// Look for whatever could break a promise, and say how to mend it
///
/// Asks the database and the broker themselves. What AMQP shows to nobody (policies, bindings, alarms, versions) comes from RabbitMQ's
/// management API, which needs its plugin (rabbitmq-plugins enable rabbitmq_management) and a user with the tag monitoring; without
/// it these are told as unknown.
///
/// Exits with 1 if something is broken, else with 3 if something could not be looked at. Warnings alone are no failure.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_field_names, reason = "each is named as its setting")]
#[command(before_help = "\
Examples:
  orderly doctor
  orderly doctor --management-url http://rabbitmq:15672
  orderly doctor -o json | jq '.[] | select(.state == \"broken\")'")]
pub(crate) struct DoctorArgs {
    /// Database [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// RabbitMQ [env: ORDERLY_AMQP_URL]
    #[arg(long, value_name = "URL")]
    amqp_url: Option<String>,
    /// RabbitMQ's management API; user and password of the AMQP URL, unless it has its own [env: ORDERLY_MANAGEMENT_URL] [default: port
    /// 15672 of the broker's host, if that has its own usual port]
    #[arg(long, value_name = "URL")]
    management_url: Option<String>,
}

pub(crate) async fn run(args: DoctorArgs, format: Format) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_command();
    let database = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let amqp = settings.required(args.amqp_url.as_ref(), "ORDERLY_AMQP_URL", parse::amqp_url);
    let management = settings.optional(
        args.management_url.as_ref(),
        "ORDERLY_MANAGEMENT_URL",
        parse::management_url,
    );
    let (database, amqp) = settings.finish(|| database.zip(amqp))?;

    let mut findings = Findings::default();
    let store = examine_database(&mut findings, &database).await;
    let layout = match &store {
        Some(store) => store.current_layout().await.ok().flatten(),
        None => None,
    };
    let broker = BrokerConfig::new(amqp.as_str(), "orderly doctor");
    broker::examine(&mut findings, &broker, store.as_ref(), layout).await;
    let management = Management::of(&amqp, management).context("use the management API")?;
    let nodes = if let Some(management) = &management {
        server::examine(&mut findings, management, store.as_ref(), layout).await
    } else {
        server::unknown(&mut findings, "the broker has no usual port to look beside");
        None
    };
    if let Some(store) = &store {
        fleet::examine(&mut findings, store, nodes).await;
    }
    output::unless_closed(findings.print(format))?;
    eprintln!("{}", findings.summary());
    Ok(findings.exit())
}

/// Then bindings and generations do not agree for a while.
async fn is_resizing(store: Option<&Store>) -> bool {
    let last = match store {
        Some(store) => store.last_resize().await.ok().flatten(),
        None => None,
    };
    last.is_some_and(|resize| resize.finished_at.is_none())
}

/// None when it cannot be used.
async fn examine_database(findings: &mut Findings, url: &str) -> Option<Store> {
    match connect::open(url, "orderly doctor").await {
        Ok(store) => database::examine(findings, &store).await.then_some(store),
        Err(error) => {
            findings
                .add(State::Broken, "database", format!("not reached: {error:#}"))
                .mend("see whether it runs and takes this user; orders are accepted without it and wait");
            None
        }
    }
}

/// Refuses to go on where a policy of the broker would lose commands. A management API that does not answer is no reason: what it knew was
/// looked at before, and commands wait.
pub(crate) async fn refuse_policies(amqp: &str, management: Url) -> anyhow::Result<()> {
    let management = Management::of(amqp, Some(management))
        .context("use the management API")?
        .context("a URL was given")?;
    let queues = match management.queues().await {
        Ok(queues) => queues,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "policies of the broker not looked at"
            );
            return Ok(());
        }
    };
    let mut findings = Findings::default();
    policy::examine(&mut findings, management.vhost(), &queues);
    match findings.first_broken() {
        None => Ok(()),
        Some(finding) => anyhow::bail!("the broker would break a promise: {finding}"),
    }
}
