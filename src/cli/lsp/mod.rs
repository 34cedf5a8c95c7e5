//! `forewarn lsp`: the checker of `forewarn check` in an editor, over standard input and output.
//!
//! Findings as one writes, completion of fields, columns, measures, parameters, functions, lists and values, and what a word
//! means under the cursor. Of the protocol's messages we use a dozen, so their shapes are written here: a crate for it would
//! bring more types than this file has lines, and have everything below DataFusion compiled anew.

mod position;
mod wire;
mod workspace;

use std::{
    io::{self, BufRead, Write},
    process::ExitCode,
};

use anyhow::Context;
use forewarn::{
    engine::editor::{Completions, Sort},
    model::{
        diagnostic::{Diagnostic, Level},
        time::Zone,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    position::Position,
    workspace::{Document, Workspace},
};

/// Check and complete rule files in an editor: a language server on standard input and output
#[derive(Debug, clap::Args)]
pub(crate) struct Lsp {
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

/// A place in a file, as requests name it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct At {
    text_document: Named,
    position: Position,
}

/// A file, as messages name it.
#[derive(Debug, Deserialize)]
struct Named {
    uri: String,
}

/// A file with its text, or what it is now.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    text_document: Opened,
    #[serde(default)]
    content_changes: Vec<Text>,
}

#[derive(Debug, Deserialize)]
struct Opened {
    uri: String,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Text {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Closed {
    text_document: Named,
}

/// Numbers of the protocol's errors.
const INVALID_PARAMS: i32 = -32_602;
const METHOD_NOT_FOUND: i32 = -32_601;

/// A message of the editor: a request where it has an id.
#[derive(Debug, Deserialize)]
struct Message {
    id: Option<Value>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Value,
}

/// Exit code 0 where the editor said goodbye, 1 where it only went.
pub(crate) fn run(args: &Lsp) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    let goodbye =
        serve(input, output, Workspace::new(zone)).context("the connection to the editor broke")?;
    Ok(if goodbye { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn capabilities() -> Value {
    json!({
        "positionEncoding": "utf-16",
        // Whole texts: rule files are a screen long.
        "textDocumentSync": {"openClose": true, "change": 1, "save": true},
        "completionProvider": {"triggerCharacters": ["$", ".", "'", "{", "[", ":", " "]},
        "hoverProvider": true,
    })
}

/// Answers until the editor goes; returns whether it said goodbye before.
fn serve(
    mut input: impl BufRead,
    mut output: impl Write,
    mut workspace: Workspace,
) -> io::Result<bool> {
    let mut goodbye = false;
    while let Some(message) = wire::read(&mut input)? {
        let message: Message = serde_json::from_value(message)?;
        let Message { id, method, params } = message;
        let Some(id) = id else {
            if method == "exit" {
                break;
            }
            for uri in noted(&method, params, &mut workspace) {
                wire::write(&mut output, &published(&uri, &mut workspace))?;
            }
            continue;
        };
        // Nothing is asked of the editor, so a message without a method answers nothing.
        if method.is_empty() {
            continue;
        }
        goodbye |= method == "shutdown";
        let mut reply = json!({"jsonrpc": "2.0", "id": id});
        match answer(&method, params, &mut workspace) {
            Ok(result) => reply["result"] = result,
            Err((code, message)) => reply["error"] = json!({"code": code, "message": message}),
        }
        wire::write(&mut output, &reply)?;
    }
    Ok(goodbye)
}

fn answer(method: &str, params: Value, workspace: &mut Workspace) -> Result<Value, (i32, String)> {
    match method {
        "initialize" => {
            return Ok(json!({
                "capabilities": capabilities(),
                "serverInfo": {"name": "forewarn", "version": env!("CARGO_PKG_VERSION")},
            }));
        }
        "shutdown" => return Ok(Value::Null),
        "textDocument/completion" | "textDocument/hover" => {}
        _ => return Err((METHOD_NOT_FOUND, format!("{method} is not answered here"))),
    }
    let at: At =
        serde_json::from_value(params).map_err(|e| (INVALID_PARAMS, format!("{method}: {e}")))?;
    let found = workspace.beside(&at.text_document.uri, |beside, text| {
        let offset = position::offset(text, at.position);
        if method == "textDocument/completion" {
            return completions(&beside.complete(text, offset), text);
        }
        let hover = beside.hover(text, offset);
        hover.map_or(Value::Null, |hover| {
            json!({
                "contents": {"kind": "markdown", "value": hover.text},
                "range": position::span(text, &hover.word),
            })
        })
    });
    Ok(found.unwrap_or(Value::Null))
}

/// Takes what the editor tells; returns the files whose findings may have changed.
fn noted(method: &str, params: Value, workspace: &mut Workspace) -> Vec<String> {
    match method {
        "textDocument/didOpen" | "textDocument/didChange" => {
            // What cannot be read is no text of ours.
            let Ok(changed) = serde_json::from_value::<Changed>(params) else {
                tracing::warn!(method, "a message that cannot be read");
                return Vec::new();
            };
            let Opened { uri, text } = changed.text_document;
            let last = changed.content_changes.into_iter().next_back().map(|t| t.text);
            let Some(text) = last.or(text) else { return Vec::new() };
            workspace.set(&uri, text);
            vec![uri]
        }
        "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
            workspace.forget();
            workspace.uris()
        }
        "textDocument/didClose" => {
            let Ok(closed) = serde_json::from_value::<Closed>(params) else {
                tracing::warn!(method, "a message that cannot be read");
                return Vec::new();
            };
            workspace.close(&closed.text_document.uri);
            vec![closed.text_document.uri]
        }
        _ => Vec::new(),
    }
}

/// The findings about a file; none for one that was closed.
fn published(uri: &str, workspace: &mut Workspace) -> Value {
    let findings = workspace.findings(uri);
    let shown: Vec<Value> = workspace
        .document(uri)
        .map(|document| findings.iter().map(|d| diagnostic(d, document)).collect())
        .unwrap_or_default();
    json!({
        "jsonrpc": "2.0",
        "method": "textDocument/publishDiagnostics",
        "params": {"uri": uri, "diagnostics": shown},
    })
}

fn diagnostic(finding: &Diagnostic, document: &Document) -> Value {
    let parts =
        [Some(finding.message.as_str()), Some(finding.label.as_str()), finding.help.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().filter(|t| !t.is_empty()).collect();
    json!({
        "range": position::span(&document.text, &finding.span),
        "severity": match finding.level { Level::Error => 1, Level::Warning => 2 },
        "code": finding.code,
        "source": "forewarn",
        "message": parts.join("\n"),
    })
}

fn completions(found: &Completions, text: &str) -> Value {
    let range = position::span(text, &found.word);
    let items = found.items.iter().enumerate().map(|(i, item)| {
        json!({
            "label": item.label,
            "kind": kind(item.sort),
            "detail": item.detail,
            "documentation": {"kind": "markdown", "value": item.doc},
            // What is nearest to hand first, whatever the alphabet says.
            "sortText": format!("{i:04}"),
            "filterText": item.label,
            "textEdit": {"range": range, "newText": item.insert},
        })
    });
    json!({"isIncomplete": false, "items": items.collect::<Vec<_>>()})
}

/// The protocol's number for a sort of completion.
fn kind(sort: Sort) -> u8 {
    match sort {
        Sort::Field => 10,
        Sort::Word => 12,
        Sort::Column => 5,
        Sort::Measure => 6,
        Sort::Param => 21,
        Sort::Function => 3,
        Sort::Feed => 9,
        Sort::List => 13,
    }
}
