//! `orderly keys`: who may call the HTTP API. Speaks to the database directly, since the first key can come from nowhere
//! else.

use anyhow::{Context, anyhow};
use orderly_domain::ProducerId;
use orderly_protocol::{
    api_key::{self, Scope},
    timestamp,
};
use orderly_store::{Actor, ApiKey, NewApiKey, Store};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    config::{Settings, parse},
    database,
    exit::{Exit, UsageError},
    operator::{self, operator},
    output::{self, Format},
};

/// Create, list or revoke API keys
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly keys create --name webshop --scopes commands:write,orders:read
  orderly keys list
  orderly keys revoke 4hJ2kQ9xT0aB"
)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    action: KeysAction,
    /// Database [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum KeysAction {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Create a key and print it; it is shown this once
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly keys create --name webshop --scopes commands:write,orders:read
  export ORDERLY_API_KEY=$(orderly keys create --name me --scopes all)")]
struct CreateArgs {
    /// What people will call it
    #[arg(long, value_parser = name)]
    name: String,
    /// What it may do, or all: commands:write, orders:read, events:read, stock:write, payments:write, ops:read, ops:write,
    /// keys:admin
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true, value_parser = scopes)]
    scopes: Vec<Scopes>,
    /// Producer that the key is for: keys of one producer share their idempotency keys [default: a new one]
    #[arg(long, value_name = "UUID")]
    producer: Option<Uuid>,
    /// Environment, part of the key's text
    #[arg(long, default_value = "live")]
    env: String,
    /// Why, for the audit
    #[arg(long, value_parser = operator::reason)]
    reason: Option<String>,
}

/// List all keys, revoked ones too
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly keys list
  orderly keys list -o json | jq '.[] | select(.revoked_at == null) | .name'")]
struct ListArgs {}

/// Revoke keys for good; no process accepts them after 10 s
///
/// Asks first. Without a terminal to ask at, it needs --yes. Exits with 3 if some of several were revoked, and some were not.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly keys revoke 4hJ2kQ9xT0aB
  orderly keys revoke 4hJ2kQ9xT0aB 7mN3pR8yU1cD --yes --reason 'in a public log'")]
struct RevokeArgs {
    /// Ids of the keys, the part after the environment: ord_live_4hJ2kQ9xT0aB_…
    #[arg(required = true, value_name = "KEY_ID")]
    key_ids: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Why, for the audit
    #[arg(long, value_parser = operator::reason)]
    reason: Option<String>,
}

/// As many as the HTTP API takes.
const NAME_CHARS: usize = 100;

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_CHARS).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "1 to {NAME_CHARS} characters, none of them a control character"
        ))
    }
}

/// One scope or all of them.
#[derive(Clone, Debug)]
struct Scopes(Vec<Scope>);

fn scopes(text: &str) -> Result<Scopes, String> {
    if text == "all" {
        return Ok(Scopes(Scope::ALL.to_vec()));
    }
    let names = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::parse(text)
        .map(|scope| Scopes(vec![scope]))
        .ok_or_else(|| format!("one of {}, or all", names()))
}

pub(crate) async fn run(args: KeysArgs, format: Format) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_command();
    let url = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let store = database::open(&settings.finish(|| url)?, "orderly keys").await?;
    match args.action {
        KeysAction::Create(args) => create(&store, args, format).await,
        KeysAction::List(ListArgs {}) => list(&store, format).await,
        KeysAction::Revoke(args) => revoke(&store, args).await,
    }
}

/// A key as it is shown once.
#[derive(Debug, Serialize)]
pub(crate) struct MintedKey {
    pub(crate) key: String,
    pub(crate) key_id: String,
    producer: Uuid,
    scopes: Vec<&'static str>,
}

