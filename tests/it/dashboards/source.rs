//! The Grafana dashboards in one source for both languages, and the JSON made from it.
//!
//! Classic JSON of schema version 39, which Grafana 10 to 13 read. `$f` in an expression stands for the matchers of the
//! dashboard's variables. Panels are listed in reading order; the grid is laid out here.

use serde_json::{Value, json};

pub(super) const LANGUAGES: [&str; 2] = ["zh", "en"];
const WIDTH: u64 = 24;
const FILTER: &str = "job=~\"$job\", instance=~\"$instance\"";

/// A text in Chinese and English.
pub(super) type Text = [&'static str; 2];

pub(super) struct Dashboard {
    pub(super) name: &'static str,
    pub(super) title: Text,
    pub(super) about: Text,
    pub(super) panels: Vec<Panel>,
}

pub(super) struct Panel {
    kind: &'static str,
    title: Text,
    about: Text,
    unit: &'static str,
    /// Expression and legend.
    targets: &'static [(&'static str, &'static str)],
    /// No series is a good answer, too.
    may_be_empty: bool,
}

const fn panel(
    kind: &'static str,
    title: Text,
    about: Text,
    unit: &'static str,
    targets: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { kind, title, about, unit, targets, may_be_empty: false }
}

const fn stat(
    title: Text,
    about: Text,
    unit: &'static str,
    targets: &'static [(&'static str, &'static str)],
) -> Panel {
    panel("stat", title, about, unit, targets)
}

const fn series(
    title: Text,
    about: Text,
    unit: &'static str,
    targets: &'static [(&'static str, &'static str)],
) -> Panel {
    panel("timeseries", title, about, unit, targets)
}

impl Panel {
    const fn may_be_empty(mut self) -> Self {
        self.may_be_empty = true;
        self
    }
}

pub(super) fn dashboards() -> Vec<Dashboard> {
    vec![overview(), feeds(), rules()]
}

fn overview() -> Dashboard {
    Dashboard {
        name: "overview",
        title: ["forewarn 总览", "forewarn overview"],
        about: [
            "预警、数据接入与推送是否正常,一屏可见。",
            "Whether alerts, intake and delivery are in order, on one page.",
        ],
        panels: vec![
            stat(
                ["当前预警", "Alerts now"],
                ["条件成立的预警数。", "Alerts whose condition holds."],
                "short",
                &[("sum(forewarn_alerts{state=\"firing\", $f})", "")],
            ),
            stat(
                ["红色与橙色", "Critical and high"],
                ["其中红色、橙色等级的预警数。", "Those of the two highest severities."],
                "short",
                &[(
                    "sum(forewarn_alerts{state=\"firing\", severity=~\"critical|high\", $f})",
                    "",
                )],
            ),
            stat(
                ["接入速率", "Records per second"],
                ["每秒计入的记录数。", "Records accepted each second."],
                "ops",
                &[(
                    "sum(rate(forewarn_feed_events_total{result=\"accepted\", $f}[$__rate_interval]))",
                    "",
                )],
            ),
            stat(
                ["死信", "Dead letters"],
                ["所选时段内被拒收的记录数。", "Records refused in the time shown."],
                "short",
                &[("sum(increase(forewarn_dead_letters_total{$f}[$__range]))", "")],
            ),
            stat(
                ["待推送", "Not delivered"],
                ["尚未送达接收方的预警修订数。", "Revisions that receivers do not have yet."],
                "short",
                &[("sum(forewarn_sink_backlog{$f})", "")],
            ),
            stat(
                ["版本", "Version"],
                ["正在运行的版本。", "The version that runs."],
                "none",
                &[("max by (version) (forewarn_build_info{$f})", "{{version}}")],
            ),
            series(
                ["各等级预警", "Alerts by severity"],
                ["条件成立的预警,按等级。", "Alerts whose condition holds, by severity."],
                "short",
                &[("sum by (severity) (forewarn_alerts{state=\"firing\", $f})", "{{severity}}")],
            ),
            series(
                ["预警变化", "What alerts did"],
                [
                    "预警进入各状态的次数;revised 为状态不变的修订。",
                    "States that alerts entered; revised: the state stayed.",
                ],
                "short",
                &[(
                    "sum by (transition) (increase(forewarn_alert_transitions_total{$f}[$__rate_interval]))",
                    "{{transition}}",
                )],
            ),
            series(
                ["到达至预警用时", "From arrival to alert"],
                [
                    "从触发记录到达至预警入库的时间。",
                    "From the arrival of the record that raised an alert until it was stored.",
                ],
                "s",
                &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(forewarn_event_to_alert_seconds_bucket{$f}[$__rate_interval])))",
                        "p50",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(forewarn_event_to_alert_seconds_bucket{$f}[$__rate_interval])))",
                        "p99",
                    ),
                ],
            ),
            series(
                ["各数据源接入", "Records by feed"],
                ["每秒计入的记录数,按数据源。", "Records accepted each second, by feed."],
                "ops",
                &[(
                    "sum by (feed) (rate(forewarn_feed_events_total{result=\"accepted\", $f}[$__rate_interval]))",
                    "{{feed}}",
                )],
            ),
            series(
                ["引擎用时", "Time in the engine"],
                [
                    "一批记录走完窗口与规则的时间。",
                    "Walking one delivery through windows and rules.",
                ],
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (le) (rate(forewarn_evaluation_duration_seconds_bucket{$f}[$__rate_interval])))",
                    "p99",
                )],
            ),
            series(
                ["排队请求", "Requests that wait"],
                ["等待引擎处理的请求与上限。", "Requests that wait for the engine, and the limit."],
                "short",
                &[
                    ("sum(forewarn_queue_length{$f})", "waiting"),
                    ("sum(forewarn_queue_capacity{$f})", "limit"),
                ],
            ),
            series(
                ["推送", "Deliveries"],
                [
                    "每秒推送次数,按接收方与结果(含重发)。",
                    "Deliveries each second by sink and result, repetitions included.",
                ],
                "ops",
                &[(
                    "sum by (sink, result) (rate(forewarn_sink_deliveries_total{$f}[$__rate_interval]))",
                    "{{sink}} {{result}}",
                )],
            )
            .may_be_empty(),
            series(
                ["推送用时", "Time of deliveries"],
                ["一次推送的时间。", "Time of one delivery."],
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (le, sink) (rate(forewarn_sink_delivery_duration_seconds_bucket{$f}[$__rate_interval])))",
                    "{{sink}}",
                )],
            )
            .may_be_empty(),
            series(
                ["最早未送达", "Oldest not delivered"],
                ["最早一条未送达的修订已等待多久。", "For how long the oldest revision has waited."],
                "s",
                &[(
                    "max by (sink) (time() - (forewarn_sink_oldest_undelivered_timestamp_seconds{$f} > 0))",
                    "{{sink}}",
                )],
            )
            .may_be_empty(),
            series(
                ["HTTP 请求", "HTTP requests"],
                ["每秒请求数,按方法与状态类别。", "Requests each second, by method and class of status."],
                "reqps",
                &[(
                    "sum by (method, code) (rate(forewarn_http_requests_total{$f}[$__rate_interval]))",
                    "{{method}} {{code}}",
                )],
            ),
            series(
                ["HTTP 用时", "Time of HTTP requests"],
                ["请求至开始应答的时间,按路由。", "Requests until their answer began, by route."],
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (le, route) (rate(forewarn_http_request_duration_seconds_bucket{$f}[$__rate_interval])))",
                    "{{route}}",
                )],
            ),
            series(
                ["内存", "Memory"],
                ["进程占用,以及其中窗口与键的状态。", "Of the process, and of windows and keys in it."],
                "bytes",
                &[
                    ("sum(process_resident_memory_bytes{$f})", "process"),
                    ("sum(forewarn_state_bytes{store=\"memory\", $f})", "state"),
                ],
            ),
            series(
                ["磁盘", "Disk"],
                ["日志、死信与预警库的大小。", "Size of log, dead letters and alert store."],
                "bytes",
                &[("sum(forewarn_state_bytes{store=\"disk\", $f})", "data")],
            ),
            series(
                ["处理器", "Processor"],
                ["占用的核数。", "Cores in use."],
                "short",
                &[("sum(rate(process_cpu_seconds_total{$f}[$__rate_interval]))", "cores")],
            ),
            series(
                ["打开的文件", "Open files"],
                ["打开的文件和连接,与上限。", "Open files and connections, and the limit."],
                "short",
                &[
                    ("sum(process_open_fds{$f})", "open"),
                    ("sum(process_max_fds{$f})", "limit"),
                ],
            ),
            stat(
                ["在线查看", "Watching"],
                ["正在实时接收预警的浏览器与客户端数。", "Browsers and clients that follow alerts live."],
                "short",
                &[("sum(forewarn_sse_clients{$f})", "")],
            ),
            stat(
                ["涉及主体", "Businesses"],
                ["记录中出现过的经营主体数。", "Businesses that records have named."],
                "short",
                &[("sum(forewarn_entities{$f})", "")],
            ),
            stat(
                ["运行时间", "Uptime"],
                ["进程启动至今。", "Since the process began."],
                "s",
                &[("time() - max(process_start_time_seconds{$f})", "")],
            ),
            stat(
                ["指标序列", "Metric series"],
                ["本进程导出的序列数。", "Series that this process exports."],
                "short",
                &[("sum(forewarn_metric_series{$f})", "")],
            ),
        ],
    }
}

