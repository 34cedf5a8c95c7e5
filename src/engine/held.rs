//! Signals that can still change: those of one rule whose windows end together.
//!
//! A window that closes says most of what it will ever say at once, often of thousands of keys, and few of them are spoken of
//! again before the signals are final. So what it said then is kept as it will be handed on, and what was said later beside it.

use std::{collections::BTreeMap, sync::Arc};

use super::shard::signals_of;
use crate::{
    model::signal::{Key, Severity, Signals, Span},
    pane::intern::Interner,
};

/// The signals of windows of one rule that end at one time.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What the window said when it closed.
    closed: Option<Signals>,
    /// By signal of `closed`: the number of its key; ascending.
    keys: Vec<u32>,
    /// What was said later of a key: the signal that holds, or that none does.
    later: BTreeMap<u32, Option<Word>>,
}

/// One signal.
#[derive(Debug)]
pub(super) struct Word {
    /// How severe.
    pub(super) severity: Severity,
    /// The window: sessions that end together may begin apart.
    pub(super) window: Span,
    /// The values as a JSON object.
    pub(super) values: Box<str>,
}

impl Held {
    /// Takes a signal of a window that closes, unless the key must be said `later`: keys come ascending. Returns whether
    /// it was taken.
    pub(super) fn close(
        &mut self,
        (rule, window): (usize, Span),
        (number, key): (u32, &Arc<Key>),
        severity: Severity,
        write: impl FnOnce(&mut String),
    ) -> bool {
        let ascends = self.keys.last().is_none_or(|last| *last < number);
        let closed = self.closed.get_or_insert_with(|| Signals::new(rule, window, None, false));
        if !ascends
            || closed.window != window
            || closed.is_full()
            || self.later.contains_key(&number)
        {
            return false;
        }
        closed.push(key.clone(), severity, write);
        self.keys.push(number);
        true
    }

    /// Says a key's signal anew; returns whether it had none.
    pub(super) fn say(&mut self, key: u32, word: Word) -> bool {
        let had = self.has(key);
        self.later.insert(key, Some(word));
        !had
    }

    /// Drops a key's signal; returns whether it had one.
    pub(super) fn drop(&mut self, key: u32) -> bool {
        let had = self.has(key);
        if had {
            self.later.insert(key, None);
        }
        had
    }

    /// Keys with a signal, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        let closed = self.keys.iter().copied().filter(|key| !self.later.contains_key(key));
        let later = self.later.iter().filter(|(_, word)| word.is_some());
        closed.chain(later.map(|(key, _)| *key))
    }

    /// Hands the signals on, and lets their keys go, which rest until `after_ms`.
    pub(super) fn finish(
        self,
        (rule, open): (usize, bool),
        interner: &mut Interner,
        after_ms: i64,
        finals: &mut Vec<Signals>,
    ) {
        let keys: Vec<u32> = self.keys().collect();
        match self.closed {
            Some(mut closed) if self.later.is_empty() => {
                closed.open = open;
                finals.push(closed);
            }
            closed => {
                for (i, key) in self.keys.iter().enumerate() {
                    let said = closed.as_ref().filter(|_| !self.later.contains_key(key));
                    let Some(signal) = said.map(|closed| closed.get(i)) else { continue };
                    let into = signals_of(finals, rule, signal.window, open);
                    let write = |text: &mut String| text.push_str(signal.values);
                    into.push(interner.key(*key).clone(), signal.severity, write);
                }
                for (key, word) in &self.later {
                    let Some(word) = word else { continue };
                    let into = signals_of(finals, rule, word.window, open);
                    let write = |text: &mut String| text.push_str(&word.values);
                    into.push(interner.key(*key).clone(), word.severity, write);
                }
            }
        }
        keys.iter().for_each(|key| interner.release(*key, after_ms));
    }

    fn has(&self, key: u32) -> bool {
        let later = self.later.get(&key).map(Option::is_some);
        later.unwrap_or_else(|| self.keys.binary_search(&key).is_ok())
    }
}
