//! The events and rules of the benchmark, the same at every run.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use arrow::{
    array::{
        ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    },
    ipc::writer::FileWriter,
};
use datafusion::prelude::{JsonReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;

const PARTITIONS: usize = 2;
const YEAR_MS: u64 = 365 * 86_400_000;
/// 2025-01-01T00:00Z.
const FROM_MS: u64 = 1_735_689_600_000;
const INDUSTRIES: [&str; 6] = ["食品", "药品", "家用电器", "建材", "餐饮服务", "医疗器械"];
const HAZARDS: [&str; 8] =
    ["过期", "异物", "微生物", "重金属", "机械伤害", "虚假宣传", "售后拒绝", "其他"];
const REGIONS: u64 = 300;
const PRODUCTS: u64 = 60;

const FEED: &str = "\
feed: complaints
title: {zh: 基准, en: Benchmark}
record_id: event_id
event_time: event_time
out_of_order: 10m
columns:
  event_id: text
  event_time: timestamp
  subject_id: text
  region: text
  industry: text
  product: text
  hazard: text
  severity: {type: int, min: 0}
  amount: {type: float, min: 0}
  complainant: text
";

pub(crate) struct Data {
    pub(crate) dir: PathBuf,
    pub(crate) events: u64,
    runtime: tokio::runtime::Runtime,
}

/// A random number that is the same everywhere (splitmix64).
fn mixed(i: u64, salt: u64) -> u64 {
    let mut z = i
        .wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of `n`, low numbers far more often.
fn skewed(random: u64, n: u64) -> u64 {
    let u = (random >> 11) as f64 / (1u64 << 53) as f64;
    ((n as f64) * u * u * u) as u64
}

/// The columns of one partition.
#[derive(Default)]
struct Columns {
    id: Vec<String>,
    at: Vec<i64>,
    subject: Vec<String>,
    region: Vec<String>,
    industry: Vec<&'static str>,
    product: Vec<String>,
    hazard: Vec<&'static str>,
    severity: Vec<i64>,
    amount: Vec<f64>,
    complainant: Vec<String>,
}

impl Columns {
    fn push(&mut self, i: u64, events: u64, business: u64) {
        let industry = INDUSTRIES[(mixed(business, 2) % 6) as usize];
        let late = mixed(i, 3) % 600_000;
        self.id.push(format!("C{i:09}"));
        self.at.push((FROM_MS + i * YEAR_MS / events + 600_000 - late) as i64);
        self.subject.push(format!("91{:016X}", mixed(business, 4)));
        self.region.push(format!("{}", 110_000 + skewed(mixed(business, 5), REGIONS) * 17));
        self.industry.push(industry);
        self.product.push(format!("{industry}-{}", skewed(mixed(i, 6), PRODUCTS / 6)));
        self.hazard.push(HAZARDS[(mixed(i, 7) % 8) as usize]);
        self.severity.push((mixed(i, 8) % 5) as i64 + 1);
        self.amount.push((mixed(i, 9) % 100_000) as f64 / 100.0);
        self.complainant.push(format!("{:016x}", mixed(i / 3, 10)));
    }

    fn batch(self) -> RecordBatch {
        let text = |v: Vec<String>| Arc::new(StringArray::from(v)) as ArrayRef;
        let words = |v: Vec<&'static str>| Arc::new(StringArray::from(v)) as ArrayRef;
        RecordBatch::try_from_iter([
            ("event_id", text(self.id)),
            (
                "event_time",
                Arc::new(TimestampMillisecondArray::from(self.at).with_timezone("UTC")) as ArrayRef,
            ),
            ("subject_id", text(self.subject)),
            ("region", text(self.region)),
            ("industry", words(self.industry)),
            ("product", text(self.product)),
            ("hazard", words(self.hazard)),
            ("severity", Arc::new(Int64Array::from(self.severity)) as ArrayRef),
            ("amount", Arc::new(Float64Array::from(self.amount)) as ArrayRef),
            ("complainant", text(self.complainant)),
        ])
        .unwrap()
    }
}

impl Data {
    /// Writes the files into `dir`.
    pub(crate) fn make(dir: &Path, events: u64) -> Self {
        let businesses = (events / 50).max(100);
        for partition in 0..PARTITIONS as u64 {
            let mut columns = Columns::default();
            for i in 0..events {
                let business = skewed(mixed(i, 1), businesses);
                if business % PARTITIONS as u64 == partition {
                    columns.push(i, events, business);
                }
            }
            let batch = columns.batch();
            let path = |format| dir.join(format!("complaints-{partition}.{format}"));
            let file = BufWriter::new(File::create(path("ndjson")).unwrap());
            let mut out = arrow::json::LineDelimitedWriter::new(file);
            let mut arrow =
                FileWriter::try_new(File::create(path("arrow")).unwrap(), &batch.schema()).unwrap();
            for from in (0..batch.num_rows()).step_by(16_384) {
                let part = batch.slice(from, 16_384.min(batch.num_rows() - from));
                out.write(&part).unwrap();
                arrow.write(&part).unwrap();
            }
            out.finish().unwrap();
            out.into_inner().flush().unwrap();
            arrow.finish().unwrap();
            let file = File::create(path("parquet")).unwrap();
            let mut parquet = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            parquet.write(&batch).unwrap();
            parquet.close().unwrap();
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { dir: dir.to_owned(), events, runtime }
    }

    pub(crate) fn files(&self, format: &str) -> Vec<PathBuf> {
        (0..PARTITIONS).map(|p| self.dir.join(format!("complaints-{p}.{format}"))).collect()
    }

    pub(crate) fn megabytes(&self) -> f64 {
        self.files("ndjson").iter().map(|f| f.metadata().unwrap().len()).sum::<u64>() as f64 / 1e6
    }

    /// Counts of businesses in sliding windows.
    pub(crate) fn one_count(&self, days: u64, every: u64) -> String {
        // Four a day, where the mean business has one a week.
        let threshold = (days * 4).max(8);
        format!(
            "rule: bench_0000\nstatus: shadow\ntitle: {{zh: 基准, en: Benchmark}}\nkind: window\nfeed: complaints\n\
             key: [subject_id]\nwindow: {{sliding: {days}d, every: {every}d}}\nmeasures: {{n: count(*)}}\nwhen: n >= {threshold}\n\
             severity: medium\n"
        )
    }

    /// The first `n` of a thousand rules of mixed filters, keys, windows and aggregates.
    pub(crate) fn mixed_rules(&self, n: u64) -> PathBuf {
        let rules: Vec<String> = (0..n).map(|i| self.mixed_rule(i)).collect();
        self.rules(&format!("mixed{n}"), &rules)
    }

    fn mixed_rule(&self, i: u64) -> String {
        // Two rules in a row share filter and key, as rules of one desk do.
        let pick = |salt: u64, n: u64| mixed(i / 2, 100 + salt) % n;
        let (key, keys) =
            [("subject_id", self.events / 50), ("region", REGIONS), ("product", PRODUCTS)]
                [pick(0, 3) as usize];
        let days = [1, 7, 30][(mixed(i, 99) % 3) as usize];
        let mut filter = String::new();
        let mut share = 1.0;
        let a = pick(1, 6) as usize;
        let _ = write!(filter, "industry in ('{}', '{}')", INDUSTRIES[a], INDUSTRIES[(a + 1) % 6]);
        share *= 2.0 / 6.0;
        let hazards = 2 + pick(2, 4) as usize;
        let first = pick(3, 8) as usize;
        let list: Vec<String> =
            (0..hazards).map(|h| format!("'{}'", HAZARDS[(first + h) % 8])).collect();
        let _ = write!(filter, " and hazard in ({})", list.join(", "));
        share *= hazards as f64 / 8.0;
        if pick(4, 2) == 0 {
            let least = 1 + pick(5, 4);
            let _ = write!(filter, " and severity >= {least}");
            share *= (6 - least) as f64 / 5.0;
        }
        if pick(6, 2) == 0 {
            let least = pick(7, 50) * 10;
            let _ = write!(filter, " and amount > {least}");
            share *= 1.0 - least as f64 / 1000.0;
        }
        let sums = mixed(i, 98).is_multiple_of(5);
        let mean = self.events as f64 * share * days as f64 / 365.0 / keys as f64;
        // The busiest of n keys has n^(2/3) times the mean: some keys of each rule fire, most of the year.
        let busiest = mean * (keys as f64).powf(2.0 / 3.0);
        let threshold = (busiest * 0.4).ceil().max(5.0) * if sums { 3.0 } else { 1.0 };
        let measure = if sums { "sum(severity)" } else { "count(*)" };
        format!(
            "rule: bench_{i:04}\nstatus: shadow\ntitle: {{zh: 基准, en: Benchmark}}\nkind: window\nfeed: complaints\n\
             where: \"{filter}\"\nkey: [{key}]\nwindow: {{sliding: {days}d, every: 1d}}\nmeasures: {{n: {measure}}}\n\
             when: n >= {threshold}\nseverity: medium\n"
        )
    }

    /// A directory of rules beside their feed.
    pub(crate) fn rules(&self, name: &str, rules: &[String]) -> PathBuf {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(dir.join("feeds")).unwrap();
        std::fs::write(dir.join("feeds/complaints.yaml"), FEED).unwrap();
        for (i, rule) in rules.iter().enumerate() {
            std::fs::write(dir.join(format!("bench_{i:04}.yaml")), rule).unwrap();
        }
        dir
    }

    /// Seconds DataFusion needs for the first row's question over the files of `format`: counts per business and day, each
    /// spread over the seven windows it is in.
    pub(crate) fn batch_query(&self, format: &str) -> f64 {
        self.runtime.block_on(async {
            let began = Instant::now();
            let config = SessionConfig::new().with_information_schema(false);
            let ctx = SessionContext::new_with_config(config);
            let paths: Vec<String> = self
                .files(if format == "parquet" { "parquet" } else { "ndjson" })
                .iter()
                .map(|p| p.display().to_string())
                .collect();
            let table = if format == "parquet" {
                ctx.read_parquet(paths, ParquetReadOptions::default()).await.unwrap()
            } else {
                ctx.read_json(paths, JsonReadOptions::default().file_extension("ndjson")).await.unwrap()
            };
            ctx.register_table("complaints", table.into_view()).unwrap();
            let rows = ctx
                .sql(
                    "with days as (
                       select subject_id, date_bin(interval '1 day', cast(event_time as timestamp)) as day, count(*) as n
                       from complaints group by 1, 2)
                     select subject_id, day + w.column1 as window_end, sum(n) as n
                     from days cross join (values (interval '1 day'), (interval '2 days'), (interval '3 days'), (interval '4 days'),
                                            (interval '5 days'), (interval '6 days'), (interval '7 days')) as w
                     group by 1, 2 having sum(n) >= 28",
                )
                .await
                .unwrap()
                .collect()
                .await
                .unwrap();
            assert!(rows.iter().map(RecordBatch::num_rows).sum::<usize>() > 0);
            began.elapsed().as_secs_f64()
        })
    }
}
