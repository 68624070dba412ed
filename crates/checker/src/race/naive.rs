//! Orders as most teams first write them: read the row, compute in the application, write it back, in a transaction. With
//! locks, the same code says `for update` when it reads, and nothing else.
//!
//! Owns the tables of this application and what they hold at the end. Nothing sleeps and nothing is arranged: what goes wrong
//! here goes wrong by the load alone.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio_postgres::{Client, Row, Statement, types::Json};

use super::{
    evidence::{Answer, Effect, Evidence, FinalOrder, Shelf, Write},
    load::{Load, Way},
    plan::{Intent, PIECES, PRICE_MINOR, Plan, Wish},
    scratch::{Pool, Scratch},
};

/// Connections: what pools of web frameworks open unless told otherwise (10 to 20).
pub(super) const POOL: usize = 16;

/// Tables as such an application has them. A charge is a row: what the payment company would have in its books.
pub(super) const TABLES: &str = "
    create table orders (id bigint primary key, version bigint not null, state jsonb not null);
    create table stock (sku bigint primary key, on_hand bigint not null, reserved bigint not null);
    create table sales (id bigint generated always as identity primary key, customer bigint not null, sku bigint not null);
    create table charges (id bigint generated always as identity primary key, customer bigint not null, amount_minor bigint not null);
";

/// Whether reads lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locking {
    /// A plain `select`.
    None,
    /// `select … for update`.
    ForUpdate,
}

/// The application.
pub(super) struct Naive {
    pool: Pool<Session>,
}

/// A connection with its statements prepared, as drivers do it by themselves after a few calls.
struct Session {
    client: Client,
    statements: Statements,
}

struct Statements {
    read_order: Statement,
    write_order: Statement,
    read_stock: Statement,
    write_stock: Statement,
    insert_sale: Statement,
    insert_charge: Statement,
}

impl Naive {
    /// An application on empty tables, with an order and a product for each round.
    pub(super) async fn open(scratch: &Scratch, locking: Locking, plan: &Plan) -> Result<Self> {
        let mut sessions = Vec::with_capacity(POOL);
        for _ in 0..POOL {
            let client = scratch.connect().await?;
            let statements = Statements::prepare(&client, locking).await?;
            sessions.push(Session { client, statements });
        }
        if let Some(session) = sessions.first() {
            fill(&session.client, plan)
                .await
                .context("fill the scratch tables")?;
        }
        Ok(Self {
            pool: Pool::new(sessions),
        })
    }

    async fn note(&self, intent: Intent) -> Result<Answer, tokio_postgres::Error> {
        let mut session = self.pool.take().await;
        let Session { client, statements } = &mut *session;
        let id = id(intent.round);
        let transaction = client.transaction().await?;
        let row = transaction
            .query_one(&statements.read_order, &[&id])
            .await?;
        let (version, Json(mut state)): (i64, Json<Value>) = (row.get(0), row.get(1));
        state["notes"][intent.note_key()] = json!(intent.note_text());
        let version = version + 1;
        transaction
            .execute(&statements.write_order, &[&id, &version, &Json(state)])
            .await?;
        transaction.commit().await?;
        Ok(Answer::Noted {
            version: version.unsigned_abs(),
            by: String::from("direct write"),
        })
    }

    async fn checkout(&self, intent: Intent) -> Result<Answer, tokio_postgres::Error> {
        let mut session = self.pool.take().await;
        let Session { client, statements } = &mut *session;
        let (sku, customer) = (id(intent.round), id(intent.number));
        let transaction = client.transaction().await?;
        let row = transaction
            .query_one(&statements.read_stock, &[&sku])
            .await?;
        let (on_hand, reserved): (i64, i64) = (row.get(0), row.get(1));
        if reserved >= on_hand {
            transaction.rollback().await?;
            return Ok(Answer::SoldOut);
        }
        let sale = transaction
            .query_one(&statements.insert_sale, &[&customer, &sku])
            .await?;
        transaction
            .execute(&statements.insert_charge, &[&customer, &PRICE_MINOR])
            .await?;
        transaction
            .execute(&statements.write_stock, &[&sku, &(reserved + 1)])
            .await?;
        transaction.commit().await?;
        Ok(Answer::Sold {
            order: sale.get::<_, i64>(0).to_string(),
            by: String::from("direct write"),
        })
    }

