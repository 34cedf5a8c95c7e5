//! Words: every text of the console, in both languages; the only place where they stand.
//!
//! An entry cannot be without one of the two, because a [`Word`] has both. `{name}` stands for a value, see [`Word::with`].

use super::language::Language;
use crate::model::{alert::State, signal::Severity};

/// A text of the console in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
}

impl Word {
    /// The text in a language.
    pub(super) fn of(self, language: Language) -> &'static str {
        match language {
            Language::Zh => self.zh,
            Language::En => self.en,
        }
    }

    /// The text with values for what stands in braces.
    pub(super) fn with(self, language: Language, values: &[(&str, &str)]) -> String {
        let mut text = self.of(language).to_owned();
        // Before any value is in the text, which may hold what looks like ours.
        for (name, value) in values {
            text = numbered(&text, name, *value == "1");
        }
        for (name, value) in values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

/// The text with the first of two words in `{name|one|many}` where there is one of it, else the second.
fn numbered(text: &str, name: &str, is_one: bool) -> String {
    let opening = format!("{{{name}|");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(&opening) {
        let Some((words, after)) = behind.split_once('}') else { break };
        let (one, many) = words.split_once('|').unwrap_or((words, words));
        out.push_str(before);
        out.push_str(if is_one { one } else { many });
        rest = after;
    }
    out.push_str(rest);
    out
}

macro_rules! words {
    ($($name:ident: $zh:literal, $en:literal;)*) => {
        $(pub(super) const $name: Word = Word { zh: $zh, en: $en };)*
        #[cfg(test)]
        const TABLE: &[(&str, Word)] = &[$((stringify!($name), $name),)*];
    };
}

words! {
    // The frame.
    PRODUCT: "风险预警", "Risk early warning";
    SKIP: "跳到正文", "Skip to content";
    NAVIGATION: "主导航", "Main";
    ALERTS: "预警", "Alerts";
    OTHER_LANGUAGE: "English", "中文";
    LIGHT_OR_DARK: "明暗", "Theme";
    THEME_AUTO: "跟随系统", "System";
    THEME_LIGHT: "浅色", "Light";
    THEME_DARK: "深色", "Dark";
    KEYS: "键盘操作", "Keyboard";
    CLOSE: "关闭", "Close";
    KEY_DOWN: "下一条", "Next row";
    KEY_UP: "上一条", "Previous row";
    KEY_OPEN: "打开选中的预警", "Open the selected alert";
    KEY_NEW: "显示新预警", "Show new alerts";
    KEY_SEARCH: "搜索", "Search";
    KEY_BACK: "返回预警列表", "Back to the list of alerts";
    KEY_HELP: "显示本说明", "Show this help";

    // The strip.
    HEALTH: "运行状况", "Health";
    ENGINE_OK: "引擎正常", "Engine running";
    ENGINE_RECOVERING: "引擎恢复中：正在重放日志，已完成 {percent} %", "Engine recovering: it replays its log, {percent} % done";
    ENGINE_STOPPED: "引擎已停止：{why}", "Engine stopped: {why}";
    NO_DATA: "尚无数据", "No data yet";
    DATA_UNTIL: "数据至 {at}", "Data until {at}";
    SLOWEST: "最慢：{feed} 落后 {age}", "Slowest: {feed}, {age} behind";
    FEEDS_OK: "数据源正常 {n}", "{n} {n|feed|feeds} running";
    FEEDS_STALLED: "{n} 个数据源中断：{names}", "{n} {n|feed|feeds} stalled: {names}";
    FEEDS_SILENT: "{n} 个数据源从未有数据", "{n} {n|feed|feeds} never had data";
    SINKS_NONE: "未配置通知渠道", "No sink configured";
    SINKS_OK: "通知渠道正常 {n}", "{n} {n|sink|sinks} delivering";
    SINKS_FAILING: "{n} 个通知渠道送不出去：{names}", "{n} {n|sink|sinks} failing: {names}";
    OPEN_ALERTS: "未结束预警 {n}", "{n} open {n|alert|alerts}";
    STALE: "与服务器的连接已中断，列表可能不是最新。正在重连……", "The connection to the server is lost, this list may be out of date. Reconnecting …";

    // States and severities.
    PENDING: "待定", "Pending";
    FIRING: "触发中", "Firing";
    RESOLVED: "已解除", "Resolved";
    RETRACTED: "已撤销", "Retracted";
    SUPPRESSED: "已抑制", "Suppressed";
    LOW: "低", "Low";
    MEDIUM: "中", "Medium";
    HIGH: "高", "High";
    CRITICAL: "严重", "Critical";

    // The list.
    FILTERS: "筛选", "Filters";
    SEARCH: "搜索", "Search";
    SEARCH_IN: "消息、主体、编号", "Message, name, id";
    CLEAR: "清除全部筛选", "Clear all filters";
    REMOVE: "去掉筛选 {what}", "Remove filter {what}";
    STATE: "状态", "State";
    SEVERITY: "级别", "Severity";
    RULE: "规则", "Rule";
    CITY: "地区", "Place";
    OPEN: "未结束", "Open";
    ALL: "全部", "All";
    MORE: "其余 {n} 项", "{n} more";
    SORT: "排序", "Sort by";
    SORT_FIRED: "触发时间", "Time of firing";
    SORT_KNOWN: "获知时间", "Time of knowing";
    SORT_SEVERITY: "级别", "Severity";
    TITLE: "预警", "Alert";
    KEY: "键", "Key";
    SUBJECT: "主体", "Subject";
    PLACE: "地区", "Place";
    FIRED: "触发时间", "Fired";
    AGE: "距今", "Age";
    AGE_NOTE: "按数据时间计：到最新一条记录为止", "In data time: up to the latest record";
    RECORDS: "记录", "Records";
    TOTAL: "共 {n} 条", "{n} {n|alert|alerts}";
    FIRST_PAGE: "回到第一页", "First page";
    NEXT_PAGE: "下一页", "Next page";
    PAGES: "翻页", "Pages";
    NEW_ALERTS: "{n} 条新预警，按 n 显示", "{n} new, press n to show";
    LIST_OLD: "列表有较多更新，按 n 重新载入", "Much has changed, press n to reload";
    GONE: "已不符合当前筛选", "No longer in this filter";
    EMPTY_NO_DATA: "还没有任何数据", "There is no data yet";
    EMPTY_NO_DATA_WHY: "没有数据不等于没有风险。引擎在运行，{rules} 条规则、{feeds} 个数据源已就绪，但还没有收到一条记录。推送一条试试：", "No data is not the same as no risk. The engine runs with {rules} {rules|rule|rules} and {feeds} {feeds|feed|feeds}, and has not received a single record. Push some:";
    EMPTY_RECOVERING: "引擎正在回放日志，预警陆续出现", "The engine replays its log, alerts appear as it goes";
    EMPTY_QUIET: "没有预警", "No alerts";
    EMPTY_QUIET_WHY: "{rules} 条规则已检查 {records} 条记录（数据至 {at}），没有触发过预警。", "{rules} {rules|rule has|rules have} judged {records} {records|record|records} (data until {at}); none has fired.";
    EMPTY_ENDED: "当前没有未结束的预警", "No alert is open";
    EMPTY_ENDED_WHY: "另有 {n} 条已经结束。", "{n} {n|other has|others have} ended.";
    EMPTY_ENDED_SHOW: "查看全部预警", "Show all alerts";
    EMPTY_FILTERED: "没有符合筛选条件的预警", "No alert passes these filters";
    EMPTY_FILTERED_WHY: "共有 {n} 条预警。减少条件，或", "There {n|is|are} {n} {n|alert|alerts}. Remove a filter, or";
    EMPTY_STALLED: "注意：有数据源中断，没有新预警不等于没有风险。", "Note: feeds have stalled; no new alerts does not mean no risk.";

    // The alert.
    BACK: "返回列表", "Back to the list";
    CHANGED: "本预警已有新修订。", "This alert has a new revision.";
    RELOAD: "重新载入", "Reload";
    WHY: "为什么触发", "Why it fired";
    CONDITION: "条件", "Condition";
    VALUE: "值", "Value";
    LIMIT: "界限", "Limit";
    HOLDS: "成立", "Holds";
    YES: "是", "Yes";
    NO: "否", "No";
    UNKNOWN: "未知", "Unknown";
    MEASURE: "度量", "Measure";
    DEFINITION: "定义", "Definition";
    NOW: "现在", "Now";
    AT_FIRING: "触发时", "At firing";
    PARAMETERS: "参数", "Parameters";
    STEP: "步骤", "Step";
    STEP_MET: "何时", "When";
    STEP_ABSENT: "未出现，直至", "did not come until";
    STEPS_LEAD: "各步骤按时间先后依次发生：", "The steps came about one after the other:";
    FIRST_TIME: "此前长时间没有出现过；首次出现的记录：", "It had not been seen for long; the records that are its first:";
    SINGLE_RECORD: "本规则逐条判断记录：下列记录本身满足规则的 when 条件。", "This rule judges single records: the record below fulfils its `when` by itself.";
    RECORD_SAYS: "记录内容", "What the record says";
    NO_TERMS: "规则文本已变，无法列出当时的各项条件；当时的值如下。", "The rule has changed since, its conditions then cannot be listed; the values are those of then.";
    CHART: "走势", "Course";
    CHART_TITLE: "{value} 逐窗口走势", "{value}, window by window";
    CHART_DESC: "{n} 个窗口，从 {from} 到 {to}；最大值 {max}，{fires} 个窗口满足条件。", "{n} {n|window|windows} from {from} to {to}; greatest value {max}; the condition holds in {fires} {fires|window|windows}.";
    CHART_TABLE: "以表格查看", "As a table";
    CHART_LIMIT: "界限 {limit}", "limit {limit}";
    CHART_EXPECTED: "预期", "Expected";
    CHART_FIRES: "满足条件的窗口", "Windows that fire";
    CHART_NONE: "没有可画的数值。", "There are no numbers to draw.";
    WINDOW_END: "窗口结束", "Window end";
    TIMELINE: "证据时间线", "Evidence in time";
    TIMELINE_TITLE: "各数据源的记录", "Records of all feeds";
    TIMELINE_DESC: "{feeds} 个数据源共 {n} 条记录，从 {from} 到 {to}；其中 {evidence} 条是本预警的证据；阴影为窗口 {start} 至 {end}。", "{n} {n|record|records} of {feeds} {feeds|feed|feeds} from {from} to {to}; {evidence} of them {evidence|stands|stand} behind this alert; the window from {start} to {end} is shaded.";
    TIMELINE_EARLIER: "另有更早的 {n} 条未画出", "{n} earlier ones are not drawn";
    TIMELINE_EVIDENCE: "证据", "Evidence";
    TIMELINE_OTHER: "其他记录", "Other records";
    TIMELINE_WITHDRAWN: "已撤回", "Withdrawn";
    TIMELINE_WINDOW: "窗口", "Window";
    LINE_LIST: "证据记录", "Records behind it";
    LINES_SHOWN: "显示 {shown} / 共 {n} 条", "{shown} of {n} shown";
    SHOW_ALL: "全部显示", "Show all";
    MISSING: "{n} 条记录在日志中已找不到", "{n} {n|record is|records are} no longer in the log";
    EVENT_TIME: "事件时间", "Event time";
    ARRIVED: "到达", "Arrived";
    FEED: "数据源", "Feed";
    RECORD: "记录号", "Record";
    CONTENT: "内容", "Content";
    WITHDRAWN: "已撤回", "withdrawn";
    VERSIONS: "第 {n} 版", "version {n}";
    MASKED: "个人信息，已假名化", "Personal, shown as a pseudonym";
    HISTORY: "状态历史", "History";
    REVISION: "修订", "Revision";
    KNOWN_AT: "获知时间", "Known at";
    MESSAGE: "消息", "Message";
    EARLIER: "更早的 {n} 次修订", "{n} earlier revisions";
    RULE_TEXT: "规则文本", "Text of the rule";
    OTHER_ALERTS: "同一主体的其他预警", "Other alerts of this business";
    OTHER_ALERTS_KEY: "同一键的其他预警", "Other alerts of this key";
    NO_OTHERS: "没有其他预警。", "There are none.";
    FACTS: "概要", "Facts";
    WINDOW: "窗口", "Window";
    BEGAN: "首个触发窗口始于", "First window from";
    KNOWN: "引擎获知", "Engine knew";
    ENDED: "结束", "Ended";
    EPISODE: "第几次", "Episode";
    RAISED_AGAIN: "再次提示", "Raised again";
    ACTION: "处置建议", "What to do";
    BASIS: "依据", "Basis";
    ID: "编号", "Id";
    VERSION: "版本 {n}", "version {n}";

    // What several pages say.
    RULES: "规则", "Rules";
    SUBJECTS: "主体查询", "Businesses";
    FEEDS: "数据源状况", "Feeds";
    LETTERS: "拒收记录", "Dead letters";
    STATUS: "发布状态", "Status";
    DOMAIN: "领域", "Domain";
    SIGNALS: "信号", "Signals";
    LAST_FIRED: "最近触发", "Last fired";
    NEVER: "从未", "never";
    ALL_OF_THEM: "查看全部 {n} 条", "All {n} of them";

    // Rules.
    RULES_SEARCH: "标题、编号", "Title, id";
    RULES_LOOK: "关注", "Look for";
    RULES_FIRING: "正在触发", "Firing now";
    RULES_SILENT: "从未触发", "Never fired";
    RULES_UNFIT: "不能判断", "Not fit";
    RULES_TOTAL: "{n} 条规则", "{n} {n|rule|rules}";
    RULES_NONE: "还没有规则", "There are no rules";
    RULES_NONE_WHY: "把规则文件放进规则目录，检查后重启引擎：", "Put the file of a rule into the directory of rules, check it, and start the engine again:";
    RULES_FILTERED: "没有符合筛选条件的规则", "No rule passes these filters";
    RULES_BACK: "全部规则", "All rules";
    STATUS_LIVE: "正式", "Live";
    STATUS_SHADOW: "影子（不预警）", "Shadow (no alerts)";
    STATUS_DRAFT: "草稿（不运行）", "Draft (not run)";
    STATUS_RETIRED: "退役（不运行）", "Retired (not run)";
    FIT: "判断能力", "Fitness";
    FIT_READY: "可判断", "Fit";
    FIT_WAITING: "等首个窗口", "No window yet";
    FIT_UNREADY: "历史不足", "History short";
    FIT_OFF: "不运行", "Not run";
    FIT_FAILING: "求值出错", "Failing";
    FIT_UNREADY_WHY: "{n} 次求值都缺少用于比较的历史，所以本规则目前不会触发。没有预警不等于没有风险；历史积累够了会自动开始判断。", "All {n} evaluations lacked the history that this rule compares with, so it cannot fire. No alerts does not mean no risk; it begins to judge by itself once there is enough.";
    FIT_FAILING_WHY: "{all} 次求值中有 {n} 次出错，按“不成立”处理。多为除以零或数值越界，请检查规则文本。", "{n} of {all} evaluations failed and count as not true. It is mostly a division by zero or a number out of range: look at the text of the rule.";
    FIT_OFF_WHY: "本规则不运行：草稿只做检查和测试，退役规则只为旧预警保留。", "This rule does not run: drafts are checked and tested only, retired ones are kept for their old alerts.";
    OWNER: "负责", "Owner";
    TAGS: "标签", "Tags";
    EVALUATIONS: "求值次数", "Evaluations";
    EVALUATIONS_NOTE: "已关闭窗口中被判断过的键", "Keys of closed windows that were judged";
    NOT_READY: "历史不足", "Without history";
    NOT_READY_NOTE: "其中缺少比较所需历史的次数", "Those without the history that the rule compares with";
    FAILURES: "求值出错", "Failed";
    MEANING: "这条规则说什么", "What this rule says";
    MEANING_READS: "读取", "Reads";
    MEANING_ONLY: "仅限", "only";
    MEANING_FROM: "取自", "of";
    MEANING_TIME: "按时间列", "by the time column";
    MEANING_BY: "分组", "For each";
    MEANING_KEEPS_MISSING: "（键缺失的记录自成一组）", "(records without it form a group of their own)";
    MEANING_SINGLE: "逐条判断记录", "Each record by itself";
    MEANING_SLIDING: "最近 {width}，每 {every} 看一次", "The last {width}, every {every}";
    MEANING_TUMBLING: "每 {width} 一个窗口，首尾相接", "One window after the other, {width} each";
    MEANING_MONTH: "每个自然月一个窗口", "One window a calendar month";
    MEANING_MONTH_EVERY: "一个月的滑动窗口，每 {every} 一次", "A month that slides by {every}";
    MEANING_HOLIDAY: "每个法定节假日一个窗口，前后各延 {every}", "One window a public holiday, with {every} before and behind";
    MEANING_SESSION: "从首条记录到静默 {every} 为止，最长 {width}", "From the first record until {every} of silence, {width} at most";
    MEANING_MEASURES: "度量", "Measures";
    MEANING_COUNT: "记录数", "number of records";
    MEANING_DISTINCT: "{of} 的不同值个数", "different values of {of}";
    MEANING_SUM: "{of} 之和", "sum of {of}";
    MEANING_AVG: "{of} 的平均值", "mean of {of}";
    MEANING_MIN: "{of} 的最小值", "least {of}";
    MEANING_MAX: "{of} 的最大值", "greatest {of}";
    MEANING_COMPARES: "比较", "Compares with";
    MEANING_SHIFT: "早 {span} 的同一窗口", "the same window {span} earlier";
    MEANING_HISTORY: "之前 {n} 个窗口（间隔 {step}）的{of}", "{of} of {n} earlier windows, {step} apart";
    MEANING_HISTORY_SKIP: "之前 {n} 个窗口（间隔 {step}，不含最近 {skip} 个）的{of}", "{of} of {n} earlier windows, {step} apart, without the nearest {skip}";
    MEANING_OF_MEAN: "平均值", "mean";
    MEANING_OF_MEDIAN: "中位数", "median";
    MEANING_OF_MAX: "最大值", "maximum";
    MEANING_OF_SUM: "合计", "sum";
    MEANING_PEERS: "同一窗口中 {key} 相同的全部", "all with the same {key} in the same window";
    MEANING_DETECTOR: "检测方法", "Judged by";
    MEANING_FALLBACK: "；历史不足时用 ", "; while history is short by ";
    MEANING_CONTROL: "；每期误报占比控制在 {share}% 以内", "; at most {share}% of a period's alarms false";
    WORKDAYS: "{n} 个工作日", "{n} working days";
    MEANING_BY_TIME: "同一分组的记录，按时间先后", "records of one key in order of time";
    MEANING_NEW: "此前 {span} 内没有出现过的分组", "a key that had no record for {span}";
    MEANING_LEARNS: "数据源最初 {span} 只学习、不告警", "for {span} from the feed's first day every key is taken for known";
    MEANING_STEPS: "依次发生", "In this order";
    MEANING_STEPS_FIRE: "最后一步发生（或到期仍未发生）", "the last step is met, or stayed away";
    MEANING_ORDER: "同一分组的记录，按先后", "records of one key in an order";
    MEANING_WITHIN: "自第一条记录起 {span} 内", "within {span} from the first record";
    MEANING_EACH: "，每个起点各自成立", ", each first record by itself";
    MEANING_TIMES: "至少 {n} 条", "at least {n} records";
    MEANING_DIFFERENT: "，各不相同：", ", with different ";
    MEANING_LINK: "，且 ", ", and ";
    MEANING_ABSENT: "{term} 内没有", "none for {term}";
    MEANING_WAIT: "（数据再等 {term}）", " (its feed is waited for {term} longer)";
    MEANING_FIRES: "全部成立时触发", "Fires when all hold";
    MEANING_ALWAYS: "读到即触发", "every record it reads";
    MEANING_HOLD: "持续 {span} 后才触发", "only after it held for {span}";
    MEANING_ELSE: "其余情况", "otherwise";
    MEANING_ENDS: "解除", "Resolves when";
    MEANING_CLEAR: "条件不再成立", "the condition does not hold any more";
    MEANING_KEEP: "并保持 {span}", "for {span}";
    WEEKS_TITLE: "一年内各周触发的预警", "Alerts by week, one year";
    WEEKS_DESC: "从 {from} 到 {to} 共触发 {n} 条。", "{n} fired from {from} to {to}.";
    WEEKS_NONE: "这一年没有触发过预警。", "None fired in this year.";
    WEEKS_FIRED: "触发", "Fired";
    WEEKS_RETRACTED: "后来撤销", "Retracted later";
    WEEK: "{day} 起的一周：{n} 条", "Week of {day}: {n}";
    WEEK_RETRACTED: "{day} 起的一周：{n} 条，其中撤销 {retracted} 条", "Week of {day}: {n}, {retracted} of them retracted";
    LATEST_ALERTS: "最近的预警", "Latest alerts";
    RULE_NO_ALERTS: "本规则还没有触发过预警。", "This rule has not raised an alert.";
    SHADOW_ALERTS: "影子规则不产生预警，只看下面的信号。", "A shadow rule raises no alerts: look at its signals below.";
    LATEST_SIGNALS: "最近的信号", "Latest signals";
    SIGNALS_NOTE: "一个键、一个窗口的最终内容满足条件即为一个信号；迟到数据不会再改变它。滑动窗口连续成立十次是十个信号、一条预警。", "One key and window whose final content meets the condition is a signal; no late record changes it any more. A sliding window that holds ten times gives ten signals and one alert.";
    NO_SIGNALS: "还没有最终的信号：窗口要等迟到期限过后才算最终。", "No signal is final yet: a window is, once no late record can come.";
    TESTS: "规则自带的测试", "Tests inside";
    TEST: "测试", "Test";
    EXPECTS: "期望预警数", "Alerts expected";
    NO_TESTS: "本规则没有测试。", "This rule has no tests.";
    TESTS_RUN: "运行：", "To run them:";

    // Feeds.
    NO_DATA_WHY: "没有数据不等于没有风险。引擎在运行，还没有收到一条记录；每个数据源的页面说明如何推送：", "No data is not the same as no risk. The engine runs and has not received a single record; the page of each feed tells how to push some:";
    FEEDS_TOTAL: "{n} 个", "{n} in all";
    FEEDS_NONE: "还没有数据源", "There are no feeds";
    FEEDS_NONE_WHY: "从一份样例数据生成数据源文件：", "Make the file of a feed from a sample:";
    FEEDS_BACK: "全部数据源", "All feeds";
    FEED_RUNNING: "正常", "Running";
    FEED_RUNNING_WHY: "有记录到达", "Records come";
    FEED_IDLE: "静默", "Silent";
    FEED_IDLE_WHY: "暂无新记录，也不拖住其他窗口", "Nothing comes at the moment, and it holds no window back";
    FEED_SILENT: "从未有数据", "No data ever";
    FEED_SILENT_WHY: "从未收到过记录，读它的规则不会触发", "No record has ever come: rules that read it cannot fire";
    FEED_STALLED: "中断", "Stalled";
    FEED_STALLED_WHY: "已有两天以上、且比平常间隔更久没有新记录到达。没有新预警不等于没有风险，请联系报送单位。", "No record has arrived for more than two days, and for longer than is usual for it. No new alerts does not mean no risk: ask the office that sends it.";
    SILENCE_MAX: "可容忍的静默", "May be silent for";
    SILENCE_MAX_NOTE: "超过这一时长没有记录到达即为中断：至少两天；平常间隔更长的，取历史上第二长间隔的两倍", "No record for longer means that it has stalled: two days, or twice the longest silence but one so far";
    FEED_PUSH: "推送一条试试：", "Push some:";
    LAST_ARRIVAL: "最近到达", "Last arrival";
    LAST_EVENT: "最新事件", "Latest event";
    WATERMARK: "水位线", "Watermark";
    WATERMARK_NOTE: "早于水位线的窗口已关闭；更早的记录仍可在允许迟到期内更正它们", "Windows before it are closed; within the allowed lateness earlier records still correct them";
    BEHIND: "比最新事件早 {span}", "{span} behind the latest event";
    LAG: "落后于现在", "Behind the present";
    LAG_NOTE: "水位线与当前时间之差；回放历史数据时会很大", "From the watermark to now; large while history is replayed";
    DELAY: "报送时延", "Reporting delay";
    DELAYS: "时延", "Delays";
    DELAY_NOTE: "从事件发生到记录到达的时间：半数、九成、九成九的记录不超过", "From the event to the record's arrival: half, nine tenths, and all but one in a hundred of the records take at most";
    DELAY_SAYS: "半数 {p50}，九成 {p90}，九成九 {p99}", "50 % {p50}, 90 % {p90}, 99 % {p99}";
    DELAY_BETWEEN: "从 → 到", "From → to";
    DELAY_COMMAND: "同样的数字，以及按分区：", "The same figures, and by partition:";
    LONGEST: "最长", "Longest";
    NEGATIVE: "倒置", "Backwards";
    NEGATIVE_NOTE: "后一时间早于前一时间的记录", "Records whose later time lies before the earlier one";
    ACCEPTED: "计入", "Accepted";
    NEW_RECORDS: "新记录", "New records";
    DUPLICATES: "重复", "Duplicates";
    CORRECTIONS: "更正", "Corrections";
    CONFLICTS: "同版本内容不同", "Equal version, other content";
    UNATTRIBUTED: "无主体代码", "Without a business code";
    LATE: "过迟", "Too late";
    FUTURE: "未来时间", "From the future";
    UNDECODED: "无法解码", "Not decoded";
    FEED_COUNTS: "记录去向", "What became of its records";
    PARTITIONS: "分区", "Partitions";
    PARTITION: "分区", "Partition";
    RECORD_ID: "记录标识", "Record id";
    NO_RECORD_ID: "无（不去重）", "none (no duplicates are found)";
    OUT_OF_ORDER: "乱序容忍", "Out of order";
    OUT_OF_ORDER_NOTE: "水位线比最新事件落后的时间", "The watermark stays so far behind the latest event";
    ALLOWED_LATENESS: "允许迟到", "Allowed lateness";
    ALLOWED_LATENESS_NOTE: "迟到不超过这个时间的记录仍会更正已关闭的窗口", "Records so far behind the watermark still correct closed windows";
    IDLE_AFTER: "静默判定", "Silent after";
    IDLE_AFTER_NOTE: "分区静默这么久后不再拖住水位线", "A partition silent for so long holds the watermark back no more";
    READERS: "读取它的规则", "Rules that read it";
    NO_READERS: "没有规则读取它。", "No rule reads it.";
    LATEST_RECORDS: "最近到达的记录", "Latest records";

    // Dead letters.
    LETTER: "拒收记录", "Dead letter";
    LETTERS_BACK: "全部拒收记录", "All dead letters";
    LETTERS_SHOWN: "本页 {n} 条", "{n} on this page";
    LETTERS_TOTAL: "共 {n} 条", "{n} in all";
    LETTERS_COUNTED: "数字为日志开始以来拒收的行数，含已重新发送的。", "Numbers are rows refused since the log's beginning, those sent again included.";
    LETTERS_NONE: "没有拒收的记录", "No record was refused";
    LETTERS_NONE_WHY: "收到的 {n} 条记录都读懂了。", "All {n} records that came could be read.";
    LETTERS_FILTERED: "没有符合筛选条件的拒收记录", "No dead letter passes these filters";
    LETTERS_REPLAYED: "拒收的记录都已重新发送", "All that were refused have been sent again";
    CLASS: "原因类别", "Class";
    WHERE_FROM: "分区:行", "Partition:line";
    LINE: "行", "Line";
    LETTER_WHY: "原因，以及正确的写法", "Why, and what would be right";
    SINCE: "起", "Since";
    UNTIL: "止", "Until";
    APPLY: "应用", "Apply";
    REPLAYED: "重新发送", "Sent again";
    REPLAYED_WITHOUT: "只看待处理的", "Only open ones";
    REPLAYED_WITH: "含已重新发送的", "Those sent again, too";
    REPLAYED_AT: "已重新发送", "Sent again";
    SEALED: "已封存", "Sealed";
    SEALED_WHY: "该数据源含个人信息，原文已加密封存，此处不显示；只能用下面的命令在服务器上取出。", "The feed has personal columns: the bytes are sealed and not shown here. The command below opens them on the server.";
    RAW: "原文", "As it came";
    AGAIN: "如何更正并重新发送", "How to mend and send again";
    AGAIN_FEED: "数据没有错，是数据源文件或期限写得不对：改好文件、重启引擎，然后原样重发：", "The data are right and the feed's file was wrong: mend the file, start the engine again, and send them as they are:";
    AGAIN_RECORDS: "数据有错：先写到文件里改正，再推送。文件里是明文，含个人信息，用后请删除：", "The data are wrong: write them to files, mend those, and push them. They hold personal data in clear; delete them afterwards:";
    DEAD_SYNTAX: "格式错误", "Syntax";
    DEAD_TOO_LONG: "过长", "Too long";
    DEAD_ENCODING: "编码错误", "Encoding";
    DEAD_TYPE: "类型不符", "Type";
    DEAD_MISSING: "缺少必填项", "Missing value";
    DEAD_BAD_VALUE: "取值不在代码表", "Unknown value";
    DEAD_BAD_TIME: "时间无法识别", "Bad time";
    DEAD_BAD_UCC: "代码校验不通过", "Bad code";
    DEAD_FUTURE: "时间在未来", "In the future";
    DEAD_LATE: "过迟", "Too late";

    // Businesses.
    SUBJECTS_SEARCH: "统一社会信用代码或名称", "Unified social credit code or name";
    SUBJECTS_WORST: "未结束预警最多的主体", "Businesses with most open alerts";
    SUBJECTS_FOUND: "名称或代码相符的主体", "Businesses so called";
    SUBJECTS_NOT_FOUND: "没有找到这样的主体", "There is no such business";
    SUBJECTS_NOT_FOUND_WHY: "按名称只能查到有记录的主体；请核对用字，或输入完整的 18 位代码。", "By name only businesses with records are found. Look at the spelling, or give the whole code of 18 letters.";
    SUBJECTS_QUIET: "还没有主体触发过预警", "No business has had an alert";
    SUBJECTS_QUIET_WHY: "已知 {n} 个主体，可按代码或名称查询。", "{n} {n|business is|businesses are} known; search them by code or name.";
    SUBJECTS_BACK: "全部主体", "All businesses";
    CODE: "统一社会信用代码", "Credit code";
    CODE_VALID: "校验通过", "check passes";
    CODE_INVALID: "校验不通过", "check fails";
    OTHER_NAMES: "其他名称", "Other names";
    REGISTERED: "登记地", "Registered in";
    REGISTERED_NOTE: "代码第 3 至 8 位", "Letters 3 to 8 of the code";
    LIFE: "时间线", "In time";
    LIFE_ALERT: "预警（触发至结束）", "Alerts, from firing to end";
    LIFE_DESC: "从 {from} 到 {to}：{feeds} 个数据源的 {n} 条记录，{alerts} 条预警。", "From {from} to {to}: {n} {n|record|records} of {feeds} {feeds|feed|feeds}, {alerts} {alerts|alert|alerts}.";
    OPEN_OF_IT: "未结束的预警", "Open alerts";
    NO_OPEN: "没有未结束的预警。", "None is open.";
    PAST_OF_IT: "已结束的预警", "Past alerts";
    NO_PAST: "没有已结束的预警。", "None has ended.";
    RECORDS_OF_IT: "各数据源的记录", "Records of all feeds";
    RECORDS_LATEST: "共到达 {n} 行，只列最近到达的 500 行", "{n} rows have arrived, the latest 500 are listed";
    NO_RECORDS: "没有它的记录。", "There are no records of it.";
    ALL_FEEDS: "全部数据源", "All feeds";

    // Problems.
    PROBLEM: "无法显示", "This cannot be shown";
    NOT_FOUND: "找不到", "Not found";
    BAD_ADDRESS: "地址有误", "The address is not right";
    TO_ALERTS: "回到预警列表", "To the list of alerts";

    // Spans of time.
    JUST_NOW: "刚刚", "just now";
    SECONDS: "{n} 秒", "{n} s";
    MINUTES: "{n} 分钟", "{n} min";
    HOURS: "{n} 小时", "{n} h";
    DAYS: "{n} 天", "{n} d";
}

/// A state for people.
pub(super) fn state(state: State) -> Word {
    match state {
        State::Pending => PENDING,
        State::Firing => FIRING,
        State::Resolved => RESOLVED,
        State::Retracted => RETRACTED,
        State::Suppressed => SUPPRESSED,
    }
}

/// A severity for people.
pub(super) fn severity(severity: Severity) -> Word {
    match severity {
        Severity::Low => LOW,
        Severity::Medium => MEDIUM,
        Severity::High => HIGH,
        Severity::Critical => CRITICAL,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn holes(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
        parts.map(|(hole, _)| hole.split('|').next().unwrap_or(hole)).collect()
    }

    #[test]
    fn every_word_is_there_in_both_languages_with_the_same_values() {
        assert!(TABLE.len() > 100);
        for (name, word) in TABLE {
            assert!(!word.zh.trim().is_empty() && !word.en.trim().is_empty(), "{name}");
            assert_eq!(holes(word.zh), holes(word.en), "{name}");
            let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            // The switch names each language in that language.
            assert!(chinese(word.zh) != chinese(word.en), "{name}");
        }
    }

    #[test]
    fn values_are_put_in() {
        let en = |n: &str| FEEDS_STALLED.with(Language::En, &[("n", n), ("names", "{n|a|b}")]);
        assert_eq!(en("1"), "1 feed stalled: {n|a|b}");
        assert_eq!(en("2"), "2 feeds stalled: {n|a|b}");
        assert_eq!(NEW_ALERTS.with(Language::Zh, &[("n", "3")]), "3 条新预警，按 n 显示");
    }
}
