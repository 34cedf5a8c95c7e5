//! `forewarn lsp` as an editor drives it: real messages over standard input and output.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::program::copy;

/// An editor with one file open.
struct Editor {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    uri: String,
    asked: u64,
}

impl Editor {
    fn open(path: &Path, text: &str) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = server.stdin.take().unwrap();
        let output = BufReader::new(server.stdout.take().unwrap());
        let uri = format!("file://{}", path.display());
        let mut editor = Self { server, input, output, uri, asked: 0 };
        let hello = editor.ask("initialize", json!({"capabilities": {}, "processId": null}));
        assert_eq!(hello["capabilities"]["positionEncoding"], "utf-16");
        editor.tell("initialized", json!({}));
        let document = json!({"uri": editor.uri, "languageId": "yaml", "version": 1, "text": text});
        editor.tell("textDocument/didOpen", json!({"textDocument": document}));
        editor
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has gone");
            match line.trim().strip_prefix("Content-Length: ") {
                Some(number) => length = number.parse().unwrap(),
                None if line.trim().is_empty() => break,
                None => {}
            }
        }
        let mut text = vec![0; length];
        self.output.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.receive();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{message:#}");
                return message["result"].clone();
            }
        }
    }

    fn change(&mut self, text: &str) {
        let document = json!({"uri": self.uri, "version": 2});
        let params = json!({"textDocument": document, "contentChanges": [{"text": text}]});
        self.tell("textDocument/didChange", params);
    }

    /// The next findings that the server publishes.
    fn findings(&mut self) -> Vec<Value> {
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics" {
                assert_eq!(message["params"]["uri"], self.uri.as_str());
                return message["params"]["diagnostics"].as_array().unwrap().clone();
            }
        }
    }

    fn at(&mut self, method: &str, line: usize, character: usize) -> Value {
        let document = json!({"uri": self.uri});
        let position = json!({"line": line, "character": character});
        self.ask(method, json!({"textDocument": document, "position": position}))
    }

    fn close(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        drop(self.input);
        assert!(self.server.wait().unwrap().success());
    }
}

/// Line and UTF-16 unit of the first place of a text in another.
fn place(text: &str, part: &str) -> (usize, usize) {
    let (line, found) = text
        .lines()
        .enumerate()
        .find_map(|(i, l)| Some((i, &l[..l.find(part)?])))
        .unwrap_or_else(|| panic!("{part:?} is not there"));
    (line, found.encode_utf16().count())
}

#[test]
fn an_editor_sees_findings_completions_and_meanings_at_the_right_places() {
    let home = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&repository.join("rules"), &home.path().join("rules"));
    let path = home.path().join("rules/complaints/prepaid_keywords.yaml");
    let good = fs::read_to_string(&path).unwrap();
    let mut editor = Editor::open(&path, &good);
    assert_eq!(editor.findings(), [] as [Value; 0]);

    // An unknown column behind Chinese text in one line: 甲乙 are two units, 𠮷 is two.
    let (key, _) = good.split_once("key: [").unwrap();
    let line = key.lines().count();
    let mut lines: Vec<&str> = good.lines().collect();
    lines[line] = "key: [\"case when text = '甲乙𠮷' then uccc end as ucc\"]";
    let bad = lines.join("\n") + "\n";
    editor.change(&bad);
    let found = editor.findings();
    let unknown = found.iter().find(|d| d["code"] == "rule::unknown_column").unwrap();
    let (row, column) = place(&bad, "uccc");
    assert_eq!(unknown["range"]["start"], json!({"line": row, "character": column}));
    assert_eq!(unknown["range"]["end"], json!({"line": row, "character": column + 4}));
    assert!(unknown["message"].as_str().unwrap().contains("did you mean \"ucc\"?"));
    assert_eq!((&unknown["severity"], &unknown["source"]), (&1.into(), &"forewarn".into()));

    // Completion at the end of the half-written name takes its place, and nothing before it.
    let done = editor.at("textDocument/completion", row, column + 4);
    let items = done["items"].as_array().unwrap();
    let ucc = items.iter().find(|i| i["label"] == "ucc").unwrap();
    assert_eq!(ucc["textEdit"]["newText"], "ucc");
    assert_eq!(ucc["textEdit"]["range"], unknown["range"]);
    assert!(items.iter().any(|i| i["label"] == "in_list"));

    let hover = editor.at("textDocument/hover", row, place(&bad, "text = '甲").1);
    let range = json!({
        "start": {"line": row, "character": place(&bad, "text = '甲").1},
        "end": {"line": row, "character": place(&bad, "text = '甲").1 + 4},
    });
    assert_eq!(hover["range"], range, "{hover:#}");
    assert!(hover["contents"]["value"].as_str().unwrap().contains("投诉内容"), "{hover:#}");

    // While the file is no YAML there is one finding, and names are known from before.
    let broken = good.replacen("key: [", "key: [[{", 1);
    editor.change(&broken);
    assert!(editor.findings().iter().any(|d| d["severity"] == 1));
    let open = good.replacen("when: ", "when: p\n# ", 1);
    editor.change(&open);
    editor.findings();
    let (row, column) = place(&open, "when: p\n".trim_end());
    let done = editor.at("textDocument/completion", row, column + 7);
    let labels: Vec<&str> =
        done["items"].as_array().unwrap().iter().filter_map(|i| i["label"].as_str()).collect();
    assert!(labels.iter().any(|l| l.starts_with("people") || l == &"n"), "{labels:?}");

    // Saved as it was: no findings; and the two lists of keywords are offered where words are.
    editor.change(&good);
    assert_eq!(editor.findings(), [] as [Value; 0]);
    let (row, column) = place(&good, "_words'");
    let done = editor.at("textDocument/completion", row, column);
    let labels: Vec<&str> =
        done["items"].as_array().unwrap().iter().filter_map(|i| i["label"].as_str()).collect();
    assert!(labels.contains(&"lift_trapping_words") && !labels.contains(&"ucc"), "{labels:?}");
    editor.close();
}

#[test]
fn a_feed_file_has_findings_too() {
    let home = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&repository.join("rules/feeds"), &home.path().join("投诉 规则/feeds"));
    let path = home.path().join("投诉 规则/feeds/recalls.yaml");
    let text = fs::read_to_string(&path).unwrap().replacen("event_time: ", "event_time: x", 1);
    let escaped = path.display().to_string().replace(' ', "%20");
    let mut editor = Editor::open(Path::new(&escaped), &text);
    let found = editor.findings();
    assert_eq!(found[0]["code"], "feed::unknown_column", "{found:?}");
    assert_eq!(found[0]["range"]["start"]["line"], place(&text, "event_time: x").0);
    editor.close();
}