/// Makes a key and stores what is needed to know it again.
pub(crate) async fn mint(
    store: &Store,
    env: &str,
    name: &str,
    producer: Uuid,
    mut scopes: Vec<Scope>,
    actor: &Actor,
) -> anyhow::Result<MintedKey> {
    let key = api_key::generate(env).map_err(|error| UsageError(error.to_string()))?;
    scopes.sort_unstable();
    scopes.dedup();
    let names = scopes.iter().map(|scope| scope.as_str()).collect();
    let stored = NewApiKey {
        key_id: key.key_id.clone(),
        producer: ProducerId(producer),
        name: name.to_owned(),
        secret_hash: key.secret_hash.0,
        scopes,
    };
    let inserted = store.insert_key(&stored, actor).await;
    inserted.context("store the key")?;
    Ok(MintedKey {
        key: key.token.clone(),
        key_id: stored.key_id,
        producer,
        scopes: names,
    })
}

async fn create(store: &Store, args: CreateArgs, format: Format) -> anyhow::Result<Exit> {
    let scopes = args
        .scopes
        .into_iter()
        .flat_map(|scopes| scopes.0)
        .collect();
    let producer = args.producer.unwrap_or_else(Uuid::now_v7);
    let actor = operator().because(args.reason);
    let minted = mint(store, &args.env, &args.name, producer, scopes, &actor).await?;
    eprintln!(
        "key {} of producer {}; keep it now, it is not shown again",
        minted.key_id, minted.producer
    );
    format.record(&minted, || minted.key.clone())?;
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct KeyRow {
    key_id: String,
    name: String,
    producer: Uuid,
    scopes: Vec<&'static str>,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<ApiKey> for KeyRow {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.key_id,
            name: key.name,
            producer: key.producer.0,
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            created_at: timestamp::format(key.created_at),
            revoked_at: key.revoked_at.map(timestamp::format),
        }
    }
}

async fn list(store: &Store, format: Format) -> anyhow::Result<Exit> {
    let keys = store.list_keys().await.context("read the keys")?;
    let rows: Vec<KeyRow> = keys.into_iter().map(KeyRow::from).collect();
    format.rows(
        &rows,
        ["key id", "name", "producer", "scopes", "created", "revoked"],
        |row| {
            let revoked = row.revoked_at.clone().unwrap_or_default();
            let producer = row.producer.to_string();
            [
                row.key_id.clone(),
                row.name.clone(),
                producer,
                row.scopes.join(","),
                row.created_at.clone(),
                revoked,
            ]
        },
    )?;
    Ok(Exit::Ok)
}

async fn revoke(store: &Store, args: RevokeArgs) -> anyhow::Result<Exit> {
    let actor = operator().because(args.reason);
    let mut ends = Vec::new();
    for key_id in &args.key_ids {
        let end = match revoke_one(store, key_id, args.yes, &actor).await {
            Err(error) if ends.contains(&Exit::Ok) => {
                output::complain(&error);
                Exit::of(&error)
            }
            end => end?,
        };
        ends.push(end);
    }
    Ok(Exit::of_all(&ends))
}

async fn revoke_one(store: &Store, key_id: &str, yes: bool, actor: &Actor) -> anyhow::Result<Exit> {
    let key = store.live_key(key_id).await.context("read the key")?;
    let Some(key) = key else {
        output::complain(&anyhow!("there is no live key {key_id}"));
        return Ok(Exit::NotFound);
    };
    let question = format!("Revoke key {key_id} ({}) for good?", key.name);
    if !yes && !output::can_ask() {
        let problem = format!("revoking key {key_id} ({}) needs --yes", key.name);
        return Err(UsageError(problem).into());
    }
    if !yes && !output::confirm(&question)? {
        eprintln!("nothing was done");
        return Ok(Exit::Failed);
    }
    // Somebody may have been faster; it is revoked all the same.
    let revoked = store.revoke_key(key_id, actor).await;
    revoked.context("revoke the key")?;
    eprintln!(
        "key {key_id} ({}) is revoked; every process refuses it within 10 s",
        key.name
    );
    Ok(Exit::Ok)
}
