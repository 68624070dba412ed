//! Who owns what, as it is told.

use orderly_broker::topology;
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};
use orderly_store::{LiveWorker, WorkerLoad};
use reqwest::{Method, StatusCode};

use crate::support::{Dashboard, Fixture, answer, insert_key};

#[tokio::test]
async fn shards_tell_their_owner_their_standby_and_what_waits() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    topology::declare_generation(&fixture.connection, 1, 3, topology::DEFAULT_MAX_LENGTH)
        .await
        .unwrap();
    let store = &fixture.store;
    store.create_first_generation(3, 32).await.unwrap();
    let worker = |worker: &str, subscribed: &[&str]| LiveWorker {
        worker: worker.to_owned(),
        capacity: None,
        subscribed: subscribed.iter().map(ToString::to_string).collect(),
        declined: Vec::new(),
        draining: false,
    };
    let (one, two) = (
        worker("one", &["g1.000", "g1.001"]),
        worker("two", &["g1.000"]),
    );
    store.heartbeat(&one, WorkerLoad::default()).await.unwrap();
    store.heartbeat(&two, WorkerLoad::default()).await.unwrap();
    let shard = |shard| orderly_protocol::ShardId {
        generation: 1,
        shard,
    };
    store.claim(shard(0), "one", 0).await.unwrap().unwrap();
    store.claim(shard(1), "gone", 0).await.unwrap().unwrap();
    store.claim(shard(2), "gone", 0).await.unwrap().unwrap();

    let (status, found) = dashboard.get("/v1/shards").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["generation"], 1);
    let told: Vec<_> = (0..3)
        .map(|index| {
            let shard = &found["shards"][index];
            let names = ["shard", "state", "owner", "standby", "epoch", "depth"];
            names.map(|name| shard[name].clone())
        })
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["g1.000", "owned", "one", ["two"], 1, 0],
            ["g1.001", "ready", "gone", ["one"], 1, 0],
            ["g1.002", "unserved", "gone", [], 1, 0],
        ])
    );
    let workers = &found["workers"];
    assert_eq!(
        json!([
            workers[0]["owned"],
            workers[0]["consumed"],
            workers[0]["alive"]
        ]),
        json!([1, 2, true])
    );

    let key = insert_key(store, &[Scope::OrdersRead]).await;
    let request = dashboard
        .request_without_key(Method::GET, "/v1/shards")
        .bearer_auth(key);
    assert_eq!(answer(request).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_queues_the_depth_is_unknown() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    fixture.store.create_first_generation(1, 32).await.unwrap();
    let (status, found) = dashboard.get("/v1/shards").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["shards"][0]["depth"], json!(null));
    assert_eq!(found["shards"][0]["state"], "unserved");
}

#[tokio::test]
async fn a_worker_is_drained_unless_nobody_could_take_over() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let store = &fixture.store;
    let beat = async |worker: &str| {
        let worker = LiveWorker {
            worker: worker.to_owned(),
            capacity: None,
            subscribed: vec!["g1.000".to_owned()],
            declined: Vec::new(),
            draining: false,
        };
        store
            .heartbeat(&worker, WorkerLoad::default())
            .await
            .unwrap();
    };
    beat("one").await;
    let (drain, resume) = ("/v1/workers/one/drain", "/v1/workers/one/resume");
    let body = json!({"reason": "an upgrade"});
    let (status, problem) = post(&dashboard, drain, body.clone()).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (409, &json!("last_worker"))
    );
    beat("two").await;
    let (status, drained) = post(&dashboard, drain, body.clone()).await;
    assert_eq!(
        (status, &drained["worker"]),
        (StatusCode::OK, &json!("one"))
    );
    let draining = &drained["draining"];
    assert_eq!(draining["reason"], "an upgrade");
    let by = draining["drained_by"].as_str().unwrap();
    assert!(by.contains('('), "{drained}");
    let (_, found) = dashboard.get("/v1/shards").await;
    let workers = &found["workers"];
    assert_eq!(
        json!([workers[0]["draining"], workers[0]["shards"]]),
        json!([draining, ["g1.000"]])
    );
    assert_eq!(workers[1]["draining"], json!(null));

    let (_, resumed) = post(&dashboard, resume, Value::Null).await;
    assert_eq!(resumed, json!({"worker": "one", "was_draining": true}));
    let (_, resumed) = post(&dashboard, resume, Value::Null).await;
    assert_eq!(resumed["was_draining"], false);
    let (_, audit) = dashboard.get("/v1/audit?action=worker").await;
    let told: Vec<_> = audit["entries"].as_array().unwrap().iter().collect();
    let names = ["action", "target", "reason", "before", "after"];
    assert_eq!(
        json!(
            told.iter()
                .map(|it| names.map(|name| &it[name]))
                .collect::<Vec<_>>()
        ),
        json!([
            ["worker.resume", "worker/one", null, {"draining": true}, {"draining": false}],
            ["worker.drain", "worker/one", "an upgrade", {"draining": false}, {"draining": true}],
        ])
    );
    for (path, body, status) in [
        ("/v1/workers/gone/drain", body.clone(), 404),
        ("/v1/workers/gone/resume", Value::Null, 404),
        ("/v1/workers/%00/resume", Value::Null, 404),
        (drain, json!({}), 400),
        (drain, json!({"reason": ""}), 400),
    ] {
        let answered = post(&dashboard, path, body).await.0.as_u16();
        assert_eq!(answered, status, "{path}");
    }
}

