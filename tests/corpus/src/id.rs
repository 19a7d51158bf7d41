//! Identifiers and what else is a word of the protocol.

use roomlet_wire::{
    EventId, KeyId, RoomAlias, RoomId, ServerName, UserId, base64, id::MAX_ID_BYTES, sign::PublicKey,
};

/// An identifier is the text that it was read from and falls into its parts; keys and base64 come back as they were.
///
/// # Panics
/// If not.
pub fn id(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(name) = ServerName::parse(text) {
        whole(text, &name);
        match text.strip_prefix(name.host()) {
            Some("") => assert_eq!(name.port(), None),
            Some(port) => assert!(port.starts_with(':'), "{text:?}: {port:?}"),
            None => panic!("{text:?} does not begin with its host"),
        }
        assert!(ServerName::parse(name.host()).is_ok(), "the host of {text:?}");
    }
    if let Ok(user) = UserId::parse(text) {
        whole(text, &user);
        assert_eq!(format!("@{}:{}", user.localpart(), user.server()), text);
        assert_eq!(ServerName::parse(user.server()), Ok(user.server_name()));
    }
    if let Ok(alias) = RoomAlias::parse(text) {
        whole(text, &alias);
        assert!(
            ServerName::parse(alias.server()).is_ok(),
            "the server of {text:?}"
        );
    }
    if let Ok(room) = RoomId::parse(text) {
        whole(text, &room);
        assert_eq!(room.domain().is_some(), text.contains(':'));
    }
    if let Ok(event) = EventId::parse(text) {
        whole(text, &event);
        assert_eq!(event.domain().is_some(), text.contains(':'));
    }
    if let Ok(key) = KeyId::parse(text) {
        whole(text, &key);
    }
    if let Ok(key) = PublicKey::parse(text) {
        let again = PublicKey::parse(&key.to_base64()).map(|key| key.to_base64());
        assert_eq!(again, Ok(key.to_base64()));
    }
    if let Some(bytes) = base64::decode(text) {
        assert_eq!(base64::decode(&base64::encode(&bytes)), Some(bytes));
    }
}

fn whole(text: &str, id: &str) {
    assert_eq!(id, text);
    assert!(text.len() <= MAX_ID_BYTES && !text.contains('\0'));
}
