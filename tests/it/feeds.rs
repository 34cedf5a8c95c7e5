//! The feeds that are shipped, read as an office would send them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::{path::Path, sync::Arc};

use arrow::array::AsArray;
use forewarn::{
    decode::{Decoder, Format, Input, OpenOptions, open},
    feed::spec::{self, FeedSpec},
    model::{batch::Decoded, secret::Secret, time::Zone},
};
use serde_json::{Value, json};

fn zone() -> Zone {
    Zone::parse("Asia/Shanghai").unwrap()
}

fn shipped(dir: &str) -> Vec<FeedSpec> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let (feeds, findings) = spec::load_dir(&dir, &zone());
    assert!(findings.is_empty(), "{findings:#?}");
    feeds
}

fn decode(feed: &str, format: Format, text: &str) -> Decoded {
    let feeds = shipped("rules/feeds");
    let spec = feeds.iter().find(|f| f.name() == feed).unwrap();
    let mut decoder = Decoder::new(Arc::clone(&spec.schema), zone(), format, &Secret::new([7; 32]));
    decoder.decode(text.as_bytes().to_vec())
}

/// The rows as JSON, without empty values.
fn rows(decoded: &Decoded) -> Vec<Value> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(&decoded.rows).unwrap();
    writer.finish().unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_shipped_feed_is_sound() {
    let feeds = shipped("rules/feeds");
    let names: Vec<_> = feeds.iter().map(FeedSpec::name).collect();
    let expect = [
        "abnormal",
        "accidents",
        "adverse_events",
        "annual_reports",
        "commitments",
        "complaints",
        "court",
        "equipment",
        "insider_leads",
        "inspections",
        "media",
        "open_orders",
        "penalties",
        "quality_sampling",
        "recalls",
        "registry",
        "sampling",
    ];
    assert_eq!(names, expect);
    for feed in &feeds {
        let schema = &feed.schema;
        let id: Vec<_> =
            schema.record_id.iter().map(|i| schema.columns[*i].name.as_str()).collect();
        assert!(
            !id.is_empty() && schema.version.is_some() && schema.op.is_some(),
            "{}",
            feed.name()
        );
        assert!(
            schema.position("ucc").is_some() && schema.position("region").is_some()
                || feed.name() == "registry",
            "{}",
            feed.name()
        );
    }
    shipped("tests/real/feeds");
    shipped("tests/bench/feeds");
}

#[test]
fn an_export_of_complaints() {
    let csv = "\
工单编号,工单类型,来源渠道,登记时间,消费日期,投诉人电话,被投诉单位,统一社会信用代码,行政区划代码,客体类别,问题类别,涉及金额,标签,状态,是否公示
T1,投诉,电话(12315/12345),2026年3月5日 8时30分,2026/3/1,13800138000,长沙某某健身有限公司,９１３５０１００Ｍ０００１００Ｙ４３,430102,文化、娱乐、体育服务,售后服务;合同,\"1,200.50\",预付式消费；涉老,受理,是
T2,举报,微信,20260305,,13800138000,某网店,无,,食品,,,,疑似职业索赔,
T3,表扬,微信,20260305,,13800138000,某网店,无,,,,,,,
";
    let decoded = decode("complaints", Format::Csv, csv);
    let found = rows(&decoded);
    let pseudonym = found[0]["complainant_hash"].as_str().unwrap();
    assert_eq!(found[1]["complainant_hash"], pseudonym);
    assert_eq!(
        found[0],
        json!({
            "order_no": "T1", "kind": "TS", "channel": "TEL", "registered_at": "2026-03-05T00:30:00Z",
            "occurred_on": "2026-03-01", "complainant_hash": pseudonym, "respondent_name": "长沙某某健身有限公司",
            "ucc": "91350100M000100Y43", "region": "430102", "object_code": "S03", "problem_code": "SH",
            "amount_yuan": 1200.50, "tags": ["YF", "涉老"], "state": "30", "publicised": true,
        })
    );
    assert_eq!(
        found[1],
        json!({
            "order_no": "T2", "kind": "JB", "channel": "WXMP", "registered_at": "2026-03-04T16:00:00Z",
            "complainant_hash": pseudonym, "respondent_name": "某网店", "object_code": "G01", "state": "72",
        })
    );
    let [letter] = decoded.dead.as_slice() else { panic!("{:?}", decoded.dead) };
    assert_eq!((letter.line, letter.class.word()), (4, "bad_value"));
    assert!(
        !letter.message.contains("表扬") && letter.message.contains("kind"),
        "{}",
        letter.message
    );
}

