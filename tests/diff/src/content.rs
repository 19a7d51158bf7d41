//! Contents of events: right ones, and wrong in ways that a rule decides.

use crate::{random::Random, room::key};
use roomlet_wire::{
    KeyId, RoomVersion, ServerName,
    json::{self, Map, Value},
    sign::{self, KeyPair},
    version::PowerFormat,
};

/// Tokens of third-party invites.
pub(crate) const TOKENS: [&str; 3] = ["t1", "t2", ""];

const LEVELS: [i64; 12] = [-1, 0, 0, 1, 25, 49, 50, 50, 51, 99, 100, 101];
/// The levels of an `m.room.power_levels` that have a default.
pub(crate) const SCALARS: [&str; 7] = [
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
];
const JOIN_RULES: [&str; 9] = [
    r#"{"join_rule":"public"}"#,
    r#"{"join_rule":"public"}"#,
    r#"{"join_rule":"invite"}"#,
    r#"{"join_rule":"invite"}"#,
    r#"{"join_rule":"knock"}"#,
    r#"{"join_rule":"restricted"}"#,
    r#"{"join_rule":"restricted"}"#,
    r#"{"join_rule":"restricted"}"#,
    r#"{"join_rule":"knock_restricted"}"#,
];
const ODD_RULES: [&str; 5] = [
    r#"{"join_rule":"private"}"#,
    r#"{"join_rule":"x"}"#,
    r#"{"join_rule":null}"#,
    r#"{"join_rule":5}"#,
    "{}",
];
const KINDS: [&str; 9] = [
    "m.room.power_levels",
    "m.room.member",
    "m.room.join_rules",
    "m.room.message",
    "m.room.topic",
    "m.room.third_party_invite",
    "m.room.redaction",
    "x.state",
    "x.message",
];

fn map(text: &str) -> Map {
    json::parse_object(text.as_bytes()).expect("it is written here")
}

/// `{"membership": …}`
pub(crate) fn membership(membership: &str) -> Map {
    Map::from([("membership".into(), membership.into())])
}

/// Of the room at hand.
pub(crate) fn create(random: &mut Random, version: &RoomVersion) -> Map {
    let mut content = Map::new();
    content.insert("room_version".into(), version.id.into());
    if !version.creator_is_sender {
        let creator = if random.chance(94) { "@a:one" } else { "@b:one" };
        content.insert("creator".into(), creator.into());
    }
    if version.creators_rank_above && random.chance(40) {
        content.insert("additional_creators".into(), vec![Value::from("@c:two")].into());
    }
    match random.below(24) {
        0 => _ = content.insert("m.federate".into(), false.into()),
        1 => _ = content.insert("m.federate".into(), true.into()),
        2 => _ = content.remove("room_version"),
        3 => {
            _ = content.insert(
                "m.federate".into(),
                random.pick(&["false".into(), Value::Null, Value::Int(0)]),
            )
        }
        _ => {}
    }
    content
}

/// Of other rooms, where any may be refused.
pub(crate) fn bad_create(random: &mut Random, version: &RoomVersion) -> Map {
    let mut content = create(random, version);
    match random.below(8) {
        0 => _ = content.remove("creator"),
        1 => _ = content.insert("room_version".into(), "unheard of".into()),
        2 => _ = content.insert("room_version".into(), Value::Int(1)),
        3 => _ = content.insert("additional_creators".into(), "@a:one".into()),
        4 => _ = content.insert("additional_creators".into(), vec![Value::from("a:one")].into()),
        5 => _ = content.insert("additional_creators".into(), vec![Value::Int(1)].into()),
        _ => {}
    }
    content
}

