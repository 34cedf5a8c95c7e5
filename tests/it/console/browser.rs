//! Debian's Chromium by its chromedriver: one session, told what to do, asked what it shows and what it complains of.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    key::Key,
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// One browser at a time: each takes more than the test beside it.
static TURN: Mutex<()> = Mutex::const_new(());

/// The process that tells the browser what to do; both end when it is dropped.
struct Driver(Child);

/// A browser, closed when dropped.
pub(crate) struct Browser {
    _driver: Driver,
    address: String,
    session: String,
    pub(crate) page: Client,
    /// Cookies and cache.
    _profile: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// A browser whose reader wants `language`; `None`, and a word about it, where none is installed.
    pub(crate) async fn open(language: &str, scripts: bool) -> Option<Self> {
        if !fs::exists(CHROMIUM).unwrap() || !fs::exists(DRIVER).unwrap() {
            println!("SKIPPED: {CHROMIUM} and {DRIVER} are not both installed");
            return None;
        }
        let turn = TURN.lock().await;
        let mut command = Command::new(DRIVER);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Driver(command.spawn().unwrap());
        let mut lines = BufReader::new(driver.0.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "chromedriver names no port");
            if let Some(rest) = line.split("successfully on port ").nth(1) {
                break rest.trim().trim_end_matches('.').to_owned();
            }
        };
        // What it says later is for nobody; a pipe that is closed would end it.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--window-size=1440,900".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if !scripts {
            arguments.push("--blink-settings=scriptEnabled=false".to_owned());
        }
        let options = json!({
            "binary": CHROMIUM, "args": arguments, "prefs": {"intl.accept_languages": language},
        });
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), options);
        wanted.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let address = format!("http://127.0.0.1:{port}");
        let connected =
            ClientBuilder::new(hyper_connector()).capabilities(wanted).connect(&address).await;
        let page = connected.expect("chromedriver gives a session");
        let session = page.session_id().await.unwrap().unwrap();
        Some(Self { _driver: driver, address, session, page, _profile: profile, _turn: turn })
    }

    /// Ends the session, after looking whether the browser complained of anything.
    pub(crate) async fn close(self) {
        let complaints = self.complaints();
        self.page.clone().close().await.unwrap();
        assert_eq!(complaints, Vec::<String>::new(), "the browser complains");
    }

    /// What stands in the browser's console since it was asked last: errors, refused styles and scripts.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let address = format!("{}/session/{}/se/log", self.address, self.session);
        let mut answer = ureq::post(&address).send_json(json!({"type": "browser"})).unwrap();
        let answer: Value = answer.body_mut().read_json().unwrap();
        let entries = answer["value"].as_array().unwrap().iter();
        entries
            .filter(|e| e["level"] != "INFO" && e["level"] != "DEBUG")
            .map(Value::to_string)
            .collect()
    }

    /// What an expression gives.
    pub(crate) async fn eval(&self, script: &str) -> Value {
        // Behind `return` nothing may begin a line.
        let script = format!("return {}", script.trim_start());
        self.page.execute(&script, Vec::new()).await.unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// Presses keys one after another, wherever the keyboard is.
    pub(crate) async fn press(&self, keys: &str) {
        let actions =
            keys.chars().fold(KeyActions::new("keyboard".to_owned()), |actions, value| {
                actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
            });
        self.page.perform_actions(actions).await.unwrap_or_else(|e| panic!("{keys}: {e}"));
    }

    pub(crate) async fn escape(&self) {
        self.press(&Key::Escape.to_string()).await;
    }

    pub(crate) async fn click(&self, css: &str) {
        let found = self.page.find(Locator::Css(css)).await;
        found.unwrap_or_else(|e| panic!("{css}: {e}")).click().await.unwrap();
    }

    /// Clicks what leads to another page, and waits until that page is there.
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    pub(crate) async fn follow(&self, css: &str) {
        let before = self.page.find(Locator::Css("html")).await.unwrap();
        self.click(css).await;
        let start = Instant::now();
        // The driver asks a page that is loading after it has loaded.
        while !before.tag_name().await.is_err_and(|e| e.is_stale_element_reference()) {
            assert!(start.elapsed() < Duration::from_secs(30), "{css} leads nowhere");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.wait("the page has loaded", "document.readyState === 'complete'").await;
    }

    /// The text that is seen of the first element; of the next page's, if a page goes away meanwhile.
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    pub(crate) async fn text(&self, css: &str) -> String {
        let start = Instant::now();
        loop {
            let text = match self.page.find(Locator::Css(css)).await {
                Ok(found) => found.text().await,
                Err(error) => Err(error),
            };
            match text {
                Ok(text) => return text,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(5), "{css}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        self.page.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Waits until an expression is true.
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    pub(crate) async fn wait(&self, what: &str, script: &str) {
        let start = Instant::now();
        while self.eval(script).await != json!(true) {
            assert!(start.elapsed() < Duration::from_secs(30), "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Else the browser outlives its driver; a session that is closed is none any more.
        let _ = ureq::delete(format!("{}/session/{}", self.address, self.session)).call();
    }
}

/// Plain HTTP: the driver is on this machine.
fn hyper_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}
