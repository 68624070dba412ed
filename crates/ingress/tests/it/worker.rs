//! A worker that does as it is told: takes commands off their shard, records outcomes and replies as a test wants.

use std::collections::VecDeque;
use std::time::Duration;

use orderly_broker::{BrokerConfig, Connection, Message, Publisher, ShardSubscription};
use orderly_devenv::TestEnv;
use orderly_domain::Version;
use orderly_protocol::{
    Envelope, Fingerprint, Marker, Outcome, Reply, ShardId, decode_commands, names,
};
use serde_json::{Value, json};

use crate::stage::LIMIT;

pub(crate) struct Worker {
    env: TestEnv,
    _connection: Connection,
    subscription: ShardSubscription,
    publisher: Publisher,
    taken: VecDeque<Envelope>,
}

impl Worker {
    /// The worker of the only shard of `generation`.
    pub(crate) async fn start(env: &TestEnv, generation: i32) -> Self {
        let config = BrokerConfig::new(&env.amqp_url, "test worker");
        let connection = Connection::open(&config).await.unwrap();
        let shard = ShardId {
            generation,
            shard: 0,
        };
        let subscription = connection.subscribe_shard(&shard, 32).await.unwrap();
        let publisher = connection.publisher().await.unwrap();
        Self {
            env: env.clone(),
            _connection: connection,
            subscription,
            publisher,
            taken: VecDeque::new(),
        }
    }

    /// The next command, in order.
    pub(crate) async fn next(&mut self) -> Envelope {
        while self.taken.is_empty() {
            let delivery = tokio::time::timeout(LIMIT, self.subscription.next()).await;
            let delivery = delivery.expect("a command comes").unwrap().unwrap();
            if Marker::decode(&delivery.body).is_ok_and(|marker| marker == Marker::Probe) {
                delivery.ack_through().await.unwrap();
                continue;
            }
            assert_eq!(delivery.schema.as_deref(), Some(names::COMMANDS_SCHEMA));
            let body = delivery.body.clone();
            for envelope in decode_commands(&body).unwrap() {
                self.taken
                    .push_back(Envelope::decode(envelope.get().as_bytes()).unwrap());
            }
            delivery.ack_through().await.unwrap();
        }
        self.taken.pop_front().unwrap()
    }

    /// Writes the outcome of a command.
    pub(crate) async fn record(
        &self,
        command: &Envelope,
        outcome: Outcome,
        version: u64,
        rejection: Option<&Value>,
    ) {
        let rejection = rejection.map_or("null".to_owned(), |rejection| format!("'{rejection}'"));
        let statement = format!(
            "insert into commands (command_id, order_id, producer, type, fingerprint, outcome, version, rejection,
                 accepted_at, decided_at)
             values ('{}', '{}', '{}', '{}', '\\x{}', '{}', {version}, {rejection}, now(), now())",
            command.command_id,
            command.order_id,
            command.producer,
            command.action_type,
            command.fingerprint,
            outcome.as_str(),
        );
        self.env.psql(&[&statement]).await.unwrap();
    }

    pub(crate) async fn park(&self, command: &Envelope) {
        let Envelope {
            command_id,
            order_id,
            producer,
            fingerprint,
            action_type,
            ..
        } = command;
        let lane = format!(
            "insert into lanes (order_id, reason, detail, parked_at) values ('{order_id}', 'unreadable', 'x', now())"
        );
        let entry = format!(
            "insert into lane_entries (order_id, position, command_id, producer, type, fingerprint, envelope,
                 accepted_at, parked_at)
             values ('{order_id}', 1, '{command_id}', '{producer}', '{action_type}', '\\x{fingerprint}', '', now(), now())"
        );
        self.env.psql(&[&lane, &entry]).await.unwrap();
    }

    pub(crate) async fn reply(
        &mut self,
        command: &Envelope,
        outcome: Outcome,
        code: Option<&str>,
        version: u64,
    ) {
        self.reply_for(command, command.fingerprint, outcome, code, version)
            .await;
    }

    /// Takes commands until one came under `key` or a second has passed, and says that it was applied, if somebody waits.
    pub(crate) async fn reply_to_key(&mut self, key: &str) {
        let found = async {
            loop {
                let command = self.next().await;
                if command.idempotency_key.as_deref() == Some(key) {
                    return command;
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(1), found).await {
            Ok(command) if command.reply_to.is_some() => {
                self.reply(&command, Outcome::Applied, None, 1).await;
            }
            _ => {}
        }
    }

    /// A reply for the request that owns the command's id.
    pub(crate) async fn reply_for(
        &mut self,
        command: &Envelope,
        owner: Fingerprint,
        outcome: Outcome,
        code: Option<&str>,
        version: u64,
    ) {
        let queue = command.reply_to.as_deref().expect("somebody waits");
        let reply = Reply {
            command_id: command.command_id,
            fingerprint: owner,
            outcome,
            code: code.map(str::to_owned),
            order_id: command.order_id,
            version: Version(version),
        };
        let message = Message::transient(reply.encode(), names::JSON_TYPE);
        self.publisher
            .publish_unconfirmed(queue, &message)
            .await
            .unwrap();
    }
}

/// A rejection with one fault in the command's data.
pub(crate) fn rejection(code: &str) -> Value {
    json!({
        "code": code,
        "detail": "why it was rejected",
        "errors": [{"pointer": "/lines/0/sku", "code": code, "detail": "this one"}],
        "allowed_commands": ["amend"],
    })
}
