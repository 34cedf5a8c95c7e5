//! `forewarn lsp`: the checker of `forewarn check` in an editor, over standard input and output.
//!
//! Findings as one writes, completion of fields, columns, measures, parameters, functions, lists and values, and what a word
//! means under the cursor. Framing and handshake are `lsp_server`'s; of the protocol's messages we use nine, so their
//! shapes are written here.

mod position;
mod workspace;

use std::process::ExitCode;

use anyhow::Context;
use forewarn::{
    engine::editor::{Completions, Sort},
    model::{
        diagnostic::{Diagnostic, Level},
        time::Zone,
    },
};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
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

pub(crate) fn run(args: &Lsp) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let (connection, threads) = Connection::stdio();
    connection.initialize(capabilities()).context("the editor did not say hello")?;
    serve(&connection, Workspace::new(zone))?;
    drop(connection);
    threads.join().context("the connection to the editor broke")?;
    Ok(ExitCode::SUCCESS)
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

/// Answers until the editor says goodbye.
fn serve(connection: &Connection, mut workspace: Workspace) -> anyhow::Result<()> {
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request)? {
                    return Ok(());
                }
                connection.sender.send(answer(request, &mut workspace).into())?;
            }
            Message::Notification(note) => {
                for uri in noted(note, &mut workspace) {
                    connection.sender.send(published(&uri, &mut workspace).into())?;
                }
            }
            // Nothing is asked of the editor.
            Message::Response(_) => {}
        }
    }
    Ok(())
}

fn answer(request: Request, workspace: &mut Workspace) -> Response {
    let known = ["textDocument/completion", "textDocument/hover"];
    let id = request.id.clone();
    if !known.contains(&request.method.as_str()) {
        let message = format!("{} is not answered here", request.method);
        return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
    }
    let at: At = match serde_json::from_value(request.params) {
        Ok(at) => at,
        Err(e) => {
            let code = ErrorCode::InvalidParams as i32;
            return Response::new_err(id, code, format!("{}: {e}", request.method));
        }
    };
    let found = workspace.beside(&at.text_document.uri, |beside, text| {
        let offset = position::offset(text, at.position);
        if request.method == known[0] {
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
    Response::new_ok(id, found.unwrap_or(Value::Null))
}

/// Takes what the editor tells; returns the files whose findings may have changed.
fn noted(note: Notification, workspace: &mut Workspace) -> Vec<String> {
    let method = note.method.as_str();
    match method {
        "textDocument/didOpen" | "textDocument/didChange" => {
            // What cannot be read is no text of ours.
            let Ok(changed) = serde_json::from_value::<Changed>(note.params) else {
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
            let Ok(closed) = serde_json::from_value::<Closed>(note.params) else {
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
fn published(uri: &str, workspace: &mut Workspace) -> Notification {
    let findings = workspace.findings(uri);
    let shown: Vec<Value> = workspace
        .document(uri)
        .map(|document| findings.iter().map(|d| diagnostic(d, document)).collect())
        .unwrap_or_default();
    let params = json!({"uri": uri, "diagnostics": shown});
    Notification::new("textDocument/publishDiagnostics".to_owned(), params)
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