#[test]
fn penalties_by_the_standard_field_names() {
    let ndjson = r#"{"CF_XDR_MC":"某公司","CF_XDR_LB":"法人及非法人组织","CF_XDR_SHXYM":"91350100M000100Y43","CF_FRDB":"张三","CF_WSH":"湘市监处罚〔2026〕12号","CF_WFXW":"经营超过保质期的食品","CF_CFLB":"罚款;没收违法所得、没收非法财物;责令停产停业","CF_NR":"罚款5万元,责令停产停业","CF_NR_FK":5.000000,"CF_NR_WFFF":"0.123456","CF_JDRQ":"2026/03/05","CF_YXQ":"2099-12-31","CF_CFJG":"长沙市市场监督管理局"}"#;
    let found = rows(&decode("penalties", Format::Ndjson, ndjson));
    let legal_rep = found[0]["legal_rep_hash"].as_str().unwrap();
    assert_ne!(legal_rep, "张三");
    assert_eq!(
        found[0],
        json!({
            "case_no": "湘市监处罚〔2026〕12号", "ucc": "91350100M000100Y43", "name": "某公司",
            "party_kind": "organisation", "legal_rep_hash": legal_rep, "decided_on": "2026-03-05",
            "breach": "经营超过保质期的食品", "kind_text": "罚款5万元,责令停产停业", "kinds": ["P03", "P04", "P10"],
            "severity": 5, "fine_yuan": 50_000.0, "confiscated_yuan": 1_234.56, "valid_until": "2099-12-31",
            "authority": "长沙市市场监督管理局",
        })
    );
    let own = r#"{"case_no":"C1","decided_on":"2026-03-05","severity":6,"fine_yuan":250000}"#;
    let found = rows(&decode("penalties", Format::Ndjson, own));
    assert_eq!((&found[0]["fine_yuan"], &found[0]["severity"]), (&json!(250_000.0), &json!(6)));
}

#[test]
fn samples_by_national_and_export_names() {
    let national = r#"{"sp_s_16":"DC26430000000000001","sp_s_17":"肉制品","sp_s_1":"某超市","sp_s_215":"/","sp_s_64":"某食品厂","sp_d_38":"2026-02-01","sp_d_47":"2026-03-01","sp_s_71":"不合格样品","spdata_0":"菌落总数║亚硝酸盐"}"#;
    let found = rows(&decode("sampling", Format::Ndjson, national));
    assert_eq!(
        found[0],
        json!({
            "sample_no": "DC26430000000000001", "role": "maker", "maker_name": "某食品厂", "sampled_name": "某超市",
            "food_l1": "04", "sampled_on": "2026-02-01", "reported_on": "2026-03-01", "conclusion": "不合格样品",
            "item": "菌落总数", "items": ["菌落总数", "亚硝酸盐"],
        })
    );
    let export = "抽样编号;报告日期;结论;大类;不合格项目;复检结论\nX1;2026.3.1;不合格;速冻面米制品;菌落总数;复检合格\nX2;2026.3.2;合格;34;/;/\n";
    let found = rows(&decode("sampling", Format::Csv, export));
    assert_eq!((&found[0]["food_l1"], &found[0]["recheck"]), (&json!("11"), &json!("overturned")));
    assert_eq!(
        found[1],
        json!({"sample_no": "X2", "role": "maker", "reported_on": "2026-03-02", "food_l1": "34", "conclusion": "合格样品"})
    );
}

#[test]
fn one_row_of_each_other_feed() {
    for (feed, line, expect) in [
        (
            "inspections",
            r#"{"任务编号":"R1","统一社会信用代码":"91350100m000100y43","检查日期":"2026-03-05","检查结果":"通过登记的住所（经营场所）无法联系","检查方式":"现场检查"}"#,
            json!({"result_code": "6", "method": "现场", "ucc": "91350100M000100Y43"}),
        ),
        (
            "registry",
            r#"{"统一社会信用代码":"91350100M000100Y43","业务类型":"变更登记","核准日期":"2026年3月5日","变更事项":"法定代表人","注册资本(万元)":"12.5"}"#,
            json!({"event": "changed", "effective_on": "2026-03-05", "capital_yuan": 125_000.0}),
        ),
        (
            "abnormal",
            r#"{"统一社会信用代码":"91350100M000100Y43","列入原因":"通过登记的住所或者经营场所无法联系","列入日期":"2026-03-05"}"#,
            json!({"list": "abnormal", "reason_code": "JYYC4"}),
        ),
        (
            "court",
            r#"{"案号":"(2026)湘01执1号","失信被执行人名称":"某公司","组织机构代码":"91350100M000100Y43","发布日期":"2026-03-05"}"#,
            json!({"kind": "defaulter", "ucc": "91350100M000100Y43"}),
        ),
        (
            "accidents",
            r#"{"事故编号":"A1","报告时间":"2026-03-05 10:00","发生时间":"2026-03-05 09:10","事故等级":"一般事故","设备类别代码":"3000"}"#,
            json!({"level": "ordinary", "deaths": 0, "reported_at": "2026-03-05T02:00:00Z"}),
        ),
        (
            "recalls",
            r#"{"召回编号":"H1","召回日期":"2026-03-05","批次":"L1、L2","召回数量":"1,200"}"#,
            json!({"lots": ["L1", "L2"], "number": 1200}),
        ),
        (
            "commitments",
            r#"{"承诺编号":"N1","承诺日期":"2026-03-05","承诺类型":"自我声明"}"#,
            json!({"kind": "declaration", "made_on": "2026-03-05"}),
        ),
    ] {
        let decoded = decode(feed, Format::Ndjson, line);
        assert!(decoded.dead.is_empty(), "{feed}: {:?}", decoded.dead);
        let row = &rows(&decoded)[0];
        for (name, value) in expect.as_object().unwrap() {
            assert_eq!(&row[name], value, "{feed} {name}");
        }
    }
}

