//! RabbitMQ's management API: what AMQP shows to nobody. Reads only.
//!
//! <https://www.rabbitmq.com/docs/http-api-reference>

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use axum::{
    body::{self, Body},
    http::{Request, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use crate::client::transport::{Transport, TransportError};

/// It gathers what it answers from every node; a large broker takes seconds.
const LIMIT: Duration = Duration::from_secs(10);

/// 999 shards of a few generations are some MB.
const MOST_BYTES: usize = 64 << 20;

/// The ports that RabbitMQ listens on unless it is told otherwise.
const PORT: u16 = 15_672;
const TLS_PORT: u16 = 15_671;

/// Where it is, and who asks.
pub(crate) struct Management {
    base: Url,
    authorization: String,
    /// The one of the AMQP URL.
    vhost: String,
    transport: Transport,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagementError {
    #[error("the management API does not answer")]
    Transport(#[from] TransportError),
    #[error("the management API does not know this user, or he lacks the tag monitoring")]
    Refused,
    #[error("the management API answers {0}")]
    Status(StatusCode),
    #[error("the management API's answer breaks off")]
    Body(#[source] axum::Error),
    #[error("the management API's answer cannot be read")]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Deserialize)]
pub(super) struct Overview {
    pub(super) rabbitmq_version: String,
    #[serde(default)]
    pub(super) erlang_version: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) running: bool,
    // Absent for one that does not run.
    #[serde(default)]
    pub(super) mem_alarm: bool,
    #[serde(default)]
    pub(super) disk_free_alarm: bool,
    #[serde(default)]
    pub(super) partitions: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) operator_policy: Option<String>,
    /// An empty list instead of an empty object where there is none.
    #[serde(default)]
    pub(super) effective_policy_definition: Value,
    /// Nodes that hold a copy, and those of them that run. Empty for a queue that is no replicated one.
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) online: Vec<String>,
}

impl Queue {
    /// What policies say of it, all together.
    pub(super) fn policies(&self) -> BTreeMap<&str, &Value> {
        let definition = self.effective_policy_definition.as_object();
        let entries = definition.into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), value)).collect()
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Binding {
    pub(super) destination: String,
    pub(super) routing_key: String,
}

impl Management {
    /// The API at `url`, else at its usual port beside the broker that `amqp` names. None when that broker has another port than the
    /// usual: what listens on the API's may be another broker.
    pub(super) fn of(amqp: &str, url: Option<Url>) -> io::Result<Option<Self>> {
        let amqp = Url::parse(amqp).map_err(io::Error::other)?;
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let Some(mut base) = url.or_else(|| usual(&amqp)) else {
            return Ok(None);
        };
        let whose = if base.username().is_empty() {
            &amqp
        } else {
            &base
        };
        let user = match whose.username() {
            "" => "guest".to_owned(),
            user => decoded(user),
        };
        let password = whose.password().map_or_else(|| "guest".to_owned(), decoded);
        let authorization = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        );
        let vhost = match amqp.path().trim_start_matches('/') {
            "" => "/".to_owned(),
            vhost => decoded(vhost),
        };
        // A base URL has neither.
        base.set_username("")
            .and_then(|()| base.set_password(None))
            .ok();
        Ok(Some(Self {
            transport: Transport::new(base.scheme() == "https")?,
            base,
            authorization,
            vhost,
        }))
    }

    pub(super) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// Where it is asked, without secrets.
    pub(super) fn place(&self) -> &str {
        self.base.as_str()
    }

    pub(super) async fn overview(&self) -> Result<Overview, ManagementError> {
        self.get(&["overview"], "").await
    }

    pub(super) async fn nodes(&self) -> Result<Vec<Node>, ManagementError> {
        let columns = "columns=name,running,mem_alarm,disk_free_alarm,partitions";
        self.get(&["nodes"], columns).await
    }

    pub(super) async fn queues(&self) -> Result<Vec<Queue>, ManagementError> {
        let columns =
            "columns=name,policy,operator_policy,effective_policy_definition,members,online";
        self.get(&["queues", &self.vhost], columns).await
    }

    /// Where an exchange leads.
    pub(super) async fn bindings(&self, exchange: &str) -> Result<Vec<Binding>, ManagementError> {
        let path = ["exchanges", &self.vhost, exchange, "bindings", "source"];
        self.get(&path, "").await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &str,
    ) -> Result<T, ManagementError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let request = Request::get(url.as_str())
            .header(header::AUTHORIZATION, &self.authorization)
            .body(Body::empty())
            .expect("a URL and a header of base64");
        let answer = self.transport.send(request, LIMIT).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(ManagementError::Refused);
            }
            status => return Err(ManagementError::Status(status)),
        }
        let body = body::to_bytes(answer.into_body(), MOST_BYTES).await;
        let body = body.map_err(ManagementError::Body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

fn usual(amqp: &Url) -> Option<Url> {
    let (usual_port, scheme, port) = match amqp.scheme() {
        "amqps" => (5_671, "https", TLS_PORT),
        _ => (5_672, "http", PORT),
    };
    let is_usual = amqp.port().is_none_or(|port| port == usual_port);
    let url = format!("{scheme}://{}:{port}/", amqp.host_str()?);
    url.parse().ok().filter(|_| is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(amqp: &str, url: Option<&str>) -> (String, String, String) {
        let url = url.map(|url| url.parse().unwrap());
        let it = Management::of(amqp, url).unwrap().unwrap();
        let secret = it.authorization.strip_prefix("Basic ").unwrap();
        let secret = String::from_utf8(BASE64_STANDARD.decode(secret).unwrap()).unwrap();
        (it.place().to_owned(), secret, it.vhost.clone())
    }

    #[test]
    fn it_is_looked_for_beside_the_broker_unless_its_url_is_given() {
        let three = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            of("amqp://o:p%40ss@mq:5672/%2f", None),
            three("http://mq:15672/", "o:p@ss", "/")
        );
        assert_eq!(
            of("amqps://o:p@mq", None),
            three("https://mq:15671/", "o:p", "/")
        );
        assert_eq!(
            of("amqp://o:p@mq/shop", Some("http://ops:word@proxy/mq")),
            three("http://proxy/mq", "ops:word", "shop")
        );
        assert_eq!(
            of("amqp://o:p@mq/shop", Some("http://proxy:80/mq/")).1,
            "o:p"
        );
        assert!(
            Management::of("amqp://o:p@mq:21720", None)
                .unwrap()
                .is_none()
        );
    }
}
