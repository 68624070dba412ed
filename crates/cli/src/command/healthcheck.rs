//! `orderly healthcheck`: asks the role in this container whether it is ready. For platforms that look every few seconds:
//! it needs no setting that the role itself does not have, and a fault in any other is none of its business.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, anyhow};
use serde_json::Value;
use url::Url;

use crate::{
    client::probe,
    config::{Settings, parse},
    exit::Exit,
    output,
};

/// Ask a role whether it is ready
///
/// Exits with 0 if it is and with 7 if it is not, and then says why.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly healthcheck                                the role that has the same settings as this
  orderly healthcheck --url http://127.0.0.1:8082")]
pub(crate) struct HealthcheckArgs {
    /// Base URL of the role [default: loopback, on the port of ORDERLY_HTTP_ADDR or else 8080]
    #[arg(long)]
    url: Option<String>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

/// An ingress that was told nothing else listens there.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

pub(crate) async fn run(args: HealthcheckArgs) -> anyhow::Result<Exit> {
    let base = match &args.url {
        Some(_) => Settings::for_one(args.url.as_ref(), "ORDERLY_URL", parse::http_url)?,
        None => None,
    };
    let base = match base {
        Some(url) => url,
        None => own_url()?,
    };
    let answer = probe(&base, "/readyz", Duration::from_secs(args.timeout)).await?;
    if answer.status == 200 {
        return Ok(Exit::Ok);
    }
    output::complain(&anyhow!(
        "not ready: {}",
        reasons(answer.status, &answer.body)
    ));
    Ok(Exit::Unavailable)
}

fn own_url() -> anyhow::Result<Url> {
    let address = Settings::for_one(None, "ORDERLY_HTTP_ADDR", parse::socket_address)?;
    let address = reachable(address.unwrap_or(DEFAULT_ADDRESS));
    Url::parse(&format!("http://{address}")).context("the address is no URL")
}

/// Who listens everywhere is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What the role says is missing.
fn reasons(status: u16, body: &Value) -> String {
    let text = |of: &Value, name: &str| of.get(name).map(output::plain).unwrap_or_default();
    let checks = body.get("not_ready").and_then(Value::as_array);
    let reasons = checks.map(|checks| {
        let reason = |check: &Value| format!("{}: {}", text(check, "check"), text(check, "reason"));
        checks.iter().map(reason).collect::<Vec<_>>().join("; ")
    });
    reasons.unwrap_or_else(|| format!("the answer is {status}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{reachable, reasons};

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        let of = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(of("[::]:8080"), "[::1]:8080");
        assert_eq!(of("10.0.0.7:80"), "10.0.0.7:80");
    }

    #[test]
    fn every_reason_is_told() {
        let body = json!({ "status": "not_ready", "not_ready": [
            { "check": "keys", "reason": "not read yet" }, { "check": "events", "reason": "away" },
        ] });
        assert_eq!(reasons(503, &body), "keys: not read yet; events: away");
        assert_eq!(reasons(404, &json!(null)), "the answer is 404");
    }
}
