//! What every row begins with, and what is checked after it.

use roomlet_homeserver::{CreateRoom, Preset, Request, UserId};
use roomlet_wire::{Code, Map, Value, json};
use roomlet_world::{Peer, PeerRoom, Server, World};
use std::sync::Arc;

/// A server `a.test` with Alice, who made a public room of version 10, and Nancy, who is in no room. A peer whose user
/// Mallory is in the room, without power; its user Banned is banned there.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) a: Server,
    pub(crate) alice: UserId,
    pub(crate) nancy: UserId,
    pub(crate) peer: Arc<Peer>,
    pub(crate) mallory: UserId,
    pub(crate) banned: UserId,
    pub(crate) room: PeerRoom,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::of_version("10").await
    }

    pub(crate) async fn of_version(version: &str) -> Self {
        let world = World::new();
        let a = world.server("a.test").await;
        let (alice, nancy) = (a.account("alice").await, a.account("nancy").await);
        let peer = world.peer("peer.test");
        let (mallory, banned) = (peer.user("mallory"), peer.user("banned"));
        let create = CreateRoom {
            preset: Preset::Public,
            version: Some(version.into()),
            ..CreateRoom::default()
        };
        let room = a.hs.create_room(&alice, create).await.unwrap();
        let levels = format!(
            r#"{{"users":{{"{alice}":100}},"events":{{"m.room.power_levels":0,"test.own":0}},"invite":50}}"#
        );
        a.hs.set_state(&alice, &room, "m.room.power_levels", "", &levels, None)
            .await
            .unwrap();
        a.hs.ban(&alice, &room, &banned, None).await.unwrap();
        let room = peer.join(&a.hs, &room, &mallory).await;
        Self {
            world,
            a,
            alice,
            nancy,
            peer,
            mallory,
            banned,
            room,
        }
    }

    /// A message of Mallory that is in order.
    pub(crate) fn message(&self) -> Map {
        self.peer.event(
            &self.room,
            &self.mallory,
            "test.message",
            None,
            r#"{"body":"hello"}"#,
        )
    }

    /// A state event of Mallory.
    pub(crate) fn state(&self, kind: &str, key: &str, content: &str) -> Map {
        self.peer
            .event(&self.room, &self.mallory, kind, Some(key), content)
    }

    /// A member event of Mallory about a user.
    pub(crate) fn member(&self, user: &str, membership: &str) -> Map {
        self.state(
            "m.room.member",
            user,
            &format!(r#"{{"membership":"{membership}"}}"#),
        )
    }

    /// That message with a field changed and signed as it is then.
    pub(crate) fn message_with(&self, field: &str, value: &str) -> Map {
        let mut event = self.room.draft(
            &self.mallory,
            "test.message",
            None,
            Map::new(),
            self.peer.now_ms(),
        );
        event.insert(field.into(), value_of(value));
        self.peer.signed(event, self.room.version)
    }

    /// A request of the peer that is signed correctly.
    pub(crate) fn request(&self, method: &str, target: &str, body: Option<&str>) -> Request {
        let content = body.map(value_of);
        self.peer.request(&self.a.name, method, target, content.as_ref())
    }

    /// A transaction of the peer.
    pub(crate) fn transaction(&self, body: &str) -> Request {
        self.request("PUT", "/_matrix/federation/v1/send/bad", Some(body))
    }

    /// Makes the request and checks the answer, and that nothing changed.
    pub(crate) async fn refuses(&self, request: Request, code: Code, errcode: &str, text: &str) {
        let before = self.a.contents();
        let response = self.a.hs.handle_request(request).await;
        let body = json::parse(&response.body).unwrap();
        let part = |key: &str| {
            body.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        assert!(part("error").contains(text), "{body:?}");
        assert_eq!(
            (response.status, part("errcode").as_str()),
            (code.status(), errcode),
            "{body:?}"
        );
        self.is_unchanged(&before).await;
    }

    /// The store holds what it held `before`, also when everything has calmed down.
    pub(crate) async fn is_unchanged(&self, before: &str) {
        assert!(self.a.contents() == before, "the store changed");
        self.world.quiet().await;
        assert!(self.a.contents() == before, "the store changed later");
    }
}

/// A JSON value written in a row.
pub(crate) fn value_of(text: &str) -> Value {
    json::parse_lenient(text.as_bytes()).expect("a row writes JSON")
}

/// `depth` arrays in one another.
pub(crate) fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// The edge of any request: what it is answered with, and that nothing changed.
pub(crate) async fn frame(input: impl FnOnce(&Scene) -> Request, code: Code, text: &str) {
    let scene = Scene::new().await;
    scene.refuses(input(&scene), code, code.errcode(), text).await;
}

/// As [`frame`], for parameters that are not there, which have an errcode of their own.
pub(crate) async fn missing(input: impl FnOnce(&Scene) -> Request, code: Code, text: &str) {
    let scene = Scene::new().await;
    scene.refuses(input(&scene), code, "M_MISSING_PARAM", text).await;
}
