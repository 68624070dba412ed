//! https, as from behind a proxy that ends TLS: with a certificate that is trusted, and with one that is not.

use std::{fs, process::Command, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use crate::system::{System, bare, success};

/// A proxy and the certificate that it shows.
struct Proxy {
    url: String,
    certificate: TempDir,
}

impl Proxy {
    /// Ends TLS and hands on to `target`, until the test ends.
    async fn before(target: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = tempfile::tempdir().unwrap();
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            STANDARD.encode(made.cert.der())
        );
        fs::write(certificate.path().join("cert.pem"), pem).unwrap();
        let chain: Vec<CertificateDer> = vec![made.cert.der().clone()];
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = target.trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, target) = (acceptor.clone(), target.clone());
                tokio::spawn(async move {
                    // A client that does not trust the certificate leaves.
                    if let Ok(mut client) = acceptor.accept(client).await {
                        let mut server = TcpStream::connect(target).await.unwrap();
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    }
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}"),
            certificate,
        }
    }

    /// `command` trusts the proxy's certificate, and no other.
    fn trusted(&self, mut command: Command) -> Command {
        command.env("SSL_CERT_FILE", self.certificate.path().join("cert.pem"));
        command
    }
}

/// Its output, while the proxy goes on.
async fn output(mut command: Command) -> std::process::Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_spoken_to_by_https() {
    let system = System::start().await;
    let order_id = system.place().await.to_string();
    let ingress = Proxy::before(&system.ingress.url).await;
    let dashboard = Proxy::before(&system.dashboard.url).await;
    let over_tls = |args: &[&str]| {
        let mut command = system.orderly(args);
        command.env("ORDERLY_DASHBOARD_URL", &dashboard.url);
        dashboard.trusted(command)
    };
    let listed = success(output(over_tls(&["orders", "list"])).await);
    assert!(listed.contains(&order_id), "{listed}");
    let events = [
        "events", "tail", "--from", "first", "-n", "1", "-o", "jsonl",
    ];
    let event = success(output(over_tls(&events)).await);
    assert!(event.contains("order.placed.v1"), "{event}");
    success(output(ingress.trusted(bare(&["healthcheck", "--url", &ingress.url]))).await);

    let mut untrusted = system.orderly(&["commands", "send", &order_id, "deliver"]);
    untrusted.env("ORDERLY_URL", &ingress.url);
    let refused = output(dashboard.trusted(untrusted)).await;
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("its certificate is refused"), "{words}");
}
