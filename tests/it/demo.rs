//! `forewarn demo`: nothing to set up, the same alerts for a seed wherever it was interrupted, and a directory that is left
//! in order.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A small province, and a short history that all rules but three have enough of.
const SMALL: [&str; 6] = ["--scale", "0.002", "--years", "0.5", "--listen", "127.0.0.1:0"];

/// A running demo, killed when dropped.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    err: ChildStderr,
    address: String,
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    // A directory without anything, and one for the demo below it.
    command.current_dir(dir).arg("demo").args(arguments);
    command.env_remove("FOREWARN_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Demo {
    fn start(dir: &Path, arguments: &[&str]) -> Self {
        let mut child = command(dir, &[&SMALL[..], arguments].concat()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let mut demo = Self { child, out: BufReader::new(out), err, address: String::new() };
        let line = demo.read_to("console and API");
        demo.address = line.trim().rsplit('/').next().unwrap().to_owned();
        demo
    }

    /// Reads lines up to one with `text`, and returns all of them.
    fn read_to(&mut self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let from = all.len();
            if self.out.read_line(&mut all).unwrap() == 0 {
                let mut error = String::new();
                self.err.read_to_string(&mut error).unwrap();
                panic!("no {text:?} in\n{all}\n{error}");
            }
            if all[from..].contains(text) {
                return all;
            }
        }
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.address);
        let answer = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// How much of the log is walked, as `/readyz` tells, until it is ready.
    fn walked(&self) -> Vec<f64> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut walked = Vec::new();
        wait("the log is walked", || {
            let mut answer = agent.get(format!("http://{}/readyz", self.address)).call().unwrap();
            let said: Value = answer.body_mut().read_json().unwrap();
            if answer.status() != 503 {
                return true;
            }
            // At the very beginning it is not known yet how much there is.
            if said["of"] != 0 {
                let health = self.get("/healthz");
                let strip = &health["recovering"];
                assert!(health["status"] == "ok" || strip["of"] == said["of"], "{said} {health}");
                walked.push(said["records"].as_f64().unwrap() / said["of"].as_f64().unwrap());
            }
            false
        });
        walked
    }

    /// Every revision of every alert.
    fn told(&self) -> BTreeMap<String, Value> {
        let page = self.get("/api/v1/alerts?limit=1000");
        assert_eq!(page["next"], Value::Null);
        let ids = page["alerts"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap());
        ids.map(|id| (id.to_owned(), self.get(&format!("/api/v1/alerts/{id}/revisions")))).collect()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C; what it had still to say, and the exit code.
    fn interrupt(mut self) -> (String, String, Option<i32>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        (out, err, self.child.wait().unwrap().code())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes in the log.
fn logged(dir: &Path) -> u64 {
    let files = fs::read_dir(dir.join("forewarn-demo/log")).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a command printed.
fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// History until 2024-07-01, then ten days at a pace that no machine keeps.
const LIVE: [&str; 4] = ["--speed", "1e9", "--until", "2024-07-11"];

/// The whole of it without an interruption: what was printed, and what was told.
fn uninterrupted(dir: &Path, arguments: &[&str]) -> (String, BTreeMap<String, Value>) {
    let mut demo = Demo::start(dir, &[&LIVE[..], arguments].concat());
    let text = demo.read_to("has come to 2024-07-11");
    (text, demo.told())
}

#[test]
fn an_interrupted_demo_goes_on_as_if_nothing_had_happened() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (text, whole) = uninterrupted(dirs[0].path(), &[]);
    assert!(whole.len() > 20, "{} alerts", whole.len());

    // Killed in the middle of the history, twice, and once in the live part.
    let dir = dirs[1].path();
    for bytes in [400_000, 1_500_000] {
        let demo = Demo::start(dir, &LIVE);
        wait("some history is in the log", || logged(dir) > bytes);
        demo.kill();
    }
    let mut demo = Demo::start(dir, &["--speed", "200000", "--until", "2024-07-11"]);
    let walked = demo.walked();
    assert!(!walked.is_empty() && walked.is_sorted() && walked.iter().all(|w| *w <= 1.0));
    let again = demo.read_to("README.md");
    thread::sleep(Duration::from_millis(1_500));
    demo.kill();
    let mut demo = Demo::start(dir, &LIVE);
    demo.read_to("has come to 2024-07-11");
    assert_eq!(demo.told(), whole);

    // The report is the same, whoever walked which part of the history.
    let table = |text: &str| {
        let lines = text.lines().skip_while(|l| !l.starts_with("rule "));
        lines.take_while(|l| !l.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(table(&again), table(&text));
    let sum = table(&text).pop().unwrap();
    let number = |i: usize| sum.split_whitespace().nth(i).unwrap().parse::<u32>().unwrap();
    let [planted, found, missed, open] = [1, 2, 3, 4].map(number);
    assert!(planted > 30 && found + missed + open == planted && missed == 0, "{text}");

    // Another seed is another province.
    let (_, other) = uninterrupted(dirs[2].path(), &["--seed", "2"]);
    assert!(!other.is_empty() && other != whole);
}

#[test]
fn ctrl_c_leaves_everything_in_order_and_the_directory_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    // In the middle of the history.
    let demo = Demo::start(dir.path(), &["--seed", "3"]);
    wait("some history is in the log", || logged(dir.path()) > 400_000);
    let (out, err, code) = demo.interrupt();
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("Stopped at 2024-") && out.contains("goes on from there"), "{out}");
    let made: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(made, ["forewarn-demo"], "it writes nothing elsewhere");

    // The seed is known; in the live part, with a clock that stands still, everything is answered.
    let mut demo = Demo::start(dir.path(), &["--speed", "0"]);
    let text = demo.read_to("README.md");
    for words in
        ["province         seed 3, scale 0.002", "planted", "explain --data", "Ctrl-C stops"]
    {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let feeds = demo.get("/api/v1/feeds");
    assert_eq!(feeds["feeds"].as_array().unwrap().len(), 17);
    let page = demo.get("/api/v1/alerts?limit=1");
    let id = page["alerts"][0]["id"].as_str().unwrap().to_owned();
    let explain = |id: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.current_dir(dir.path()).args(["explain", "--data", "forewarn-demo"]);
        command.args(["--rules", "forewarn-demo/rules", id]).output().unwrap()
    };
    let explained = explain(&id);
    assert!(explained.status.success(), "{}", printed(&explained));
    assert!(printed(&explained).contains("agrees in every value"), "{}", printed(&explained));

    // Two at once, and another province, are refused in words.
    let second = command(dir.path(), &SMALL).output().unwrap();
    assert_eq!(second.status.code(), Some(2), "{}", printed(&second));
    assert!(printed(&second).contains("in use by another forewarn"), "{}", printed(&second));
    let (out, err, code) = demo.interrupt();
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let other = command(dir.path(), &[&SMALL[..], &["--seed", "4"]].concat()).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(printed(&other).contains("--fresh"), "{}", printed(&other));
}
