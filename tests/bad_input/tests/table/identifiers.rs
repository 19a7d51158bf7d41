//! Edge: identifiers as text, before any command.

use roomlet_homeserver::{EventId, Result, RoomId, ServerName, UserId};
use roomlet_wire::Code;
use std::fmt::Debug;

async fn identifier<T: Debug>(input: Result<T>, code: Code, text: &str) {
    let error = input.unwrap_err();
    assert_eq!((error.code(), error.about()), (code, text));
}

rows! { identifier:
    an_empty_user_id: UserId::parse("") => BadId, "user id \"\": does not begin with `@`";
    a_user_id_of_another_sigil: UserId::parse("!a:b") => BadId, "user id \"!a:b\": does not begin with `@`";
    a_user_id_without_a_server: UserId::parse("@alice") => BadId, "user id \"@alice\": has no `:` before a server name";
    a_user_id_of_an_empty_server: UserId::parse("@alice:") => BadId, "user id \"@alice:\": what follows the first `:` is no server name";
    an_empty_room_id: RoomId::parse("!") => BadId, "room id \"!\": is empty";
    a_room_id_that_is_an_alias: RoomId::parse("#tea:a.test") => BadId, "room id \"#tea:a.test\": does not begin with `!`";
    an_event_id_that_is_too_short: EventId::parse("$abc") => BadId, "event id \"$abc\": is neither `local:server` nor 43 characters of base64";
    a_server_name_with_a_path: ServerName::parse("a.test/x") => BadId, "server name \"a.test/x\": the host has a character outside `A-Za-z0-9.-`";
    a_server_name_with_a_port_of_letters: ServerName::parse("a.test:https") => BadId, "server name \"a.test:https\": the port is not 1 to 5 digits";
    a_server_name_that_is_only_a_port: ServerName::parse(":8448") => BadId, "server name \":8448\": the host is empty";
    an_open_ipv6_literal: ServerName::parse("[::1") => BadId, "server name \"[::1\": the IPv6 literal is not 2 to 45 of `0-9A-Fa-f:.` in brackets";
}
