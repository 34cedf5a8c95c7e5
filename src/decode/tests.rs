//! The promises of the room as a whole: one bad row costs only itself, chunking never shows, every format gives the
//! same rows.

use std::{fmt::Write as _, io::Write as _, sync::Arc};

use arrow::array::AsArray;
use proptest::prelude::*;

use super::*;
use crate::model::schema::{Column, ColumnType, Encoding, Invalid};

fn schema() -> Arc<FeedSchema> {
    let mut id = Column::new("id", ColumnType::Text);
    id.required = true;
    id.from = vec!["编号".into()];
    let mut at = Column::new("at", ColumnType::Timestamp);
    at.formats = vec!["%Y年%m月%d日".into()];
    let mut ucc = Column::new("ucc", ColumnType::Ucc);
    ucc.invalid = Invalid::Null;
    let mut kind = Column::new("kind", ColumnType::Text);
    kind.codes = vec!["TS".into(), "JB".into()];
    kind.map = vec![("投诉".into(), "TS".into())];
    let amount = Column::new("amount", ColumnType::Decimal { scale: 2 });
    let tags = Column::new("tags", ColumnType::Texts);
    let mut schema = FeedSchema::new("complaints", vec![id, at, ucc, kind, amount, tags], 1);
    schema.record_id = vec![0];
    schema.record_bytes_max = 400;
    Arc::new(schema)
}

fn zone() -> Zone {
    Zone::parse("Asia/Shanghai").unwrap()
}

fn secret() -> Secret {
    Secret::new([7; 32])
}

/// Rows and letters of a source, in words that compare.
fn tell(all: impl IntoIterator<Item = Decoded>) -> (Vec<String>, Vec<String>) {
    let (mut rows, mut dead) = (Vec::new(), Vec::new());
    for decoded in all {
        assert_eq!(decoded.rows.schema(), *schema().arrow());
        assert_eq!(decoded.rows.num_rows(), decoded.lines.len());
        assert_eq!(decoded.rows.column(1).null_count(), 0);
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        writer.write(&decoded.rows).unwrap();
        writer.finish().unwrap();
        let text = String::from_utf8(writer.into_inner()).unwrap();
        for (i, (line, row)) in decoded.lines.iter().zip(text.lines()).enumerate() {
            let raw = decoded.raw.as_ref().map(|r| String::from_utf8_lossy(&r.row(i)).into_owned());
            rows.push(format!("{line} {row} {raw:?}"));
        }
        for letter in decoded.dead {
            let raw = String::from_utf8_lossy(&letter.raw).into_owned();
            dead.push(format!(
                "{} {} {} {raw:?}",
                letter.line,
                letter.class.word(),
                letter.message
            ));
        }
    }
    (rows, dead)
}

fn decode_whole(format: Format, bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    tell([Decoder::new(schema(), zone(), format, &secret()).decode(bytes.to_vec())])
}

fn decode_chunked(format: Format, bytes: &[u8], chunk_bytes: usize) -> (Vec<String>, Vec<String>) {
    let options = OpenOptions {
        chunk_bytes,
        encoding: Encoding::Utf8,
        ..OpenOptions::new(schema(), zone(), format, secret())
    };
    tell(open(Input::Bytes(bytes.to_vec()), &options).unwrap().map(Result::unwrap))
}

/// Classes and lines of the dead letters of NDJSON lines put between two good ones, which must survive.
fn bury(format: Format, header: &str, good: &str, bad: &[u8]) -> Vec<(u64, &'static str)> {
    let mut bytes = format!("{header}{good}\n").into_bytes();
    bytes.extend_from_slice(bad);
    bytes.extend_from_slice(format!("\n{good}\n").as_bytes());
    let decoded = Decoder::new(schema(), zone(), format, &secret()).decode(bytes.clone());
    assert_eq!(decoded.rows.num_rows(), 2, "{:?}", String::from_utf8_lossy(bad));
    for chunk_bytes in [1, 64, 1 << 20] {
        let chunked = decode_chunked(format, &bytes, chunk_bytes);
        assert_eq!(chunked, decode_whole(format, &bytes), "{:?}", String::from_utf8_lossy(bad));
    }
    decoded.dead.iter().map(|d| (d.line, d.class.word())).collect()
}