    /// What clients were told, and what the tables hold.
    pub(super) async fn evidence(&self, load: &Load) -> Result<Evidence> {
        let session = self.pool.take().await;
        let client = &session.client;
        let mut evidence = Evidence {
            writes: writes(load),
            told: load.told.clone(),
            ..Evidence::default()
        };
        for row in client
            .query("select id, version, state from orders order by id", &[])
            .await?
        {
            let Json(state): Json<Value> = row.get(2);
            let notes = state["notes"].as_object().context("a state has notes")?;
            evidence.orders.push(FinalOrder {
                round: number(row.get(0))?,
                version: row.get::<_, i64>(1).unsigned_abs(),
                notes: notes.keys().cloned().collect(),
            });
        }
        for row in client
            .query("select customer, id from sales order by id", &[])
            .await?
        {
            evidence.sales.push(effect(&row)?);
        }
        for row in client
            .query("select customer, id from charges order by id", &[])
            .await?
        {
            evidence.charges.push(effect(&row)?);
        }
        for row in client
            .query("select sku, on_hand, reserved from stock order by sku", &[])
            .await?
        {
            evidence.shelves.push(Shelf {
                round: number(row.get(0))?,
                on_hand: row.get(1),
                reserved: row.get(2),
            });
        }
        Ok(evidence)
    }
}

impl Way for Naive {
    /// A statement that fails is the client's bad luck, and counted as such.
    async fn perform(&self, intent: Intent) -> Result<Answer> {
        let answer = match intent.wish {
            Wish::Note => self.note(intent).await,
            Wish::Checkout => self.checkout(intent).await,
        };
        Ok(answer.unwrap_or_else(|error| Answer::Failed(error.to_string())))
    }
}

impl Statements {
    async fn prepare(client: &Client, locking: Locking) -> Result<Self> {
        let lock = match locking {
            Locking::None => "",
            Locking::ForUpdate => " for update",
        };
        let read_order = format!("select version, state from orders where id = $1{lock}");
        let read_stock = format!("select on_hand, reserved from stock where sku = $1{lock}");
        let write_order = "update orders set version = $2, state = $3 where id = $1";
        let insert_sale = "insert into sales (customer, sku) values ($1, $2) returning id";
        let insert_charge = "insert into charges (customer, amount_minor) values ($1, $2)";
        Ok(Self {
            read_order: client.prepare(&read_order).await?,
            write_order: client.prepare(write_order).await?,
            read_stock: client.prepare(&read_stock).await?,
            write_stock: client
                .prepare("update stock set reserved = $2 where sku = $1")
                .await?,
            insert_sale: client.prepare(insert_sale).await?,
            insert_charge: client.prepare(insert_charge).await?,
        })
    }
}

async fn fill(client: &Client, plan: &Plan) -> Result<(), tokio_postgres::Error> {
    client
        .batch_execute("truncate orders, stock, sales, charges")
        .await?;
    let state = Json(json!({"customer": "c-1", "status": "placed", "notes": {}}));
    let rounds = id(plan.rounds);
    let orders = "insert into orders select n, 1, $2 from generate_series(0, $1::bigint - 1) n";
    client.execute(orders, &[&rounds, &state]).await?;
    let stock = "insert into stock select n, $2, 0 from generate_series(0, $1::bigint - 1) n";
    client.execute(stock, &[&rounds, &id(PIECES)]).await?;
    // So that nobody's plans are those of empty tables.
    client.batch_execute("analyze orders; analyze stock").await
}

/// This application keeps no history: what it told its clients is all there is. Every answer was committed.
fn writes(load: &Load) -> Vec<Write> {
    let of_told = |told: &super::evidence::Told| {
        let intent = told.intent;
        let write = move |answer: &Answer| match answer {
            Answer::Noted { version, by } => Some(Write {
                round: intent.round,
                version: *version,
                effect: Effect {
                    intent: intent.number,
                    by: by.clone(),
                },
            }),
            _ => None,
        };
        told.answers.iter().filter_map(write).collect::<Vec<_>>()
    };
    load.told.iter().flat_map(of_told).collect()
}

/// Of a row that begins with its customer and its id.
fn effect(row: &Row) -> Result<Effect> {
    Ok(Effect {
        intent: number(row.get(0))?,
        by: format!("row {}", row.get::<_, i64>(1)),
    })
}

fn number(id: i64) -> Result<usize> {
    usize::try_from(id).context("numbers are those of the plan")
}

fn id(number: usize) -> i64 {
    i64::try_from(number).expect("a plan is far smaller")
}
