//! Feeds and the records they refused.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::{Problem, ProblemDocument},
    query::{Name, Query},
};
use crate::{
    engine::{
        handle::{DeadLetterFilter, DeadLetterQuery, Handle, Refused},
        view::{DeadLetterPage, DeadLetterRow, DelayRow, FeedDetail, FeedRow},
    },
    model::batch::DeadClass,
};

/// Letters on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (100, 1_000);

/// The feeds in use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Feeds {
    /// In the order of their files.
    feeds: Vec<FeedRow>,
}

/// The delays of a feed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lateness {
    /// The feed.
    feed: String,
    /// Arrival first, then from each other time column to the event time.
    delays: Vec<DelayRow>,
}

/// All feeds with how they are doing.
#[utoipa::path(get, path = "/api/v1/feeds", tag = "feeds",
    responses((status = 200, body = Feeds), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(handle): State<Handle>,
    query: Query,
) -> Result<Json<Feeds>, Problem> {
    query.only(&[])?;
    let now_ms = handle.clock().now_ms();
    Ok(Json(Feeds { feeds: handle.ask(move |desk| Ok(desk.feeds(now_ms))).await? }))
}

/// One feed with its settings, delays and latest records.
#[utoipa::path(get, path = "/api/v1/feeds/{feed}", tag = "feeds",
    params(("feed" = String, Path, description = "Name of the feed")),
    responses((status = 200, body = FeedDetail), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn one(
    State(handle): State<Handle>,
    Name(feed): Name,
    query: Query,
) -> Result<Json<FeedDetail>, Problem> {
    query.only(&[])?;
    let unknown = unknown(&handle, &feed);
    let now_ms = handle.clock().now_ms();
    let found = handle.ask(move |desk| desk.feed(&feed, now_ms)).await?;
    found.map(Json).ok_or_else(unknown)
}

/// How long the records of a feed take, as quantiles.
#[utoipa::path(get, path = "/api/v1/feeds/{feed}/lateness", tag = "feeds",
    params(("feed" = String, Path, description = "Name of the feed")),
    responses((status = 200, body = Lateness), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn lateness(
    State(handle): State<Handle>,
    Name(feed): Name,
    query: Query,
) -> Result<Json<Lateness>, Problem> {
    query.only(&[])?;
    let unknown = unknown(&handle, &feed);
    let name = feed.clone();
    let found = handle.ask(move |desk| Ok(desk.lateness(&name))).await?;
    found.map(|delays| Json(Lateness { feed, delays })).ok_or_else(unknown)
}

/// Refused records, those that arrived last first.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "feeds",
    params(
        ("feed" = Option<String>, Query, description = "Name of the feed"),
        ("class" = Option<String>, Query, description = "syntax, too_long, encoding, type, missing, bad_value, bad_time, bad_ucc, future, late; several with commas"),
        ("partition" = Option<String>, Query, description = "Name of the partition"),
        ("since" = Option<String>, Query, description = "Arrived at this date or instant or later"),
        ("until" = Option<String>, Query, description = "Arrived before this date or instant"),
        ("replayed" = Option<bool>, Query, description = "Also those that were sent again"),
        ("limit" = Option<usize>, Query, description = "Letters on a page, 1 to 1000; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = DeadLetterPage), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn dead_letters(
    State(handle): State<Handle>,
    query: Query,
) -> Result<Json<DeadLetterPage>, Problem> {
    const PARAMETERS: [&str; 8] =
        ["feed", "class", "partition", "since", "until", "replayed", "limit", "cursor"];
    let query = query.only(&PARAMETERS)?;
    let zone = handle.intake().zone();
    let classes = DeadClass::ALL.map(DeadClass::word).join(", ");
    let asked = DeadLetterQuery {
        filter: DeadLetterFilter {
            feed: query.text("feed"),
            classes: query.words("class", DeadClass::parse, &classes)?,
            partition: query.text("partition"),
            ids: Vec::new(),
            since_ms: query.instant("since", zone)?,
            until_ms: query.instant("until", zone)?,
            replayed: query.flag("replayed")?,
        },
        cursor: query.text("cursor"),
        limit: query.limit(PAGE.0, PAGE.1)?,
    };
    if let Some(feed) = &asked.filter.feed {
        handle.intake().feed(feed)?;
    }
    Ok(Json(handle.ask(move |desk| desk.dead_letters(&asked)).await?))
}

/// One refused record, with its bytes where they are not sealed.
#[utoipa::path(get, path = "/api/v1/dead-letters/{id}", tag = "feeds",
    params(("id" = String, Path, description = "Id of the letter")),
    responses((status = 200, body = DeadLetterRow), (status = "4XX", body = ProblemDocument, content_type = "application/problem+json")))]
pub(super) async fn dead_letter(
    State(handle): State<Handle>,
    Name(id): Name,
    query: Query,
) -> Result<Json<DeadLetterRow>, Problem> {
    query.only(&[])?;
    let detail = format!("there is no dead letter {id:?}, GET /api/v1/dead-letters lists them");
    let found = handle.ask(move |desk| desk.dead_letter(&id)).await?;
    let unknown = || Problem::missing("unknown-letter", "There is no such dead letter", detail);
    found.map(Json).ok_or_else(unknown)
}

/// The problem of a feed that is not there, for when it turns out so.
fn unknown(handle: &Handle, feed: &str) -> impl FnOnce() -> Problem + use<> {
    let refused = handle.intake().feed(feed).err();
    move || {
        let gone =
            || Refused::UnknownFeed { name: String::new(), known: Vec::new(), suggestion: None };
        refused.unwrap_or_else(gone).into()
    }
}