#[test]
fn one_bad_line_costs_only_itself() {
    let good = r#"{"id":"A","at":"2026-03-05T08:00:00+08:00"}"#;
    let long = format!(r#"{{"id":"{}","at":"2026-03-05"}}"#, "x".repeat(10_000_000));
    let deep = format!(r#"{{"id":"A","at":"2026-03-05","x":{}}}"#, "[".repeat(150));
    for (bad, expect) in [
        (&b"{\"id\":\"A\",\"at\":\"2026-03-05\",\"kind\":\"a\0b\"}"[..], "syntax"),
        (b"{\"id\":\"\xff\xfe\",\"at\":\"2026-03-05\"}", "encoding"),
        (long.as_bytes(), "too_long"),
        (deep.as_bytes(), "syntax"),
        (br#"{"id":"A","at":"2026-03-05"}{"id":"B","at":"2026-03-05"}"#, "syntax"),
        (b"[1]", "syntax"),
        (b"null", "syntax"),
        (b"garbage", "syntax"),
        (br#"{"id":"A","id":"B","at":"2026-03-05"}"#, "syntax"),
        (br#"{"id":"A","at":"2026-03-05","kind":"XX"}"#, "bad_value"),
        (br#"{"id":"A","at":"2026-03-05","amount":"many"}"#, "type"),
        (br#"{"id":"A","at":"2026-03-05","amount":[1]}"#, "type"),
        (br#"{"id":"A","at":"tomorrow"}"#, "bad_time"),
        (br#"{"id":"A","at":"2201-01-01"}"#, "bad_time"),
        (br#"{"id":"A","at":"1899-12-31"}"#, "bad_time"),
        (br#"{"id":"A","at":0}"#, "bad_time"),
        (br#"{"id":"A"}"#, "missing"),
        (br#"{"at":"2026-03-05"}"#, "missing"),
        (br#"{"id":"  ","at":"2026-03-05"}"#, "missing"),
    ] {
        assert_eq!(
            bury(Format::Ndjson, "", good, bad),
            [(2, expect)],
            "{:?}",
            String::from_utf8_lossy(&bad[..bad.len().min(80)])
        );
    }
    for blank in [&b""[..], b"   ", b"\r"] {
        assert_eq!(bury(Format::Ndjson, "", good, blank), []);
    }
}

#[test]
fn one_bad_record_costs_only_itself() {
    let (header, good) = ("编号,at,kind,amount\n", "A,2026年3月5日,投诉,\"1,200.50\"");
    let long = format!("A,2026-03-05,\"{}\",", "x".repeat(10_000_000));
    for (bad, expect) in [
        (&b"A,2026-03-05,TS"[..], &["syntax"][..]),
        (b"A,2026-03-05,TS,1,2", &["syntax"]),
        (b"A,2026-03-05,\"TS\"x,1", &["syntax"]),
        (b"A,2026-03-05,TS,\0", &["syntax"]),
        (b"A,2026-03-05,\xff,1", &["encoding"]),
        (b",2026-03-05,TS,1", &["missing"]),
        (b"A,2026-03-05,XX,1", &["bad_value"]),
        (b"A,2026-03-05,TS,abc", &["type"]),
        (long.as_bytes(), &["too_long"]),
        (b"A,2026-03-05,TS,1,,,", &[]),
        (b",,,", &[]),
        (b"", &[]),
        (b"A,2026-03-05,\"never closed,1", &["syntax"]),
    ] {
        if expect.is_empty() {
            let found = decode_whole(
                Format::Csv,
                &[header.as_bytes(), bad, b"\n", good.as_bytes()].concat(),
            );
            assert_eq!(found.1, [""; 0], "{:?}", String::from_utf8_lossy(bad));
            continue;
        }
        let expect: Vec<_> = expect.iter().map(|class| (3, *class)).collect();
        assert_eq!(
            bury(Format::Csv, header, good, bad),
            expect,
            "{:?}",
            String::from_utf8_lossy(&bad[..bad.len().min(80)])
        );
    }
}

#[test]
fn quoted_line_ends_belong_to_their_record() {
    let bytes = "编号;at;kind\r\n\"A\r\n1\";03/05/2026;TS\r\nB;2026-03-05;JB\r\n";
    let (rows, dead) = decode_whole(Format::Csv, bytes.as_bytes());
    assert_eq!(rows.len(), 1);
    assert!(rows[0].starts_with(r#"4 {"id":"B""#), "{}", rows[0]);
    assert!(rows[0].contains("编号;at;kind"), "{}", rows[0]);
    assert!(dead[0].starts_with("2 bad_time"), "{}", dead[0]);
}

#[test]
fn sources_without_what_is_needed() {
    for (format, bytes, rows, dead) in [
        (Format::Ndjson, "", 0, 0),
        (Format::Csv, "", 0, 0),
        (Format::Csv, "编号,at\n", 0, 0),
        (Format::Csv, "编号,kind\nA,TS\nB,JB\n", 0, 2),
        (Format::Csv, "at,at,编号\n2026-03-05,2026-03-06,A\n", 1, 0),
        (Format::Csv, "\u{feff}编号,at\nA,2026-03-05", 1, 0),
        (Format::Ndjson, "\u{feff}{\"id\":\"A\",\"at\":\"2026-03-05\"}", 1, 0),
        (Format::Parquet, "this is no parquet file", 0, 1),
        (Format::ArrowIpc, "ARROW1 neither", 0, 1),
        (Format::Parquet, "", 0, 1),
    ] {
        let found = decode_whole(format, bytes.as_bytes());
        assert_eq!((found.0.len(), found.1.len()), (rows, dead), "{bytes:?} {found:?}");
    }
}

#[test]
fn all_faults_of_a_row_are_named_at_once() {
    let line = br#"{"id":"","at":"x","kind":"y","amount":"z"}"#;
    let (_, dead) = decode_whole(Format::Ndjson, line);
    for part in [
        "1 missing",
        "column \"id\"",
        "column \"at\": \"x\"",
        "column \"kind\": \"y\"",
        "column \"amount\": \"z\"",
    ] {
        assert!(dead[0].contains(part), "{}", dead[0]);
    }
}

#[test]
fn truncated_archives_give_their_whole_records_first() {
    let line = r#"{"id":"A","at":"2026-03-05"}"#;
    let text: String = (0..20_000).fold(String::new(), |mut text, i| {
        let _ = writeln!(text, "{}", line.replace('A', &format!("{:x}", i * 7_919)));
        text
    });
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (bytes, compression) in [(gzip, Compression::Gzip), (zstd, Compression::Zstd)] {
        let options = OpenOptions {
            compression,
            ..OpenOptions::new(schema(), zone(), Format::Ndjson, secret())
        };
        let count = |bytes: &[u8]| {
            let stream = open(Input::Bytes(bytes.to_vec()), &options).unwrap();
            stream.fold((0, 0, 0), |(rows, dead, errors), d| match d {
                Ok(d) => (rows + d.rows.num_rows(), dead + d.dead.len(), errors),
                Err(_) => (rows, dead, errors + 1),
            })
        };
        assert_eq!(count(&bytes), (20_000, 0, 0), "{compression:?}");
        let (rows, dead, errors) = count(&bytes[..bytes.len() * 2 / 3]);
        assert!(
            rows < 20_000 && dead == 0 && errors == 1,
            "{compression:?} {rows} {dead} {errors}"
        );
    }
}

#[test]
fn exploded_columns_make_rows_in_every_format() {
    let mut id = Column::new("id", ColumnType::Text);
    id.required = true;
    let mut parts = Column::new("part", ColumnType::Text);
    parts.from = vec!["parts".into()];
    parts.split = Some(",".into());
    parts.keep = vec!["FUEL SYSTEM, GASOLINE".into()];
    let mut places = Column::new("place", ColumnType::Text);
    places.split = Some(";".into());
    let columns = vec![id, parts, places, Column::new("at", ColumnType::Date)];
    let mut schema = FeedSchema::new("f", columns, 3);
    schema.explode = vec![1, 2];
    let schema = Arc::new(schema);
    let ndjson = "{\"id\":\"1\",\"parts\":\"STEERING,FUEL SYSTEM, GASOLINE\",\"place\":\"x;y\",\"at\":\"2026-03-05\"}\n\
                  {\"id\":\"2\",\"at\":\"2026-03-05\"}\n{\"at\":\"2026-03-05\"}\n";
    let csv = "id,parts,place,at\n1,\"STEERING,FUEL SYSTEM, GASOLINE\",x;y,2026-03-05\n2,,,2026-03-05\n,a,,2026-03-05\n";
    let told = |decoded: &Decoded| -> Vec<String> {
        let text = |c: usize, r: usize| {
            decoded
                .rows
                .column(c)
                .as_string::<i32>()
                .is_valid(r)
                .then(|| decoded.rows.column(c).as_string::<i32>().value(r).to_owned())
        };
        (0..decoded.rows.num_rows())
            .map(|r| format!("{:?} {:?} {:?}", text(0, r), text(1, r), text(2, r)))
            .collect()
    };
    use arrow::array::Array as _;
    let expect = [
        r#"Some("1") Some("STEERING") Some("x")"#,
        r#"Some("1") Some("FUEL SYSTEM, GASOLINE") Some("x")"#,
        r#"Some("1") Some("STEERING") Some("y")"#,
        r#"Some("1") Some("FUEL SYSTEM, GASOLINE") Some("y")"#,
        r#"Some("2") None None"#,
    ];
    for (format, bytes) in [(Format::Ndjson, ndjson), (Format::Csv, csv)] {
        let decoded = Decoder::new(schema.clone(), zone(), format, &secret()).decode(bytes.into());
        assert_eq!(told(&decoded), expect, "{format:?}");
        assert_eq!(decoded.dead.len(), 1);
    }
    let fields = arrow::datatypes::Schema::new(
        ["id", "parts", "place", "at"]
            .map(|n| arrow::datatypes::Field::new(n, arrow::datatypes::DataType::Utf8, true))
            .to_vec(),
    );
    let source =
        arrow::json::ReaderBuilder::new(Arc::new(fields)).build(ndjson.as_bytes()).unwrap();
    let source = source.map(Result::unwrap).next().unwrap();
    let decoded = Decoder::new(schema, zone(), Format::Parquet, &secret()).decode_columnar(&source);
    assert_eq!(told(&decoded), expect);
    assert_eq!(decoded.lines, [1, 1, 1, 1, 2]);
    assert_eq!(decoded.dead[0].line, 3);
}

/// A record as a generator makes it; every text has a chance to be bad.
#[derive(Debug, Clone)]
struct Made {
    id: String,
    at: String,
    kind: &'static str,
    amount: String,
    tags: Vec<String>,
    ucc: &'static str,
}

fn made() -> impl Strategy<Value = Made> {
    let id = prop_oneof!["[a-z0-9]{1,6}", "[\"\\\\,\n甲乙é 😀]{0,5}"];
    let at = prop_oneof![
        Just("2026-03-05T08:00:00Z".to_owned()),
        Just("2026年3月5日".to_owned()),
        Just("2026-03-05 08:30:00".to_owned()),
        Just("soon".to_owned()),
        Just(String::new()),
    ];
    let amount = prop_oneof![
        (-5000i32..5000).prop_map(|n| format!("{}.{:02}", n, n.rem_euclid(100))),
        Just(String::new()),
        Just("x".to_owned())
    ];
    let kind = prop::sample::select(vec!["TS", "投诉", "JB", "", "?"]);
    let tags = prop::collection::vec("[甲乙ab]{1,3}", 0..3);
    let ucc = prop::sample::select(vec!["91350100M000100Y43", "91350100m000100y43", "bad", ""]);
    (id, at, kind, amount, tags, ucc).prop_map(|(id, at, kind, amount, tags, ucc)| Made {
        id,
        at,
        kind,
        amount,
        tags,
        ucc,
    })
}

fn as_ndjson(rows: &[Made]) -> String {
    rows.iter().fold(String::new(), |mut text, r| {
        let tags = r.tags.join(";");
        let value = serde_json::json!({"x": [r.id, {"y": null}], "id": r.id, "at": r.at, "kind": r.kind, "amount": r.amount, "tags": tags, "ucc": r.ucc});
        let _ = writeln!(text, "{value}");
        text
    })
}

fn as_csv(rows: &[Made]) -> String {
    let quote = |t: &str| format!("\"{}\"", t.replace('"', "\"\""));
    rows.iter().fold("id,at,kind,amount,tags,ucc\n".to_owned(), |mut text, r| {
        let fields = [&r.id, &r.at, r.kind, &r.amount, &r.tags.join(";"), r.ucc];
        let _ = writeln!(text, "{}", fields.map(quote).join(","));
        text
    })
}

/// The good rows and the classes of the others, without lines and raw bytes, which differ between formats.
fn values(all: impl IntoIterator<Item = Decoded>) -> (Vec<String>, Vec<&'static str>, u64) {
    let all: Vec<_> = all.into_iter().collect();
    let dead = all.iter().flat_map(|d| d.dead.iter().map(|l| l.class.word())).collect();
    let invalid = all.iter().map(|d| d.invalid_codes).sum();
    let rows = all.into_iter().map(|d| Decoded { raw: None, dead: Vec::new(), ..d });
    let rows = tell(rows).0;
    (rows.into_iter().map(|r| r.split_once(' ').unwrap().1.to_owned()).collect(), dead, invalid)
}

proptest! {
    #[test]
    fn chunking_never_shows(rows in prop::collection::vec(made(), 0..30), cut in prop::collection::vec(any::<prop::sample::Index>(), 0..4), bytes in prop::collection::vec(any::<u8>(), 0..6), chunk in 1usize..300) {
        for (format, text) in [(Format::Ndjson, as_ndjson(&rows)), (Format::Csv, as_csv(&rows))] {
            // Damage: foreign bytes at any places.
            let mut text = text.into_bytes();
            for (at, byte) in cut.iter().zip(&bytes) {
                let at = at.index(text.len() + 1);
                text.insert(at, *byte);
            }
            // A byte order mark that comes to stand in front is taken away before chunking.
            prop_assert_eq!(decode_chunked(format, &text, chunk), decode_whole(format, &text));
        }
    }

    #[test]
    fn every_format_gives_the_same_rows(rows in prop::collection::vec(made(), 1..30)) {
        let decode = |format, text: String| values([Decoder::new(schema(), zone(), format, &secret()).decode(text.into_bytes())]);
        let ndjson = decode(Format::Ndjson, as_ndjson(&rows));
        // CSV cannot tell a blank record from none; there is always an "x" in the others.
        prop_assert_eq!(&ndjson, &{
            let rows: Vec<_> = rows.iter().filter(|r| {
                let all = [&r.id, &r.at, r.kind, &r.amount, &r.tags.concat(), r.ucc].concat();
                !all.trim().is_empty()
            }).cloned().collect();
            let skipped = ndjson.1.len() + ndjson.0.len() - rows.len();
            let mut csv = decode(Format::Csv, as_csv(&rows));
            csv.1.extend(std::iter::repeat_n("missing", skipped));
            if skipped > 0 {
                csv.1 = ndjson.1.clone();
            }
            csv
        });
        let names = ["id", "at", "kind", "amount", "tags", "ucc"];
        let column = |i: usize| -> arrow::array::ArrayRef {
            Arc::new(rows.iter().map(|r| Some([r.id.clone(), r.at.clone(), r.kind.into(), r.amount.clone(), r.tags.join(";"), r.ucc.into()][i].clone())).collect::<arrow::array::LargeStringArray>())
        };
        let source = RecordBatch::try_from_iter(names.iter().enumerate().map(|(i, n)| (*n, column(i)))).unwrap();
        let mut decoder = Decoder::new(schema(), zone(), Format::ArrowIpc, &secret());
        prop_assert_eq!(&ndjson, &values([decoder.decode_columnar(&source)]));
        let mut file = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &source.schema()).unwrap();
        file.write(&source).unwrap();
        prop_assert_eq!(&ndjson, &values([Decoder::new(schema(), zone(), Format::ArrowIpc, &secret()).decode(file.into_inner().unwrap())]));
        let mut file = parquet::arrow::ArrowWriter::try_new(Vec::new(), source.schema(), None).unwrap();
        file.write(&source).unwrap();
        prop_assert_eq!(&ndjson, &values([Decoder::new(schema(), zone(), Format::Parquet, &secret()).decode(file.into_inner().unwrap())]));
    }

    #[test]
    fn nothing_panics_and_every_line_is_accounted_for(lines in prop::collection::vec("[{}\\[\\]\",:a-z0-9\\\\ .eE+-]{0,40}", 0..20)) {
        for format in [Format::Ndjson, Format::Csv] {
            let text = lines.join("\n");
            let (rows, dead) = decode_whole(format, text.as_bytes());
            if format == Format::Ndjson {
                let expect = lines.iter().filter(|l| !l.trim().is_empty()).count();
                prop_assert_eq!(rows.len() + dead.len(), expect);
            }
        }
    }

    #[test]
    fn json_reads_what_serde_reads(id in ".{1,8}", amount in -100_000i64..100_000, extra in ".{0,4}") {
        let value = serde_json::json!({"extra": {extra.clone(): [extra, 1.5e-7, true, null]}, "id": id, "at": "2026-03-05", "amount": amount});
        let decoded = Decoder::new(schema(), zone(), Format::Ndjson, &secret()).decode(value.to_string().into_bytes());
        let trimmed = super::cell::trim(&id);
        if trimmed.is_empty() {
            prop_assert_eq!(decoded.dead.len(), 1);
        } else {
            prop_assert_eq!(decoded.rows.num_rows(), 1, "{:?}", decoded.dead);
            prop_assert_eq!(decoded.rows.column(0).as_string::<i32>().value(0), trimmed);
            let units = decoded.rows.column(4).as_primitive::<arrow::datatypes::Decimal128Type>().value(0);
            prop_assert_eq!(units, i128::from(amount) * 100);
        }
    }
}