fn feeds() -> Dashboard {
    Dashboard {
        name: "feeds",
        title: ["forewarn 数据源", "forewarn feeds"],
        about: [
            "各数据源是否按时到达、多少迟到、多少被拒收。",
            "Whether feeds arrive in time, how much is late, how much is refused.",
        ],
        panels: vec![
            series(
                ["记录去向", "What became of records"],
                ["每秒记录数,按处理结果。", "Records each second, by what became of them."],
                "ops",
                &[(
                    "sum by (feed, result) (rate(forewarn_feed_events_total{$f}[$__rate_interval]))",
                    "{{feed}} {{result}}",
                )],
            ),
            series(
                ["拒收原因", "Why records were refused"],
                ["各原因的死信数。", "Dead letters by reason."],
                "short",
                &[(
                    "sum by (feed, reason) (increase(forewarn_dead_letters_total{$f}[$__rate_interval]))",
                    "{{feed}} {{reason}}",
                )],
            ),
            series(
                ["待处理死信", "Dead letters to mend"],
                [
                    "尚未修正重发的死信数;`forewarn dead-letters` 可查看、重发。",
                    "Letters not sent again yet; `forewarn dead-letters` shows and sends them.",
                ],
                "short",
                &[("sum by (feed) (forewarn_dead_letter_backlog{$f})", "{{feed}}")],
            ),
            series(
                ["水位线滞后", "Watermark behind now"],
                [
                    "当前时间减水位线;窗口按水位线关闭。",
                    "Now minus the watermark, by which windows are closed.",
                ],
                "s",
                &[(
                    "scalar(max(forewarn_clock_timestamp_seconds{$f})) - max by (feed) (forewarn_feed_watermark_timestamp_seconds{$f} > 0)",
                    "{{feed}}",
                )],
            ),
            series(
                ["距最近事件", "Since the latest event"],
                ["当前时间减最近的事件时间。", "Now minus the latest event time."],
                "s",
                &[(
                    "scalar(max(forewarn_clock_timestamp_seconds{$f})) - max by (feed) (forewarn_feed_last_event_timestamp_seconds{$f} > 0)",
                    "{{feed}}",
                )],
            ),
            series(
                ["距最近到达", "Since the last arrival"],
                ["多久没有收到该数据源的数据。", "For how long nothing has arrived."],
                "s",
                &[(
                    "scalar(max(forewarn_clock_timestamp_seconds{$f})) - max by (feed) (forewarn_feed_last_arrival_timestamp_seconds{$f} > 0)",
                    "{{feed}}",
                )],
            ),
            series(
                ["到达延迟中位数", "Lateness, median"],
                ["到达时间减事件时间的中位数。", "Arrival minus event time, median."],
                "s",
                &[(
                    "histogram_quantile(0.5, sum by (le, feed) (rate(forewarn_feed_lateness_seconds_bucket{$f}[$__rate_interval])))",
                    "{{feed}}",
                )],
            ),
            series(
                ["到达延迟 p95", "Lateness, p95"],
                ["到达时间减事件时间的 95 分位。", "Arrival minus event time, 95th percentile."],
                "s",
                &[(
                    "histogram_quantile(0.95, sum by (le, feed) (rate(forewarn_feed_lateness_seconds_bucket{$f}[$__rate_interval])))",
                    "{{feed}}",
                )],
            ),
            series(
                ["静默分区", "Silent partitions"],
                [
                    "静默且不再拖住水位线的分区数。",
                    "Partitions that are silent and hold nothing back.",
                ],
                "short",
                &[("sum by (feed) (forewarn_feed_idle_partitions{$f})", "{{feed}}")],
            ),
            series(
                ["未归户比例", "Share without a business"],
                ["没有有效统一社会信用代码的记录比例。", "Accepted records that name no business."],
                "percentunit",
                &[(
                    "sum by (feed) (rate(forewarn_unattributed_events_total{$f}[$__rate_interval])) / sum by (feed) (rate(forewarn_feed_events_total{result=\"accepted\", $f}[$__rate_interval]))",
                    "{{feed}}",
                )],
            ),
            series(
                ["读取失败", "Failed reads"],
                [
                    "查看、读取与交付失败的次数。",
                    "Looks, reads and deliveries of sources that failed.",
                ],
                "short",
                &[(
                    "sum by (feed, stage) (increase(forewarn_source_errors_total{$f}[$__rate_interval]))",
                    "{{feed}} {{stage}}",
                )],
            ),
            series(
                ["读取次数", "Reads"],
                [
                    "每秒查看、读取与交付次数。",
                    "Looks, reads and deliveries of sources each second.",
                ],
                "ops",
                &[(
                    "sum by (feed, stage) (rate(forewarn_source_reads_total{$f}[$__rate_interval]))",
                    "{{feed}} {{stage}}",
                )],
            ),
            series(
                ["背压", "Backpressure"],
                [
                    "来源等待引擎的时间比例。",
                    "Share of time for which sources wait for the engine.",
                ],
                "percentunit",
                &[(
                    "sum by (stage) (rate(forewarn_backpressure_seconds_total{$f}[$__rate_interval]))",
                    "{{stage}}",
                )],
            ),
        ],
    }
}

