//! Decoding speed: bytes in memory → canonical batches, one thread.
//!
//! Input: 20,000 records of about 250 bytes, made here, in chunks of 1 MiB. `plain` are the ten columns of the yardstick
//! (text, whole number, float, RFC 3339 instant) without any mapping; `office` are the shipped complaints under Chinese
//! headings with maps, code check and a pseudonym. Unit: elements are records. `bad` has one line in a hundred that is not
//! JSON. `cargo bench --bench decode`; state machine and toolchain beside a figure.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::{fmt::Write as _, hint::black_box, path::Path, sync::Arc};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use forewarn::{
    decode::{
        Decoder, Format,
        chunk::{CHUNK_BYTES, ChunkOptions, Chunks},
    },
    feed::spec,
    model::{
        schema::{Encoding, FeedSchema},
        secret::Secret,
        time::Zone,
    },
};

const ROWS: usize = 20_000;

fn schema(path: &str) -> Arc<FeedSchema> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let source = std::fs::read_to_string(&path).unwrap();
    spec::parse(&path, &source, &Zone::utc()).unwrap().schema
}

/// Numbers that look random and are the same everywhere.
fn mixed(i: usize, salt: u64) -> u64 {
    (i as u64 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

fn plain(rows: usize, bad_every: usize) -> String {
    (0..rows).fold(String::new(), |mut text, i| {
        if bad_every > 0 && i % bad_every == 7 {
            text.push_str("{\"event_id\":\"broken\n");
        }
        let (a, b) = (mixed(i, 1), mixed(i, 2));
        let _ = writeln!(
            text,
            r#"{{"event_id":"C{i:09}","event_time":"2025-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z","subject_id":"9143010{:011}","region":"{}","industry":"餐饮服务","product":"餐饮服务-外卖","hazard":"添加剂超标","severity":{},"amount":{}.{:02},"complainant":"{a:016x}"}}"#,
            a % 12 + 1, a % 28 + 1, b % 24, b % 60, a % 60, b % 1000, a % 200_000, 430_000 + b % 300, a % 5 + 1, b % 900, a % 100,
        );
        text
    })
}

fn office_csv(rows: usize) -> String {
    let head = "工单编号,工单类型,来源渠道,登记时间,投诉人电话,被投诉单位,统一社会信用代码,行政区划代码,客体类别,问题类别,涉及金额\n";
    (0..rows).fold(head.to_owned(), |mut text, i| {
        let (a, b) = (mixed(i, 1), mixed(i, 2));
        let _ = writeln!(
            text,
            "T{i:09},投诉,微信,2025年{}月{}日 {}时{}分,138{:08},长沙某某餐饮管理有限公司第{}分店,91350100M000100Y43,4301{:02},食品,食品安全;价格,{}.{:02}",
            a % 12 + 1, a % 28 + 1, b % 24, b % 60, b % 100_000_000, a % 5_000, 2 + b % 3, b % 900, a % 100,
        );
        text
    })
}

fn chunks(text: &str, csv: bool, schema: &FeedSchema) -> Vec<Vec<u8>> {
    let options = ChunkOptions {
        csv,
        encoding: Encoding::Utf8,
        chunk_bytes: CHUNK_BYTES,
        record_bytes_max: schema.record_bytes_max,
        eager: false,
    };
    Chunks::new(text.as_bytes(), options).map(Result::unwrap).collect()
}

fn decode(c: &mut Criterion) {
    let secret = Secret::new([7; 32]);
    let yardstick = schema("tests/bench/feeds/complaints.yaml");
    let complaints = schema("rules/feeds/complaints.yaml");
    let mut group = c.benchmark_group("decode");
    for (name, schema, format, text) in [
        ("ndjson_plain", &yardstick, Format::Ndjson, plain(ROWS, 0)),
        ("ndjson_plain_bad", &yardstick, Format::Ndjson, plain(ROWS, 100)),
        ("csv_office", &complaints, Format::Csv, office_csv(ROWS)),
    ] {
        let chunks = chunks(&text, format == Format::Csv, schema);
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function(name, |b| {
            b.iter_batched(
                || (Decoder::new(Arc::clone(schema), Zone::utc(), format, &secret), chunks.clone()),
                |(mut decoder, chunks)| {
                    for chunk in chunks {
                        black_box(decoder.decode(chunk));
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
    let text = plain(ROWS, 0);
    let mut group = c.benchmark_group("chunks");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ndjson", |b| b.iter(|| black_box(chunks(&text, false, &yardstick))));
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
