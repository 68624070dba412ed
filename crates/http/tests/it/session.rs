//! Sessions, from the table to the answer: what a cookie opens, and each way in which it does not.

use orderly_protocol::api_key::Scope;
use orderly_protocol::receipt::{self, Receipt};
use orderly_protocol::session::{self, Session};
use orderly_protocol::time::{Duration, OffsetDateTime};
use orderly_protocol::{Fingerprint, fingerprint};
use reqwest::{Method, RequestBuilder};
use uuid::Uuid;

use crate::key::Guarded;
use crate::server::{problem, until};

impl Guarded {
    fn with_cookie(&self, method: Method, cookie: &str) -> RequestBuilder {
        let request = self.server.client.request(method, self.server.url("/send"));
        request.header("cookie", format!("orderly_session={cookie}"))
    }

    async fn status(&self, cookie: &str) -> u16 {
        let answer = self.with_cookie(Method::GET, cookie).send().await.unwrap();
        answer.status().as_u16()
    }

    /// A session of the key as another process would have signed it.
    async fn sign(&self, key_id: &str, lasts: Duration) -> String {
        let session = Session {
            key_id: key_id.to_owned(),
            expires_at: OffsetDateTime::now_utc() + lasts,
        };
        let keys = self.store.session_keys().await.unwrap();
        session::sign(&session, &keys[0])
    }
}

#[tokio::test]
async fn a_session_opens_what_its_key_opens() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    let caller = guarded.keyring.authenticate(&key.token).await.unwrap();
    let opened = guarded.keyring.open_session(&caller).unwrap();
    assert!(!opened.token.contains(&key.token));
    assert_eq!(guarded.status(&opened.token).await, 200);
    let reader = guarded.key(&[Scope::OrdersRead]).await;
    let reader = guarded.sign(&reader.key_id, Duration::hours(1)).await;
    assert_eq!(guarded.status(&reader).await, 403);
    // A header that says who sends wins, right or wrong.
    let both = guarded.with_cookie(Method::GET, &opened.token);
    assert_eq!(
        both.bearer_auth("ord_x").send().await.unwrap().status(),
        401
    );
}

#[tokio::test]
async fn forged_expired_and_foreign_sessions_are_refused() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    let good = guarded.sign(&key.key_id, Duration::hours(1)).await;
    assert_eq!(guarded.status(&good).await, 200);

    let session = Session {
        key_id: key.key_id.clone(),
        expires_at: OffsetDateTime::now_utc() + Duration::hours(1),
    };
    let receipt_keys = guarded.store.receipt_keys().await.unwrap();
    let expired = guarded.sign(&key.key_id, Duration::seconds(-1)).await;
    let unknown = guarded.sign("nobody", Duration::hours(1)).await;
    for (why, token) in [
        ("no token", "x".to_owned()),
        ("another signature", session::sign(&session, &[0; 32])),
        (
            "a key of receipts",
            session::sign(&session, &receipt_keys[0]),
        ),
        ("changed", good.replacen('e', "f", 1)),
        ("expired", expired),
        ("of no key", unknown),
        ("the API key itself", key.token.clone()),
    ] {
        let answer = guarded.with_cookie(Method::GET, &token).send().await;
        let (status, body) = problem(answer.unwrap()).await;
        assert_eq!(
            (status, &body["code"]),
            (401, &"unauthenticated".into()),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_receipt_is_no_session_even_under_the_same_key() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let keys = guarded.store.session_keys().await.unwrap();
    let data = serde_json::json!({});
    let fingerprint: Fingerprint = fingerprint("pay", None, &data, None);
    let id = Uuid::now_v7();
    let receipt = Receipt {
        command_id: orderly_domain::CommandId(id),
        order_id: orderly_domain::OrderId(id),
        producer: orderly_domain::ProducerId(id),
        fingerprint,
        accepted_at: OffsetDateTime::now_utc(),
    };
    let receipt = receipt::sign(&receipt, &keys[0]);
    assert_eq!(guarded.status(&receipt).await, 401);
}

#[tokio::test]
async fn the_session_of_a_revoked_key_ends_soon() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    let session = guarded.sign(&key.key_id, Duration::hours(1)).await;
    assert_eq!(guarded.status(&session).await, 200);
    assert!(
        guarded
            .store
            .revoke_key(&key.key_id, &orderly_store::Actor::local("test"))
            .await
            .unwrap()
    );
    let revoked = std::time::Instant::now();
    until("refused", || async {
        guarded.status(&session).await == 401
    })
    .await;
    assert!(revoked.elapsed() < std::time::Duration::from_secs(10));
}

#[tokio::test]
async fn two_new_session_keys_end_every_session() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    let old = guarded.sign(&key.key_id, Duration::hours(1)).await;
    let add = "insert into session_keys (secret) values (sha256(uuid_send(gen_random_uuid())))";
    guarded.env.psql(&[add]).await.unwrap();
    let new = guarded.sign(&key.key_id, Duration::hours(1)).await;
    until("the new key is known", || async {
        guarded.status(&new).await == 200
    })
    .await;
    assert_eq!(
        guarded.status(&old).await,
        200,
        "the key before still verifies"
    );
    guarded.env.psql(&[add]).await.unwrap();
    until("the old key is forgotten", || async {
        guarded.status(&old).await == 401
    })
    .await;
    assert_eq!(guarded.status(&new).await, 200);
}

#[tokio::test]
async fn a_session_changes_nothing_for_another_site() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let key = guarded.key(&[Scope::CommandsWrite]).await;
    let session = guarded.sign(&key.key_id, Duration::hours(1)).await;
    let own = guarded.server.url("");
    let post = async |headers: &[(&str, &str)]| {
        let mut request = guarded.with_cookie(Method::POST, &session);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]).await, 200);
    assert_eq!(post(&[("origin", &own)]).await, 200);
    for refused in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ] {
        assert_eq!(post(refused).await, 403, "{refused:?}");
    }
    // A key is sent on purpose: nobody else's page can add it.
    let keyed = guarded.server.client.post(guarded.server.url("/send"));
    let keyed = keyed
        .bearer_auth(&key.token)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(keyed.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn sessions_go_on_working_without_the_database() {
    let guarded = Guarded::start().await;
    guarded.loaded().await;
    let known = guarded.key(&[Scope::CommandsWrite]).await;
    let known = guarded.sign(&known.key_id, Duration::hours(1)).await;
    assert_eq!(guarded.status(&known).await, 200);
    guarded.proxy.set_away(true);
    assert_eq!(guarded.status(&known).await, 200);
    let unknown = guarded.key(&[Scope::CommandsWrite]).await;
    let unknown = guarded.sign(&unknown.key_id, Duration::hours(1)).await;
    assert_eq!(guarded.status(&unknown).await, 503);
}
