//! What one test gets from the shared servers.

use orderly_devenv::test_env;

#[tokio::test]
async fn each_test_gets_an_empty_database_of_its_own() {
    let (one, other) = (test_env().await, test_env().await);
    one.psql(&["create table mark ()"]).await.unwrap();
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(one.psql(&[tables]).await.unwrap().trim(), "1");
    assert_eq!(other.psql(&[tables]).await.unwrap().trim(), "0");
}

#[tokio::test]
async fn each_test_gets_a_virtual_host_of_its_own() {
    let (one, other) = (test_env().await, test_env().await);
    assert_ne!(one.vhost(), other.vhost());
    let listed = one
        .rabbitmqctl(&["list_permissions", "--vhost", one.vhost()])
        .await
        .unwrap();
    assert!(listed.contains("orderly\t.*\t.*\t.*"), "{listed}");
}

#[tokio::test]
async fn promises_under_test_rest_on_a_durable_database() {
    let env = test_env().await;
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value = env.psql(&[&format!("show {setting}")]).await.unwrap();
        assert_eq!(value.trim(), "on", "{setting}");
    }
}
