//! Servers that are stopped, killed and started again under a running owner.

use std::net::{Ipv4Addr, TcpStream};

use orderly_devenv::{DevEnv, DevEnvError, DevEnvOptions, ServerProcess};

use crate::processes;

fn port(url: &str) -> u16 {
    let (_, address) = url.split_once("@127.0.0.1:").unwrap();
    address.split_once('/').unwrap().0.parse().unwrap()
}

fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

async fn goes_down_and_comes_back(server: &ServerProcess, port: u16) {
    let name = server.name();
    assert!(port < 32_768, "{name}");
    let first = server.pid().unwrap();
    assert!(
        matches!(server.start().await, Err(DevEnvError::Running(_))),
        "{name}"
    );

    server.kill().await;
    assert!(!server.is_running(), "{name}");
    assert!(!accepts(port), "{name}");
    server.start().await.unwrap();
    assert!(accepts(port), "{name}");
    let second = server.pid().unwrap();
    assert_ne!(first, second, "{name}");

    server.stop().await;
    assert!(!accepts(port), "{name}");
    assert_eq!(server.pid(), None, "{name}");
    // Nothing to stop: nothing happens.
    server.stop().await;
    server.start().await.unwrap();
    assert!(accepts(port), "{name}");
}

#[tokio::test]
async fn every_server_comes_back_on_its_port_with_its_data() {
    let folder = processes::open_folder();
    let mut options = DevEnvOptions::kept(folder.path().join("data"));
    options.redis = true;
    let env = DevEnv::start(options).await.unwrap();
    env.psql("orderly", &["create table mark ()"])
        .await
        .unwrap();
    env.rabbitmqctl(&["add_vhost", "mark"]).await.unwrap();

    let redis = env.redis().unwrap();
    tokio::join!(
        goes_down_and_comes_back(env.postgres(), port(&env.database_url())),
        goes_down_and_comes_back(env.rabbitmq(), port(&env.amqp_url())),
        goes_down_and_comes_back(redis, port(&env.redis_url().unwrap())),
    );

    let count = "select count(*) from pg_tables where tablename = 'mark'";
    assert_eq!(env.psql("orderly", &[count]).await.unwrap().trim(), "1");
    let vhosts = env.rabbitmqctl(&["list_vhosts"]).await.unwrap();
    assert!(vhosts.lines().any(|vhost| vhost == "mark"), "{vhosts}");
    // Also while a server is down, its handle in use elsewhere.
    env.rabbitmq().kill().await;
    env.stop().await;
    processes::wait_until_none_is_left(folder.path());
}

#[tokio::test]
async fn dropped_servers_end() {
    let options = DevEnvOptions::temporary().unwrap();
    let env = DevEnv::start(options).await.unwrap();
    let data = env.data_dir().to_owned();
    drop(env);
    processes::wait_until("the folder is gone", || !data.exists());
    processes::wait_until("no server is left", || processes::inside(&data).is_empty());
}
