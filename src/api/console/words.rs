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
        for (name, value) in values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
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
    ENGINE_RECOVERING: "引擎恢复中：正在回放日志", "Engine recovering: it replays its log";
    ENGINE_STOPPED: "引擎已停止：{why}", "Engine stopped: {why}";
    NO_DATA: "尚无数据", "No data yet";
    DATA_UNTIL: "数据至 {at}", "Data until {at}";
    SLOWEST: "最慢：{feed} 落后 {age}", "Slowest: {feed}, {age} behind";
    FEEDS_OK: "数据源正常 {n}", "{n} feeds running";
    FEEDS_STALLED: "{n} 个数据源中断：{names}", "{n} feeds stalled: {names}";
    FEEDS_SILENT: "{n} 个数据源从未有数据", "{n} feeds never had data";
    SINKS_NONE: "未配置通知渠道", "No sink configured";
    SINKS_OK: "通知渠道正常 {n}", "{n} sinks delivering";
    SINKS_FAILING: "{n} 个通知渠道送不出去：{names}", "{n} sinks failing: {names}";
    OPEN_ALERTS: "未结束预警 {n}", "{n} open alerts";
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
    TOTAL: "共 {n} 条", "{n} alerts";
    FIRST_PAGE: "回到第一页", "First page";
    NEXT_PAGE: "下一页", "Next page";
    PAGES: "翻页", "Pages";
    NEW_ALERTS: "{n} 条新预警，按 n 显示", "{n} new, press n to show";
    LIST_OLD: "列表有较多更新，按 n 重新载入", "Much has changed, press n to reload";
    GONE: "已不符合当前筛选", "No longer in this filter";
    EMPTY_NO_DATA: "还没有任何数据", "There is no data yet";
    EMPTY_NO_DATA_WHY: "没有数据不等于没有风险。引擎在运行，{rules} 条规则、{feeds} 个数据源已就绪，但还没有收到一条记录。推送一条试试：", "No data is not the same as no risk. The engine runs with {rules} rules and {feeds} feeds, and has not received a single record. Push some:";
    EMPTY_RECOVERING: "引擎正在回放日志，预警陆续出现", "The engine replays its log, alerts appear as it goes";
    EMPTY_QUIET: "没有预警", "No alerts";
    EMPTY_QUIET_WHY: "{rules} 条规则已检查 {records} 条记录（数据至 {at}），没有触发过预警。", "{rules} rules have judged {records} records (data until {at}); none has fired.";
    EMPTY_ENDED: "当前没有未结束的预警", "No alert is open";
    EMPTY_ENDED_WHY: "另有 {n} 条已经结束。", "{n} others have ended.";
    EMPTY_ENDED_SHOW: "查看全部预警", "Show all alerts";
    EMPTY_FILTERED: "没有符合筛选条件的预警", "No alert passes these filters";
    EMPTY_FILTERED_WHY: "共有 {n} 条预警。减少条件，或", "There are {n} alerts. Remove a filter, or";
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
    SINGLE_RECORD: "本规则逐条判断记录：下列记录本身满足规则的 when 条件。", "This rule judges single records: the record below fulfils its `when` by itself.";
    RECORD_SAYS: "记录内容", "What the record says";
    NO_TERMS: "规则文本已变，无法列出当时的各项条件；当时的值如下。", "The rule has changed since, its conditions then cannot be listed; the values are those of then.";
    CHART: "走势", "Course";
    CHART_TITLE: "{value} 逐窗口走势", "{value}, window by window";
    CHART_DESC: "{n} 个窗口，从 {from} 到 {to}；最大值 {max}，{fires} 个窗口满足条件。", "{n} windows from {from} to {to}; greatest value {max}; the condition holds in {fires} windows.";
    CHART_TABLE: "以表格查看", "As a table";
    CHART_LIMIT: "界限 {limit}", "limit {limit}";
    CHART_FIRES: "满足条件的窗口", "Windows that fire";
    CHART_NONE: "没有可画的数值。", "There are no numbers to draw.";
    WINDOW_END: "窗口结束", "Window end";
    TIMELINE: "证据时间线", "Evidence in time";
    TIMELINE_TITLE: "各数据源的记录", "Records of all feeds";
    TIMELINE_DESC: "{feeds} 个数据源共 {n} 条记录，从 {from} 到 {to}；其中 {evidence} 条是本预警的证据；阴影为窗口 {start} 至 {end}。", "{n} records of {feeds} feeds from {from} to {to}; {evidence} of them stand behind this alert; the window from {start} to {end} is shaded.";
    TIMELINE_EARLIER: "另有更早的 {n} 条未画出", "{n} earlier ones are not drawn";
    TIMELINE_EVIDENCE: "证据", "Evidence";
    TIMELINE_OTHER: "其他记录", "Other records";
    TIMELINE_WITHDRAWN: "已撤回", "Withdrawn";
    TIMELINE_WINDOW: "窗口", "Window";
    LINE_LIST: "证据记录", "Records behind it";
    LINES_SHOWN: "显示 {shown} / 共 {n} 条", "{shown} of {n} shown";
    SHOW_ALL: "全部显示", "Show all";
    MISSING: "{n} 条记录在日志中已找不到", "{n} records are no longer in the log";
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
    BEGAN: "开始", "Began";
    KNOWN: "引擎获知", "Engine knew";
    ENDED: "结束", "Ended";
    EPISODE: "第几次", "Episode";
    RAISED_AGAIN: "再次提示", "Raised again";
    ACTION: "处置建议", "What to do";
    BASIS: "依据", "Basis";
    ID: "编号", "Id";
    VERSION: "版本 {n}", "version {n}";

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
        text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(n, _)| n).collect()
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
        assert_eq!(NEW_ALERTS.with(Language::Zh, &[("n", "3")]), "3 条新预警，按 n 显示");
    }
}