pub(crate) fn join_rules(random: &mut Random) -> Map {
    let odd = random.chance(10);
    let mut content = map(random.pick(if odd { &ODD_RULES } else { &JOIN_RULES }));
    if random.chance(30) {
        let allow = map(r#"{"allow":[{"room_id":"!x:one","type":"m.room_membership"}]}"#);
        content.extend(allow);
    }
    content
}

/// New levels: mostly the old ones with few changes.
pub(crate) fn power_levels(random: &mut Random, version: &RoomVersion, old: Option<&Map>) -> Map {
    let mut content = match old {
        Some(old) if random.chance(90) => old.clone(),
        _ if version.creators_rank_above => map(r#"{"users":{"@b:one":50,"@d:two":100}}"#),
        _ => map(r#"{"users":{"@a:one":100,"@b:one":50,"@c:two":50,"@d:two":100}}"#),
    };
    if old.is_none() && random.chance(40) {
        content.insert("invite".into(), Value::Int(random.pick(&[1, 50, 100])));
    }
    for _ in 0..random.below(4) {
        change_level(random, version, &mut content);
    }
    if old.is_some() && random.chance(6) {
        spoil(random, version, &mut content);
    }
    content
}

fn change_level(random: &mut Random, version: &RoomVersion, content: &mut Map) {
    let mut level = Value::Int(random.pick(&LEVELS));
    if version.power != PowerFormat::Integers && random.chance(25) {
        level = random.pick(&["50", " 49 ", "+100", "-1", "0050", "\t1\n"]).into();
    }
    if random.chance(3) {
        level = Value::Int(random.pick(&[9_007_199_254_740_991, -9_007_199_254_740_991]));
    }
    if version.power != PowerFormat::Integers && random.chance(3) {
        let odd = [
            "9007199254740993",
            "-9223372036854775808",
            "\u{b}50\u{85}",
            "\u{a0}0",
        ];
        level = random.pick(&odd).into();
    }
    if version.power == PowerFormat::Lenient && random.chance(15) {
        let numbers = [
            "50.9",
            "49.999",
            "-0.5",
            "1e2",
            "5.0e1",
            "100.00001",
            "9007199254740993",
            "-9223372036854775808",
        ];
        level = Value::Number(random.pick(&numbers).into());
    }
    let (table, name) = match random.weighted(&[45, 20, 30, 10]) {
        0 => ("users", random.pick(&crate::generate::USERS)),
        1 => ("", random.pick(&SCALARS)),
        2 => ("events", random.pick(&KINDS)),
        _ => ("notifications", random.pick(&["room", "x"])),
    };
    let place = if table.is_empty() {
        content
    } else {
        match content.entry(table.into()).or_insert_with(|| Map::new().into()) {
            Value::Object(entries) => entries,
            _ => return,
        }
    };
    if random.chance(15) {
        place.remove(name);
    } else {
        place.insert(name.into(), level);
    }
}

/// Makes the form of the levels wrong.
fn spoil(random: &mut Random, version: &RoomVersion, content: &mut Map) {
    let integers = version.power == PowerFormat::Integers;
    let odd = |random: &mut Random| {
        random.pick(&[
            Value::Null,
            true.into(),
            "50".into(),
            "x".into(),
            "1.5".into(),
            "\u{1c}50".into(),
            "".into(),
            Vec::new().into(),
            Map::new().into(),
        ])
    };
    match random.below(5) {
        0 => {
            let users = random.pick(&["nobody", "@x", "@:", "x:one", "@x:y:z", ""]);
            if let Value::Object(entries) = content.entry("users".into()).or_insert_with(|| Map::new().into())
            {
                entries.insert(users.into(), Value::Int(0));
            }
        }
        1 => {
            let level = odd(random);
            if let Value::Object(entries) = content.entry("users".into()).or_insert_with(|| Map::new().into())
            {
                entries.insert("@b:one".into(), level);
            }
        }
        2 if integers => _ = content.insert(random.pick(&SCALARS).into(), odd(random)),
        3 if integers => {
            let table = random.pick(&["events", "notifications"]);
            content.insert(table.into(), Map::from([("x".into(), odd(random))]).into());
        }
        4 => {
            _ = content.insert(
                "users".into(),
                random.pick(&[Value::Null, "x".into(), Vec::new().into()]),
            )
        }
        _ if integers => {
            let table = random.pick(&["events", "notifications"]);
            content.insert(
                table.into(),
                random.pick(&[Value::Null, "x".into(), Vec::new().into()]),
            );
        }
        _ => {}
    }
}

/// `membership` missing or none that there is.
pub(crate) fn bad_membership(random: &mut Random) -> Map {
    map(random.pick(&[
        "{}",
        r#"{"membership":"x"}"#,
        r#"{"membership":null}"#,
        r#"{"membership":1}"#,
        r#"{"membership":"Join"}"#,
    ]))
}

/// Puts keys into a member event that its membership has no use for.
pub(crate) fn needless(random: &mut Random, content: &mut Map) {
    let more = map(random.pick(&[
        r#"{"join_authorised_via_users_server":"@b:one"}"#,
        r#"{"third_party_invite":{"signed":{"mxid":"@b:one","token":"t1"}}}"#,
        r#"{"third_party_invite":{"signed":{"mxid":5,"token":[]}}}"#,
        r#"{"third_party_invite":{"signed":"x"}}"#,
    ]));
    content.extend(more);
}

/// A join that someone let in.
pub(crate) fn authorised_join(random: &mut Random, users: &[&str]) -> Map {
    let mut content = membership("join");
    let by = random.pick(users);
    content.insert("join_authorised_via_users_server".into(), by.into());
    content
}

/// The first of the keys is written in different ways in the two alphabets of base64.
fn identity_key(n: u8) -> KeyPair {
    let key = |seed: u8| KeyPair::from_seed(KeyId::parse("ed25519:0").expect("a key id"), &[seed; 32]);
    let differs = |key: &KeyPair| key.public().to_base64().contains(['+', '/']);
    let mut keys = (100 + 20 * n..).map(key);
    keys.find(differs).expect("most keys are such")
}

/// `m.room.third_party_invite`
pub(crate) fn offer(random: &mut Random) -> Map {
    let mut content = map(r#"{"display_name":"x","key_validity_url":"https://id.one/valid"}"#);
    let url_safe = random.chance(30);
    let public_key = |n: u8| {
        let key = identity_key(n).public().to_base64();
        let key = if url_safe {
            key.replace('+', "-").replace('/', "_")
        } else {
            key
        };
        Value::from(key)
    };
    if random.chance(85) {
        content.insert(
            "public_key".into(),
            public_key(if random.chance(85) { 0 } else { 1 }),
        );
    }
    if random.chance(50) {
        let entry = Map::from([(
            "public_key".into(),
            public_key(if random.chance(50) { 0 } else { 2 }),
        )]);
        content.insert("public_keys".into(), vec![entry.into()].into());
    }
    if random.chance(4) {
        content.insert(
            "public_key".into(),
            random.pick(&["".into(), "x".into(), "AAAA".into()]),
        );
    }
    content
}

/// The member event that an offer turns into.
pub(crate) fn third_party_invite(random: &mut Random, target: &str, token: &str) -> Map {
    let mut signed = Map::new();
    let mxid = if random.chance(90) { target } else { "@b:one" };
    signed.insert("mxid".into(), mxid.into());
    signed.insert(
        "token".into(),
        if random.chance(95) { token } else { "t9" }.into(),
    );
    let server = ServerName::parse("id.one").expect("a server name");
    let signer = if random.chance(85) { identity_key(0) } else { key() };
    sign::sign_json(&mut signed, &server, &signer);
    if random.chance(5) {
        let other = ServerName::parse("another.id").expect("a server name");
        sign::sign_json(&mut signed, &other, &identity_key(7));
    }
    match random.below(30) {
        0 => _ = signed.remove("mxid"),
        1 => _ = signed.remove("token"),
        2 => _ = signed.remove("signatures"),
        3 => _ = signed.insert("more".into(), 1.into()),
        _ => {}
    }
    let mut invite = Map::from([
        ("display_name".into(), "x".into()),
        ("signed".into(), Value::from(signed)),
    ]);
    if random.chance(3) {
        invite.remove("signed");
    }
    let mut content = membership("invite");
    let invite = if random.chance(2) {
        Value::from("x")
    } else {
        invite.into()
    };
    content.insert("third_party_invite".into(), invite);
    content
}

pub(crate) fn redaction(random: &mut Random) -> Map {
    map(random.pick(&[
        "{}",
        r#"{"reason":"x"}"#,
        r#"{"redacts":"$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","reason":"x"}"#,
    ]))
}

/// `redacts` where old versions have it.
pub(crate) fn redacts() -> Map {
    map(r#"{"redacts":"$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#)
}

/// Any content that no rule reads.
pub(crate) fn any(random: &mut Random) -> Map {
    map(random.pick(&[
        "{}",
        r#"{"body":"x"}"#,
        r#"{"topic":"\u00e9\ud83d\ude00 \"\\\u0000\u001f\u007f\u2028/"}"#,
        r#"{"aliases":["x:one"],"history_visibility":"shared","n":-9007199254740991}"#,
        r#"{"\ud800\udc00":1,"\uffff":{"b":[],"a":[null,true,{}]},"":""}"#,
    ]))
}

/// Puts in keys that redaction may keep in an event of another type.
pub(crate) fn decorate(random: &mut Random, content: &mut Map) {
    let more = map(random.pick(&[
        r#"{"aliases":["x"],"allow":[],"redacts":"$x"}"#,
        r#"{"history_visibility":"joined","displayname":"\u65e5"}"#,
        r#"{"creator":"@c:two","m.federate":true}"#,
        r#"{"ban_reason":{"membership":"x"},"signed":{}}"#,
        r#"{"third_party_signed":{"x":1},"url":"\u007f"}"#,
    ]));
    for (key, value) in more {
        content.entry(key).or_insert(value);
    }
}

/// Keys beside those that an event needs.
pub(crate) fn more_keys(random: &mut Random) -> Map {
    map(random.pick(&[
        r#"{"origin":"one"}"#,
        r#"{"origin":"two","membership":"ban"}"#,
        r#"{"prev_state":[]}"#,
        r#"{"redacts":"$x:one"}"#,
        r#"{"x.more":{"deep":[1,"\u0001"]}}"#,
        r#"{"replaces_state":"$x","prev_content":{"membership":"join"}}"#,
    ]))
}

/// Keys that Synapse leaves out of the content hash.
pub(crate) fn transport_keys(random: &mut Random) -> Map {
    map(random.pick(&[r#"{"age_ts":1}"#, r#"{"outlier":true}"#, r#"{"destinations":[]}"#]))
}
