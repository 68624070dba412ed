//! The flags of every command that speaks HTTP, and the client they give.

use crate::{
    client::{Client, Urls},
    config::{Settings, parse},
};

/// Where Orderly is and who asks.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientFlags {
    /// Base URL of the ingress [env: ORDERLY_URL]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    pub(crate) url: Option<String>,
    /// Base URL of the dashboard, if another [env: ORDERLY_DASHBOARD_URL]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    pub(crate) dashboard_url: Option<String>,
    /// API key; better given in the environment [env: ORDERLY_API_KEY, ORDERLY_API_KEY_FILE]
    #[arg(long, value_name = "KEY", help_heading = "Connection")]
    pub(crate) api_key: Option<String>,
}

impl ClientFlags {
    /// The client, or every fault of its settings.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let mut settings = Settings::for_command();
        let ingress = settings.required(self.url.as_ref(), "ORDERLY_URL", parse::http_url);
        let dashboard = settings.optional(
            self.dashboard_url.as_ref(),
            "ORDERLY_DASHBOARD_URL",
            parse::http_url,
        );
        let key = settings.required(self.api_key.as_ref(), "ORDERLY_API_KEY", parse::api_key);
        let (urls, key) = settings.finish(|| {
            let ingress = ingress?;
            let dashboard = dashboard.unwrap_or_else(|| ingress.clone());
            Some((Urls { ingress, dashboard }, key?))
        })?;
        Ok(Client::new(urls, key)?)
    }
}