fn rules() -> Dashboard {
    Dashboard {
        name: "rules",
        title: ["forewarn 规则", "forewarn rules"],
        about: [
            "哪些规则吵、哪些失败、哪些还没有足够历史。",
            "Which rules are noisy, which fail, which lack history.",
        ],
        panels: vec![
            stat(
                ["运行中的规则", "Rules that run"],
                ["按状态与类型。", "By status and kind."],
                "short",
                &[("sum by (status, kind) (forewarn_rules{$f})", "{{status}} {{kind}}")],
            ),
            stat(
                ["规则集", "Rule set"],
                [
                    "数据源与规则的散列值,变化即规则有改动。",
                    "Hash of feeds and rules; it changes with them.",
                ],
                "none",
                &[("max by (hash) (forewarn_rules_info{$f})", "{{hash}}")],
            ),
            stat(
                ["撤销", "Taken back"],
                [
                    "所选时段内因更正或撤回而撤销的预警。",
                    "Alerts taken back after corrections, in the time shown.",
                ],
                "short",
                &[("sum(increase(forewarn_alert_retractions_total{$f}[$__range]))", "")],
            ),
            stat(
                ["键", "Keys"],
                [
                    "规则所知的键数(企业、地区等)。",
                    "Keys known to the rules: businesses, regions and so on.",
                ],
                "short",
                &[("sum(forewarn_state_keys{$f})", "")],
            ),
            series(
                ["最吵的规则", "Noisiest rules"],
                [
                    "所选时段内定案信号最多的十条规则。",
                    "The ten rules with the most final signals in the time shown.",
                ],
                "short",
                &[(
                    "topk(10, sum by (rule) (increase(forewarn_rule_signals_total{$f}[$__range])))",
                    "{{rule}}",
                )],
            ),
            series(
                ["评估次数", "Evaluations"],
                ["每秒评估的键数,按规则。", "Keys evaluated each second, by rule."],
                "ops",
                &[(
                    "topk(10, sum by (rule) (rate(forewarn_rule_evaluations_total{$f}[$__rate_interval])))",
                    "{{rule}}",
                )],
            ),
            series(
                ["评估失败", "Failed evaluations"],
                ["失败的评估按不成立处理。", "Evaluations that failed and count as not true."],
                "short",
                &[(
                    "sum by (rule) (increase(forewarn_rule_evaluation_failures_total{$f}[$__rate_interval]))",
                    "{{rule}}",
                )],
            ),
            series(
                ["历史不足", "Not enough history"],
                [
                    "缺少对比所需历史的评估次数。",
                    "Evaluations without the history that the rule compares with.",
                ],
                "short",
                &[(
                    "sum by (rule) (increase(forewarn_rule_not_ready_total{$f}[$__rate_interval]))",
                    "{{rule}}",
                )],
            ),
            series(
                ["规则占用的内存", "Memory of rules"],
                [
                    "顺序规则与首次出现规则为各键保存的内容,最大的十条。",
                    "What rules over sequences and first times hold of their keys; the ten largest.",
                ],
                "bytes",
                &[("topk(10, sum by (rule) (forewarn_rule_state_bytes{$f}))", "{{rule}}")],
            ),
        ],
    }
}

