//! Stream: `GET /api/v1/alerts/stream`, each new revision as a server-sent event.
//!
//! Out: `id: <number>` and `{"alert", "revision"}`. `Last-Event-ID`, or `?after=` where the client cannot set it, goes on
//! behind a number; where too much came in between, an event `reset` says to read the list anew. A comment every 15 s shows
//! that the line is open. A client that does not read for so long is dropped; nothing ever waits for one.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::sse::{Event, KeepAlive, Sse},
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    problem::{Problem, ProblemDocument},
    query::{Query, wrong},
};
use crate::engine::{
    handle::Handle,
    stream::{FOLLOWERS_MAX, Follower, News},
};

/// How often an open line shows that it is open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is dropped.
const SLOW: Duration = Duration::from_secs(15);
/// Events that wait for a client.
const WAITING_MAX: usize = 64;
/// When a client shall try again.
const RETRY: Duration = Duration::from_secs(2);

type Line = Result<Event, Infallible>;

/// New revisions of alerts as they are stored.
#[utoipa::path(get, path = "/api/v1/alerts/stream", tag = "alerts",
    params(
        ("after" = Option<i64>, Query, description = "Go on behind this number, such as `as_of` of a page of alerts"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it when they come back"),
    ),
    responses((status = 200, description = "`id: <number>`, `data: {\"alert\", \"revision\"}`; `event: reset` where too much came in between", body = String, content_type = "text/event-stream"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn follow(
    State(handle): State<Handle>,
    query: Query,
    headers: HeaderMap,
) -> Result<Sse<axum::response::sse::KeepAliveStream<ReceiverStream<Line>>>, Problem> {
    let query = query.only(&["after"])?;
    let number = |v: String| {
        v.parse::<i64>()
            .map_err(|_| wrong("after", &v, "the number of an event, or as_of of a page"))
    };
    let after = query.text("after").map(number).transpose()?;
    // A number that is none of ours is behind a gap.
    let last = headers.get("last-event-id").map(|v| v.to_str().ok().and_then(|v| v.parse().ok()));
    let after = last.map_or(after, |last| Some(last.unwrap_or(i64::MIN / 2)));
    let Some(follower) = handle.desk().stream().follow(after) else {
        let detail =
            format!("{FOLLOWERS_MAX} clients follow already, close one or try again later");
        let title = "Too many clients follow the stream";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-followers",
            title,
            detail,
        )
        .retry_after(10));
    };
    let (line, lines) = mpsc::channel(WAITING_MAX);
    tokio::spawn(hand_over(handle, follower, line));
    let alive = KeepAlive::new().interval(HEARTBEAT).text("open");
    Ok(Sse::new(ReceiverStream::new(lines)).keep_alive(alive))
}

/// Hands news to one client until it goes away, is too slow, or the server stops.
async fn hand_over(handle: Handle, mut follower: Follower, line: mpsc::Sender<Line>) {
    let _following = handle.metrics().following();
    let hello = Event::default().retry(RETRY).comment("following");
    if line.send(Ok(hello)).await.is_err() {
        return;
    }
    loop {
        let news = tokio::select! {
            () = line.closed() => return,
            news = follower.next(handle.desk().stream()) => news,
        };
        let events: Vec<Event> = match news {
            News::End => return,
            News::Gap(seq) => vec![Event::default().event("reset").id(seq.to_string()).data("{}")],
            News::Revisions(marks) => {
                let event = |(seq, alert, revision): (i64, String, u32)| {
                    let data = json!({"alert": alert, "revision": revision}).to_string();
                    Event::default().id(seq.to_string()).data(data)
                };
                marks.into_iter().map(event).collect()
            }
        };
        for event in events {
            match timeout(SLOW, line.send(Ok(event))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    tracing::info!("a client of the alert stream does not read, dropped");
                    return;
                }
            }
        }
    }
}
