//! Event content: the blocks of extensible events (MSC1767), and what rooms that have them retire.
#![forbid(unsafe_code)]

use roomlet_wire::{Map, Value};

/// Event types that rooms with extensible events retire: never sent, never shown (I1-6).
#[must_use]
pub fn is_retired(kind: &str) -> bool {
    matches!(kind, "m.room.message" | "m.room.encrypted" | "m.sticker")
}

/// A text block: `m.text` with one plain representation (I1-3).
#[must_use]
pub fn text_block(body: &str) -> Value {
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

/// The plain text of an `m.text` block: the first representation whose type is `text/plain`, entries that are
/// not understood skipped (I1-3). `None` where the block is unusable.
#[must_use]
pub fn plain_text(content: &Map) -> Option<&str> {
    content.get("m.text")?.as_array()?.iter().find_map(|entry| {
        let mimetype = entry.get("mimetype");
        let plain = mimetype.is_none_or(|kind| kind.as_str() == Some("text/plain"));
        if plain { entry.get("body")?.as_str() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomlet_wire::json;

    #[test]
    fn first_plain_representation_wins() {
        let content = json::parse_object(
            br#"{"m.text":[7,{"mimetype":"text/plain"},{"mimetype":"text/html","body":"<b>x</b>"},{"body":"x"},{"body":"y"}]}"#,
        )
        .unwrap();
        assert_eq!(plain_text(&content), Some("x"));
    }

    #[test]
    fn text_that_is_no_list_is_unusable() {
        let content = json::parse_object(br#"{"m.text":"x"}"#).unwrap();
        assert_eq!(plain_text(&content), None);
    }

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