/// All expressions of a dashboard's JSON with the panel's title and whether it may be empty.
pub(super) fn expressions(dashboard: &Value) -> Vec<(String, String, bool)> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    panels
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap_or_default();
            let may_be_empty = panel["x-may-be-empty"] == true;
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.filter_map(move |t| {
                Some((title.to_owned(), t["expr"].as_str()?.to_owned(), may_be_empty))
            })
        })
        .collect()
}

/// A dashboard in the language `l` as Grafana reads it.
pub(super) fn to_json(dashboard: &Dashboard, l: usize) -> Value {
    let (mut x, mut y, mut row) = (0, 0, 0);
    let mut panels = Vec::new();
    for (i, panel) in dashboard.panels.iter().enumerate() {
        let (w, h) = if panel.kind == "stat" { (4, 4) } else { (8, 8) };
        // A row holds panels of one height.
        if x + w > WIDTH || (row != 0 && row != h) {
            (x, y) = (0, y + row);
        }
        row = h;
        panels.push(panel_json(panel, i + 1, l, json!({"x": x, "y": y, "w": w, "h": h})));
        x += w;
    }
    let uid = format!("forewarn-{}-{}", dashboard.name, LANGUAGES[l]);
    json!({
        "uid": uid,
        "title": dashboard.title[l],
        "description": dashboard.about[l],
        "tags": ["forewarn", LANGUAGES[l]],
        "schemaVersion": 39,
        "version": 1,
        "editable": false,
        "graphTooltip": 1,
        "refresh": "60s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [{
            "type": "dashboards", "title": "forewarn", "tags": ["forewarn", LANGUAGES[l]], "asDropdown": true,
            "includeVars": true, "keepTime": true,
        }],
        "templating": {"list": variables(l)},
        "panels": panels,
    })
}

