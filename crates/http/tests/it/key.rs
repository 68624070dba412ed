//! API keys, from the table to the answer.

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use orderly_devenv::{TestEnv, test_env};
use orderly_domain::ProducerId;
use orderly_http::{Authorized, Keyring, Readiness, Requirement, scope};
use orderly_protocol::api_key::{self, NewKey, Scope};
use orderly_store::{Actor, NewApiKey, SessionProfile, Store, StoreOptions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::proxy::Proxy;
use crate::server::{Server, problem, until};

#[derive(Clone)]
struct Keys(Keyring);

impl FromRef<Keys> for Keyring {
    fn from_ref(keys: &Keys) -> Self {
        keys.0.clone()
    }
}

struct EitherRead;

impl Requirement for EitherRead {
    const ANY_OF: &'static [Scope] = &[Scope::OrdersRead, Scope::OpsRead];
}

/// A server with two guarded routes, whose way to the database can be cut.
pub(crate) struct Guarded {
    pub(crate) server: Server,
    /// Straight to the database.
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) proxy: Proxy,
    readiness: Readiness,
    pub(crate) env: TestEnv,
}

impl Guarded {
    pub(crate) async fn start() -> Self {
        let env = test_env().await;
        let proxy = Proxy::start(&env.database_url).await;
        let options = StoreOptions {
            application_name: "orderly-http-tests".to_owned(),
            max_connections: 4,
            profile: SessionProfile::General,
        };
        let store = Store::connect(&env.database_url, &options).await.unwrap();
        store.migrate().await.unwrap();
        let proxied = Store::connect_lazy(proxy.url(), &options).unwrap();
        let readiness = Readiness::new();
        let token = CancellationToken::new();
        let keyring = Keyring::start(
            proxied,
            readiness.check("api_keys"),
            &TaskTracker::new(),
            &token,
        );
        let send =
            |key: Authorized<scope::CommandsWrite>| async move { key.caller.producer.to_string() };
        let router = Router::new()
            .route("/send", get(send).post(send))
            .route("/read", get(|_: Authorized<EitherRead>| async {}))
            .with_state(Keys(keyring.clone()));
        let server = Server::start_with(router, token).await;
        Self {
            server,
            store,
            keyring,
            proxy,
            readiness,
            env,
        }
    }

    pub(crate) async fn key(&self, scopes: &[Scope]) -> NewKey {
        let key = api_key::generate("test").unwrap();
        let row = NewApiKey {
            key_id: key.key_id.clone(),
            producer: ProducerId(Uuid::from_u128(7)),
            name: "a test".to_owned(),
            secret_hash: key.secret_hash.0,
            scopes: scopes.to_vec(),
        };
        self.store
            .insert_key(&row, &Actor::local("test"))
            .await
            .unwrap();
        key
    }

    async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        self.server
            .client
            .get(self.server.url(path))
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn loaded(&self) {
        until("the keys are loaded", || async {
            self.readiness.is_ready()
        })
        .await;
    }
}

#[tokio::test]
async fn a_live_key_opens_what_its_scopes_name() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    // Known from the moment it is made.
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    let answer = guarded.get("/send", &key.token).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), Uuid::from_u128(7).to_string());

    let answer = guarded.get("/read", &key.token).await;
    let challenge = answer.headers()["www-authenticate"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        challenge.contains("scope=\"orders:read ops:read\""),
        "{challenge}"
    );
    let (status, body) = problem(answer).await;
    assert_eq!((status, &body["code"]), (403, &"forbidden".into()));
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("orders:read or ops:read"),
        "{body}"
    );

    let reader = guarded.key(&[Scope::OpsRead]).await;
    assert_eq!(guarded.get("/read", &reader.token).await.status(), 200);
}

#[tokio::test]
async fn what_is_no_live_key_is_refused_in_one_way() {
    let guarded = Guarded::start().await;
    let real = guarded.key(&[Scope::CommandsWrite]).await;
    let never_stored = api_key::generate("test").unwrap();
    // Well formed, with the id of a live key whose secret is another.
    let other_secret = {
        let other = api_key::generate("test").unwrap();
        let row = NewApiKey {
            key_id: other.key_id.clone(),
            producer: ProducerId(Uuid::from_u128(7)),
            name: "another".to_owned(),
            secret_hash: real.secret_hash.0,
            scopes: vec![Scope::CommandsWrite],
        };
        guarded
            .store
            .insert_key(&row, &Actor::local("test"))
            .await
            .unwrap();
        other
    };
    let mistyped = real.token.replace("ord_test_", "ord_live_");
    for token in ["", "x", &never_stored.token, &other_secret.token, &mistyped] {
        let answer = guarded.get("/send", token).await;
        assert!(
            answer.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        let (status, body) = problem(answer).await;
        assert_eq!(
            (status, &body["code"]),
            (401, &"unauthenticated".into()),
            "{token}"
        );
    }
    let (status, _) = problem(guarded.server.get("/send").await).await;
    assert_eq!(status, 401, "no key at all");
}

#[tokio::test]
async fn a_revoked_key_is_refused_soon() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    assert_eq!(guarded.get("/send", &key.token).await.status(), 200);
    assert!(
        guarded
            .store
            .revoke_key(&key.key_id, &Actor::local("test"))
            .await
            .unwrap()
    );
    let revoked = std::time::Instant::now();
    until("refused", || async {
        guarded.get("/send", &key.token).await.status() == 401
    })
    .await;
    assert!(
        revoked.elapsed() < std::time::Duration::from_secs(10),
        "{:?}",
        revoked.elapsed()
    );
}

#[tokio::test]
async fn known_keys_go_on_working_without_the_database() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let known = guarded.key(&[Scope::CommandsWrite]).await;
    assert_eq!(guarded.get("/send", &known.token).await.status(), 200);
    guarded.proxy.set_away(true);
    assert_eq!(guarded.get("/send", &known.token).await.status(), 200);

    // Made meanwhile: it cannot be known whether it is one.
    let unknown = guarded.key(&[Scope::CommandsWrite]).await;
    let answer = guarded.get("/send", &unknown.token).await;
    assert!(answer.headers().contains_key("retry-after"));
    let (status, body) = problem(answer).await;
    assert_eq!(
        (status, &body["code"]),
        (503, &"database_unavailable".into())
    );

    guarded.proxy.set_away(false);
    until("the new key works", || async {
        guarded.get("/send", &unknown.token).await.status() == 200
    })
    .await;
}