/// Decodes a shared real file by a feed of `tests/real/feeds`.
fn real(feed: &str, file: &str) -> Option<Vec<Decoded>> {
    let shared = std::env::var("FOREWARN_SHARED_DIR");
    let shared = shared.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
    let path = Path::new(&shared).join("data").join(file);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let feeds = shipped("tests/real/feeds");
    let spec = feeds.iter().find(|f| f.name() == feed).unwrap();
    let format = Format::of_path(&path).unwrap();
    let options = OpenOptions::new(Arc::clone(&spec.schema), zone(), format, Secret::new([7; 32]));
    Some(open(Input::File(file), &options).unwrap().map(Result::unwrap).collect())
}

#[test]
fn real_files_decode_without_a_dead_letter() {
    for (feed, file, rows) in [
        ("vehicle_complaints", "nhtsa_vehicle_defects/complaints.parquet", 13_946),
        ("vehicle_complaints", "nhtsa_vehicle_defects/complaints_sample.csv", 500),
        ("vehicle_components", "nhtsa_vehicle_defects/complaints.parquet", 19_023),
        ("vehicle_recalls", "nhtsa_vehicle_defects/recalls.parquet", 516),
        ("vehicle_recalls", "nhtsa_vehicle_defects/recalls.csv", 516),
        ("food_notifications", "rasff/notifications.parquet", 17_528),
        ("food_origin_hazards", "rasff/notifications.parquet", 21_959),
        ("consumer_complaints", "nyc_consumer_complaints/complaints_2023.parquet", 9_949),
        ("food_samples", "cn_food_sampling_2021_2022/samples.parquet", 4_331),
        ("food_inspections", "sf_food/inspections.parquet", 17_631),
        ("food_violations", "sf_food/violations.parquet", 26_052),
    ] {
        let Some(decoded) = real(feed, file) else { return };
        let dead: Vec<_> = decoded.iter().flat_map(|d| &d.dead).collect();
        let found: usize = decoded.iter().map(|d| d.rows.num_rows()).sum();
        assert_eq!((found, dead.first()), (rows, None), "{feed} {file}");
    }
}

#[test]
fn labels_with_a_comma_stay_whole() {
    let Some(decoded) = real("vehicle_components", "nhtsa_vehicle_defects/complaints.parquet")
    else {
        return;
    };
    let count = |label: &str| -> usize {
        let of_batch = |d: &Decoded| {
            let labels = d.rows.column_by_name("component").unwrap().as_string::<i32>();
            labels.iter().filter(|l| *l == Some(label)).count()
        };
        decoded.iter().map(of_batch).sum()
    };
    let found =
        ["FUEL SYSTEM, GASOLINE", "FUEL SYSTEM", "FORWARD COLLISION AVOIDANCE", "STRUCTURE"]
            .map(count);
    assert_eq!(found, [137, 0, 1_289, 918]);
}

#[test]
fn a_recheck_is_a_later_version_where_exports_number_none() {
    let csv = "\
抽样单编号,报告日期,结论,复检状态
S1,2026年3月5日,不合格样品,/
S1,2026年3月5日,不合格样品,复检中
S1,2026年3月5日,不合格样品,复检合格
";
    let found = rows(&decode("sampling", Format::Csv, csv));
    let said: Vec<_> = found.iter().map(|row| (&row["version"], &row["recheck"])).collect();
    let (none, pending, overturned) = (Value::Null, json!("pending"), json!("overturned"));
    let (first, second) = (json!(1), json!(2));
    assert_eq!(said, [(&none, &none), (&first, &pending), (&second, &overturned)]);
}