fn variables(l: usize) -> Vec<Value> {
    let query = |name: &str, label: Text, query: &str| {
        json!({
            "name": name, "label": label[l], "type": "query", "datasource": source(),
            "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 1,
            "multi": true, "includeAll": true, "allValue": ".+",
            "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        })
    };
    vec![
        json!({
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "current": {}, "refresh": 1,
        }),
        query("job", ["任务", "Job"], "label_values(forewarn_build_info, job)"),
        query(
            "instance",
            ["实例", "Instance"],
            "label_values(forewarn_build_info{job=~\"$job\"}, instance)",
        ),
    ]
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn panel_json(panel: &Panel, id: usize, l: usize, place: Value) -> Value {
    let targets: Vec<Value> = panel
        .targets
        .iter()
        .enumerate()
        .map(|(i, (expression, legend))| {
            json!({
                "refId": char::from(b'A' + i as u8).to_string(),
                "datasource": source(),
                "expr": expression.replace("$f", FILTER),
                "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            })
        })
        .collect();
    let named = panel.kind == "stat" && !panel.targets[0].1.is_empty();
    let options = match panel.kind {
        "stat" => json!({
            "reduceOptions": {"calcs": ["lastNotNull"], "values": false},
            "textMode": if named { "value_and_name" } else { "value" },
            "colorMode": "value",
        }),
        _ => json!({
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
    };
    let mut out = json!({
        "id": id,
        "type": panel.kind,
        "title": panel.title[l],
        "description": panel.about[l],
        "datasource": source(),
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": targets,
    });
    if panel.may_be_empty {
        out["x-may-be-empty"] = true.into();
    }
    out
}
