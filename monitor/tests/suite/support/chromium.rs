//! A real browser, spoken to over a pipe (the DevTools protocol, one JSON document a message).

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use celeriac_testkit::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::SOON;

/// Of the window, unless a picture is taken.
const HEIGHT: u32 = 740;

/// A headless Chromium with one page, killed when it is dropped.
pub(crate) struct Browser {
    // Dropped in this order: the process must be gone before its profile is removed.
    _process: Child,
    _profile: TempDir,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
    /// What the page has complained about: errors in scripts, blocked or failed requests.
    complaints: Vec<String>,
}

impl Browser {
    /// A browser with a page of this width, if the machine has one.
    ///
    /// # Panics
    /// If there is none although `CI` is set: there, nothing may be skipped.
    pub(crate) async fn open(width: u32) -> Option<Self> {
        let Some(program) = program() else {
            assert!(env::var_os("CI").is_none(), "no Chromium on PATH");
            println!("SKIPPED: no Chromium on PATH");
            return None;
        };
        let profile = tempfile::tempdir().expect("a temporary directory");
        // The protocol is spoken over the descriptors 3 and 4, which only a shell can set here.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#, "sh"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync"])
            .args(["--remote-debugging-pipe", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell");
        let mut browser = Self {
            requests: process.stdin.take().expect("it is piped"),
            answers: BufReader::new(process.stdout.take().expect("it is piped")),
            _process: process,
            _profile: profile,
            session: None,
            number: 0,
            complaints: Vec::new(),
        };
        browser.open_page(width).await;
        Some(browser)
    }

    async fn open_page(&mut self, width: u32) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", target).await;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        self.call("Log.enable", json!({})).await;
        self.call("Runtime.enable", json!({})).await;
        self.set_size(width, HEIGHT).await;
    }

    pub(crate) async fn visit(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until("document.readyState === 'complete'").await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let request = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", request).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits for an expression to become true.
    pub(crate) async fn until(&mut self, expression: &str) {
        eventually(SOON, async || match self.value(expression).await {
            Value::Bool(true) => Ok(()),
            _ => {
                let page = self.value("document.body?.innerText").await;
                Err(format!("{expression} in {page}"))
            }
        })
        .await;
    }

    /// Makes the window as large as this.
    pub(crate) async fn set_size(&mut self, width: u32, height: u32) {
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500
        });
        self.call("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Presses and releases a key, `Control+k` for example.
    pub(crate) async fn press(&mut self, keys: &str) {
        let (control, key) = match keys.strip_prefix("Control+") {
            Some(key) => (2, key),
            None => (0, keys),
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            other => other.to_uppercase().bytes().next().unwrap_or(0),
        };
        let mut event = json!({
            "type": "keyDown", "key": key, "windowsVirtualKeyCode": code, "modifiers": control
        });
        if key == "Enter" {
            event["text"] = "\r".into();
        } else if key.len() == 1 && control == 0 {
            event["text"] = key.into();
        }
        self.call("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event).await;
    }

    /// Types a text into what has the focus.
    pub(crate) async fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Sets the colour scheme that the system prefers.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]})).await;
    }

    /// The roles that assistive technology meets in the page.
    pub(crate) async fn roles(&mut self) -> Vec<String> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let visible = nodes.iter().filter(|node| node["ignored"] == false);
        visible.filter_map(|node| node["role"]["value"].as_str().map(str::to_owned)).collect()
    }

    /// What the page has complained about so far, but for failed requests while a server is away.
    pub(crate) async fn complaints(&mut self) -> Vec<String> {
        // An answer comes after all events before it.
        self.value("1").await;
        let expected =
            |text: &&String| !text.contains("Failed to load resource") && !text.contains("ERR_");
        self.complaints.iter().filter(expected).cloned().collect()
    }

    /// Calls a method of the protocol.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut request = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let bytes = format!("{request}\0");
        self.requests.write_all(bytes.as_bytes()).await.expect("the browser listens");
        let answer = timeout(SOON, self.answer()).await;
        let mut answer = answer.unwrap_or_else(|_| panic!("no answer to {method}"));
        // Who asks a page that is just being left asks again.
        if answer["error"]["message"] == "Inspected target navigated or closed" {
            return Value::Null;
        }
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    async fn answer(&mut self) -> Value {
        loop {
            let mut bytes = Vec::new();
            self.answers.read_until(0, &mut bytes).await.expect("the browser talks");
            assert_eq!(bytes.pop(), Some(0), "the browser has ended");
            let message: Value = serde_json::from_slice(&bytes).expect("JSON");
            if message["id"] == self.number {
                return message;
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Log.entryAdded") => {
                let entry = &params["entry"];
                self.complaints.push(format!("{} {}", entry["text"], entry["url"]));
            }
            Some("Runtime.exceptionThrown") => self.complaints.push(params.to_string()),
            _ => {}
        }
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let mut candidates =
        env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    candidates.find(|program| program.is_file())
}
