//! A headless Chromium, driven by the standard for that (W3C `WebDriver`) and two commands of its own driver.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orderly_protocol::serde_json::{Value, json};
use reqwest::{Client, Method};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Runs the driver, and with it the browser, in a process group of their own, which ends with the test, however that ends:
/// the kernel closes the pipe.
const SCRIPT: &str = "chromedriver --port=0 & while read -r _; do :; done; kill -KILL 0";

const ARGUMENTS: [&str; 10] = [
    "--headless",
    // Tests may run as root, which the sandbox refuses.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--lang=en-US",
];

/// A browser is a dozen processes: on two cores beside other tests, what takes it a moment may take it a minute.
const LIMIT: Duration = Duration::from_mins(3);

/// Several at a time would only slow each other down.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// What the browser reports when a server is away: the tests take servers away.
const UNREACHED: &[&str] = &["net::ERR_"];

/// The key under which the standard hands an element over.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one empty tab.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    session: String,
    _profile: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let turn = ONE_AT_A_TIME.acquire().await.unwrap();
        let mut driver = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let printed = BufReader::new(driver.stdout.take().unwrap());
        let port = tokio::task::spawn_blocking(move || {
            let line = printed.lines().map_while(Result::ok).find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            });
            line.expect("chromedriver starts: is the package chromium-driver installed?")
        });
        let driver_url = format!("http://127.0.0.1:{}", port.await.unwrap());
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let mut browser = Self {
            driver,
            client: Client::new(),
            session: format!("{driver_url}/session"),
            _profile: profile,
            _turn: turn,
        };
        let begun = browser.command(Method::POST, "", Some(&capabilities)).await;
        browser.session = format!(
            "{driver_url}/session/{}",
            begun["sessionId"].as_str().unwrap()
        );
        browser.size(1280, 800).await;
        browser
    }

    async fn command(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.session))
            .timeout(LIMIT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {}", answer["value"]);
        answer["value"].take()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.command(Method::POST, path, Some(&body)).await
    }

    /// A command of the browser's own protocol.
    async fn devtools(&self, command: &str, params: Value) {
        let body = json!({ "cmd": command, "params": params });
        self.post("/goog/cdp/execute", body).await;
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// What the person set in his system: `light` or `dark`, and to see nothing move.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// The value of a script's `return`; a promise is awaited.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post("/execute/sync", body).await
    }

    /// Waits until the expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let begun = Instant::now();
        while self.run(&format!("return Boolean({expression})")).await != true {
            assert!(
                begun.elapsed() < LIMIT,
                "never true: {expression}\n{}",
                self.text("body").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn element(&self, selector: &str) -> String {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", body).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    /// Types into a field, key by key; `\n` is Enter.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        let body = json!({ "text": text.replace('\n', "\u{e007}") });
        self.post(&format!("/element/{element}/value"), body).await;
    }

    /// The text that a person sees in an element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.innerText ?? ''");
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    /// A picture of the tab, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let picture = self.command(Method::GET, "/screenshot", None).await;
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    /// What was written to the console since the last call: faults of scripts, breaches of the policy, failed requests.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().unwrap().iter();
        entries
            .map(|entry| {
                format!(
                    "{}: {}",
                    entry["source"].as_str().unwrap(),
                    entry["message"]
                )
            })
            .collect()
    }

    /// Asserts that there is nothing on the console but requests that met no server.
    pub(crate) async fn assert_only_unreached(&self) {
        let complaints = self.complaints().await;
        let unreached = |line: &&String| {
            line.starts_with("network: ") && UNREACHED.iter().any(|code| line.contains(code))
        };
        let others: Vec<&String> = complaints.iter().filter(|line| !unreached(line)).collect();
        assert!(others.is_empty(), "{others:#?}");
    }

    /// Asserts that there is nothing on the console.
    pub(crate) async fn assert_no_complaint(&self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.driver.stdin.take());
        // The shell kills its whole group; what it wrote into the profile stops with it.
        self.driver.wait().ok();
    }
}
