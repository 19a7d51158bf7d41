//! The members of one canonical object, found in one pass.

use super::{
    Numbers,
    canonical::Cursor,
    raw::{Object, Raw},
};
use alloc::{string::String, vec::Vec};
use arrayvec::ArrayVec;

/// Members that are listed in place; events have fewer.
const FEW: usize = 20;

/// Where a member stands: what is between its key's quotes, and where its value ends. Between the two are `":`.
#[derive(Clone, Copy)]
struct Span {
    key: usize,
    key_end: usize,
    end: usize,
}

#[expect(
    clippy::large_enum_variant,
    reason = "in place for almost all objects, without an allocation"
)]
enum Spans {
    Few(ArrayVec<Span, FEW>),
    Many(Vec<Span>),
}

/// See the module.
pub(crate) struct Members<'a> {
    text: &'a str,
    spans: Spans,
}

impl<'a> Members<'a> {
    /// Those of `text`, if that is one canonical object, nested at most `depth` levels.
    pub(crate) fn scan(text: &'a str, numbers: Numbers, depth: usize) -> Option<Self> {
        let mut members = Self::none(text);
        let mut cursor = Cursor::new(text, numbers);
        cursor.members(depth, |cursor, key, depth| {
            let key_end = cursor.at - 2;
            cursor.value(depth)?;
            members.push(Span {
                key: key_end - key.len(),
                key_end,
                end: cursor.at,
            });
            Some(())
        })?;
        (cursor.at == text.len()).then_some(members)
    }

    /// Those of an object.
    pub(crate) fn of(object: Object<'a>) -> Self {
        let mut members = Self::none(object.text());
        let mut at = 2;
        for (key, value) in object.raw_iter() {
            let key_end = at + key.len();
            let end = key_end + 2 + value.text().len();
            members.push(Span {
                key: at,
                key_end,
                end,
            });
            at = end + 2;
        }
        members
    }

    fn none(text: &'a str) -> Self {
        Self {
            text,
            spans: Spans::Few(ArrayVec::new()),
        }
    }

    fn push(&mut self, span: Span) {
        match &mut self.spans {
            Spans::Many(spans) => spans.push(span),
            Spans::Few(spans) => {
                if spans.try_push(span).is_err() {
                    let mut many = spans.to_vec();
                    many.push(span);
                    self.spans = Spans::Many(many);
                }
            }
        }
    }

    fn spans(&self) -> &[Span] {
        match &self.spans {
            Spans::Few(spans) => spans,
            Spans::Many(spans) => spans,
        }
    }

    fn key(&self, span: &Span) -> &'a str {
        &self.text[span.key..span.key_end]
    }

    /// Key, as it stands between its quotes, value, and both as they stand in the text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, Raw<'a>, &'a str)> {
        self.spans().iter().map(|span| {
            let value = Raw::trusted(&self.text[span.key_end + 2..span.end]);
            (self.key(span), value, &self.text[span.key - 1..span.end])
        })
    }

    /// The object's text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Raw<'a>> {
        self.iter()
            .find(|(name, _, _)| *name == key)
            .map(|(_, value, _)| value)
    }

    /// Where those values stand in the text that are objects, by key.
    pub(crate) fn spans_of_objects(&self) -> impl Iterator<Item = (&'a str, (u32, u32))> {
        self.spans().iter().filter_map(|span| {
            let start = span.key_end + 2;
            let is_object = self.text.as_bytes()[start] == b'{';
            // Texts have less than 4 GiB.
            is_object.then_some((self.key(span), (start as u32, span.end as u32)))
        })
    }

    /// Gives the object without the members that `keep` refuses, in as few pieces as possible.
    pub(crate) fn put_kept(&self, keep: impl Fn(&str) -> bool, mut put: impl FnMut(&str)) {
        put("{");
        let mut run: Option<(usize, usize)> = None;
        let mut is_first = true;
        let mut put_run = |run: Option<(usize, usize)>| {
            if let Some((start, end)) = run {
                if !core::mem::take(&mut is_first) {
                    put(",");
                }
                put(&self.text[start..end]);
            }
        };
        for span in self.spans() {
            run = match (keep(self.key(span)), run) {
                (true, Some((start, _))) => Some((start, span.end)),
                (true, None) => Some((span.key - 1, span.end)),
                (false, run) => {
                    put_run(run);
                    None
                }
            };
        }
        put_run(run);
        put("}");
    }

    /// The object without the members that `keep` refuses.
    pub(crate) fn kept(&self, keep: impl Fn(&str) -> bool) -> String {
        let mut out = String::with_capacity(self.text.len());
        self.put_kept(keep, |piece| out.push_str(piece));
        out
    }
}