async fn post(dashboard: &Dashboard, path: &str, body: Value) -> (StatusCode, Value) {
    answer(dashboard.request(Method::POST, path).json(&body)).await
}

#[tokio::test]
async fn a_resize_is_asked_for_shown_and_taken_back() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let body = |count: i64| json!({"count": count, "reason": "a test"});
    let resize = "/v1/shards/resize";
    let (status, problem) = post(&dashboard, resize, body(3)).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (503, &json!("not_ready"))
    );
    fixture.store.create_first_generation(4, 32).await.unwrap();
    for bad in [
        body(0),
        body(1000),
        json!({"count": 3}),
        json!({"count": 3, "reason": ""}),
        json!({"count": "3", "reason": "a test"}),
        json!({"count": 3, "reason": "a test", "more": 1}),
    ] {
        let (status, problem) = post(&dashboard, resize, bad).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (400, &json!("invalid_parameter"))
        );
    }
    let (status, problem) = post(&dashboard, resize, body(4)).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (409, &json!("same_shard_count"))
    );

    let (status, begun) = post(&dashboard, resize, body(6)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let names = [
        "from",
        "to",
        "from_generation",
        "to_generation",
        "step",
        "reason",
    ];
    assert_eq!(
        json!(names.map(|name| &begun[name])),
        json!([4, 6, 1, 2, "requested", "a test"])
    );
    let (status, again) = post(&dashboard, resize, body(6)).await;
    assert_eq!((status, &again["id"]), (StatusCode::ACCEPTED, &begun["id"]));
    let (status, problem) = post(&dashboard, resize, body(5)).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (409, &json!("resize_under_way"))
    );
    let (_, found) = dashboard.get("/v1/shards").await;
    assert_eq!(found["resize"], begun);
    let (_, plan) = post(&dashboard, "/v1/shards/plan", json!({"count": 6})).await;
    assert_eq!(plan["refused"]["code"], "resize_under_way");

    let abort = "/v1/shards/resize/abort";
    let (status, aborted) = post(&dashboard, abort, Value::Null).await;
    assert_eq!(
        (status, &aborted["step"]),
        (StatusCode::OK, &json!("aborted"))
    );
    let (status, problem) = post(&dashboard, abort, Value::Null).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (409, &json!("no_resize"))
    );
    let (_, found) = dashboard.get("/v1/shards").await;
    assert_eq!(
        (&found["resize"], &found["last_resize"]),
        (&Value::Null, &aborted)
    );
    let (_, plan) = post(&dashboard, "/v1/shards/plan", json!({"count": 6})).await;
    assert_eq!(
        json!([
            plan["from"],
            plan["to"],
            plan["renumbered_percent"].as_f64().unwrap().round(),
            plan["refused"]
        ]),
        json!([4, 6, 67.0, null])
    );
}

#[tokio::test]
async fn a_pause_says_who_and_why_and_ends_when_it_is_told_to() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    fixture.store.create_first_generation(2, 32).await.unwrap();
    let body = json!({"reason": "a test", "expires_in_seconds": 600});
    let (status, paused) = post(&dashboard, "/v1/shards/1/pause", body.clone()).await;
    assert_eq!(
        (status, &paused["shard"]),
        (StatusCode::OK, &json!("g1.001"))
    );
    assert!(
        paused["paused_by"].as_str().unwrap().contains('('),
        "{paused}"
    );
    assert!(paused["expires_at"].is_string());
    let (_, found) = dashboard.get("/v1/shards").await;
    assert_eq!(found["pauses"], json!([paused]));
    let both = |found: &Value| json!([found["shards"][0]["state"], found["shards"][1]["state"]]);
    assert_eq!(both(&found), json!(["unserved", "paused"]));

    let (_, all) = post(&dashboard, "/v1/pause", json!({"reason": "all of them"})).await;
    assert_eq!(
        json!([all["shard"], all["expires_at"]]),
        json!([null, null])
    );
    let (_, found) = dashboard.get("/v1/shards").await;
    assert_eq!(both(&found), json!(["paused", "paused"]));
    let (_, resumed) = post(&dashboard, "/v1/resume", Value::Null).await;
    assert_eq!(resumed, json!({"shard": null, "was_paused": true}));
    let (_, resumed) = post(&dashboard, "/v1/resume", Value::Null).await;
    assert_eq!(resumed["was_paused"], false);
    let (_, resumed) = post(&dashboard, "/v1/shards/g1.001/resume", Value::Null).await;
    assert_eq!(resumed, json!({"shard": "g1.001", "was_paused": true}));

    for (path, body, status) in [
        ("/v1/shards/2/pause", body.clone(), 404),
        ("/v1/shards/g2.000/pause", body.clone(), 404),
        ("/v1/shards/1/pause", json!({}), 400),
        (
            "/v1/shards/1/pause",
            json!({"reason": "a", "expires_in_seconds": 0}),
            400,
        ),
    ] {
        assert_eq!(
            post(&dashboard, path, body).await.0.as_u16(),
            status,
            "{path}"
        );
    }
    let key = insert_key(&fixture.store, &[Scope::OpsRead]).await;
    for path in [
        "/v1/shards/1/pause",
        "/v1/shards/1/resume",
        "/v1/pause",
        "/v1/resume",
        "/v1/workers/one/drain",
        "/v1/workers/one/resume",
        "/v1/shards/resize",
        "/v1/shards/resize/abort",
    ] {
        let request = dashboard.request_without_key(Method::POST, path);
        let (status, _) = answer(request.bearer_auth(&key).json(&body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
}
