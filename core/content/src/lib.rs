//! Event content: the blocks of extensible events (MSC1767), and what rooms that have them retire.
#![forbid(unsafe_code)]

use roomlet_wire::{Map, Value};

/// Event types that rooms with extensible events retire: never sent, never shown (I1-6).
#[must_use]
pub fn is_retired(kind: &str) -> bool {
    matches!(kind, "m.room.message" | "m.room.encrypted" | "m.sticker")
}

/// A text block: `m.text` with one plain representation (I1-3).
fn text_block(body: &str) -> Value {
    Value::Array(vec![Value::Object(Map::from([(
        "body".to_owned(),
        Value::from(body),
    )]))])
}

/// The content of `m.room.topic`, for readers with and without extensible events (MSC3765).
#[must_use]
pub fn topic(topic: &str) -> Map {
    let block = Map::from([("m.text".to_owned(), text_block(topic))]);
    Map::from([
        ("topic".to_owned(), Value::from(topic)),
        ("m.topic".to_owned(), Value::Object(block)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomlet_wire::json;

    #[test]
    fn topic_reads_in_both_ways() {
        let content = topic("Tea");
        assert_eq!(
            json::map_to_canonical(&content),
            r#"{"m.topic":{"m.text":[{"body":"Tea"}]},"topic":"Tea"}"#
        );
    }

    #[test]
    fn old_message_types_are_retired() {
        assert!(is_retired("m.room.message"));
        assert!(!is_retired("m.message"));
        assert!(!is_retired("m.room.member"));
    }
}
