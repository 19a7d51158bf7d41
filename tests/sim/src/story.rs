//! One run: a room, users who talk, change and quarrel over a bad network, and the check that all agree in the end.

use crate::{
    network::Faults,
    random::Random,
    world::{RoomView, World},
};
use roomlet_homeserver::{CreateRoom, Error, Preset, Result, RoomId, RoomVersion, UserId};
use std::{collections::BTreeSet, time::Duration};

/// What a run did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// A hash of all requests in their order: equal runs have equal ones.
    pub trace: u64,
    /// Requests that crossed the network.
    pub requests: u64,
    /// Commands that succeeded and that were refused.
    pub commands: (u32, u32),
    /// Events in the room at the end.
    pub events: usize,
}

/// How long, in virtual time, servers may take to agree once the network is good again.
const QUIET: Duration = Duration::from_secs(3_600);

/// Runs the story of `seed` with `servers` servers.
///
/// # Errors
/// What went wrong, in words: servers that disagree, an acknowledged message that is missing, users told of another
/// state than the server's.
pub fn run(seed: u64, servers: usize) -> std::result::Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime
        .block_on(play(seed, servers))
        .map_err(|failure| format!("seed {seed}, {servers} servers: {failure}"))
}

async fn play(seed: u64, servers: usize) -> std::result::Result<Report, String> {
    let random = Random::new(seed);
    let mut world = World::new(seed, servers, 2)
        .await
        .map_err(|error| error.to_string())?;
    let version = version_of(seed);
    let room = open_room(&world, version)
        .await
        .map_err(|error| format!("opening the room: {error:?}"))?;
    let mut run = Run {
        room,
        version,
        random,
        done: 0,
        refused: 0,
        acknowledged: BTreeSet::new(),
    };
    run.quarrel(&mut world)
        .await
        .map_err(|error| format!("restart: {error:?}"))?;
    world.network.heal();
    world.network.set_faults(Faults::NONE);
    settle(&world, &run.room).await;
    let events = run.check(&world).await?;
    let (trace, requests) = world.network.trace();
    for server in &world.servers {
        server.hs.close().await;
        // The network and the servers on it hold each other.
        world.network.unplug(&server.name);
    }
    Ok(Report {
        trace,
        requests,
        commands: (run.done, run.refused),
        events,
    })
}

/// The room version of a seed. Two seeds in a row share one, as odd seeds have a server more: any 28 in a row play each
/// version with either number.
fn version_of(seed: u64) -> &'static RoomVersion {
    let versions: Vec<_> = RoomVersion::supported().filter_map(RoomVersion::get).collect();
    let turn = usize::try_from(seed / 2 % versions.len() as u64).unwrap_or(0);
    versions[turn]
}

/// A public room of the first user with everybody in it; the network is good so far.
async fn open_room(world: &World, version: &RoomVersion) -> Result<RoomId> {
    let users = world.users();
    let create = CreateRoom {
        preset: Preset::Public,
        version: Some(version.id.into()),
        ..CreateRoom::default()
    };
    let room = world.of(&users[0]).create_room(&users[0], create).await?;
    let via = [world.servers[0].hs.server_name().clone()];
    for user in &users[1..] {
        world.of(user).join(user, &room, &via).await?;
    }
    let moderator = format!(r#""{}":50"#, users[users.len() - 1]);
    let ranked = match version.creators_rank_above {
        true => moderator,
        false => format!(r#""{}":100,{moderator}"#, users[0]),
    };
    let levels = format!(r#"{{"users":{{{ranked}}},"events":{{"m.room.topic":0}},"invite":0}}"#);
    world
        .of(&users[0])
        .set_state(&users[0], &room, "m.room.power_levels", "", &levels, None)
        .await?;
    Ok(room)
}

/// Everybody says a last word until all are heard, then waits until nothing moves.
async fn settle(world: &World, room: &RoomId) {
    for round in 0..3 {
        for server in &world.servers {
            server.hs.wake();
            for user in &server.users {
                // Whoever was kicked has no last word.
                let _ = server
                    .hs
                    .send(user, room, "test.last", &format!(r#"{{"round":{round}}}"#), None)
                    .await;
            }
        }
        tokio::time::sleep(QUIET / 3).await;
    }
}

struct Run {
    room: RoomId,
    version: &'static RoomVersion,
    random: Random,
    done: u32,
    refused: u32,
    acknowledged: BTreeSet<String>,
}

impl Run {
    async fn quarrel(&mut self, world: &mut World) -> Result<()> {
        let faults = Faults {
            lost: self.random.below(30),
            answer_lost: self.random.below(20),
            doubled: self.random.below(20),
            max_delay: self.random.below(2_000) + 1,
        };
        world.network.set_faults(faults);
        let steps = 20 + self.random.below(30);
        for step in 0..steps {
            self.step(world, step).await?;
            tokio::time::sleep(Duration::from_millis(self.random.below(3_000))).await;
        }
        Ok(())
    }

    async fn step(&mut self, world: &mut World, step: u64) -> Result<()> {
        let count = world.servers.len() as u64;
        match self.random.below(100) {
            0..4 => {
                let a = usize::try_from(self.random.below(count)).unwrap_or(0);
                let b = usize::try_from(self.random.below(count)).unwrap_or(0);
                let (a, b) = (world.servers[a].name.clone(), world.servers[b].name.clone());
                world.network.cut(&a, &b);
            }
            4..8 => world.network.heal(),
            8..11 => {
                let index = usize::try_from(self.random.below(count)).unwrap_or(0);
                world.restart(index).await?;
            }
            _ => self.command(world, step).await,
        }
        Ok(())
    }

    async fn command(&mut self, world: &World, step: u64) {
        let users = world.users();
        let pick = |random: &mut Random| random.pick(&users).cloned();
        let (Some(user), Some(other)) = (pick(&mut self.random), pick(&mut self.random)) else {
            return;
        };
        let (hs, room) = (world.of(&user), &self.room);
        let body = format!(r#"{{"m.text":[{{"body":"step {step}"}}],"body":"step {step}"}}"#);
        let result = match self.random.below(20) {
            0..12 => {
                let kind = match self.version.extensible_events {
                    true => "m.message",
                    false => "m.room.message",
                };
                hs.send(&user, room, kind, &body, Some(&format!("t{step}")))
                    .await
                    .map(Some)
            }
            12..14 => hs
                .set_state(
                    &user,
                    room,
                    "m.room.topic",
                    "",
                    &format!(r#"{{"topic":"{step}"}}"#),
                    None,
                )
                .await
                .map(Some),
            14 => hs.kick(&user, room, &other, None).await.map(Some),
            15 => hs.ban(&user, room, &other, Some("quarrel")).await.map(Some),
            16 => hs.unban(&user, room, &other, None).await.map(Some),
            17 => hs.leave(&user, room, None).await,
            18 => self.redact_something(world, &user).await,
            _ => {
                let via: Vec<_> = world
                    .servers
                    .iter()
                    .map(|server| server.hs.server_name().clone())
                    .collect();
                hs.join(&user, room, &via).await.map(Some)
            }
        };
        match result {
            Ok(event) => {
                self.done += 1;
                self.acknowledged.extend(event.map(|event| event.to_string()));
            }
            Err(_) => self.refused += 1,
        }
    }

    async fn redact_something(
        &mut self,
        world: &World,
        user: &UserId,
    ) -> Result<Option<roomlet_homeserver::EventId>> {
        let ids: Vec<String> = self.acknowledged.iter().cloned().collect();
        let Some(id) = self.random.pick(&ids) else {
            return Err(Error::new(
                roomlet_homeserver::Code::NotFound,
                "nothing to redact yet",
            ));
        };
        let event = roomlet_homeserver::EventId::parse(id)?;
        world
            .of(user)
            .redact(user, &self.room, &event, None, None)
            .await
            .map(Some)
    }

    /// Servers that are both in the room, as each of them sees it, show the same; users who read only the updates know
    /// the same state.
    ///
    /// A server whose last user was banned while that user joined anew may go on by itself: nobody sends it what the
    /// others do, and they allow nothing of what it sends (FED-24 names who is sent an event).
    async fn check(&self, world: &World) -> std::result::Result<usize, String> {
        let mut views: Vec<(&str, RoomView)> = Vec::new();
        for server in &world.servers {
            let view = server
                .view(&self.room)
                .await
                .map_err(|error| format!("{}: {error:?}", server.name))?;
            let Some(view) = view else { continue };
            let told = server
                .told_state(&self.room)
                .await
                .map_err(|error| format!("{}: {error:?}", server.name))?;
            for (slot, event) in &told {
                if view.state.get(slot) != Some(event) {
                    let is = view.state.get(slot);
                    return Err(format!(
                        "{}: updates said {slot:?} is {event}, the state has {is:?}",
                        server.name
                    ));
                }
            }
            for (name, other) in &views {
                if other.servers.contains(&server.name) && view.servers.contains(*name) {
                    compare(name, other, &server.name, &view)?;
                }
            }
            views.push((&server.name, view));
        }
        Ok(views.first().map_or(0, |(_, view)| view.events.len()))
    }
}

fn compare(a: &str, left: &RoomView, b: &str, right: &RoomView) -> std::result::Result<(), String> {
    if left.state != right.state {
        let only: Vec<_> = left
            .state
            .iter()
            .filter(|(slot, event)| right.state.get(slot) != Some(event))
            .collect();
        let other: Vec<_> = right
            .state
            .iter()
            .filter(|(slot, event)| left.state.get(slot) != Some(event))
            .collect();
        return Err(format!("state differs: {a} has {only:?}, {b} has {other:?}"));
    }
    let missing: Vec<_> = left.events.symmetric_difference(&right.events).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let on = |event: &String| {
        if left.events.contains(event) {
            a.to_owned()
        } else {
            b.to_owned()
        }
    };
    let list: Vec<String> = missing
        .iter()
        .map(|event| format!("{event} only on {}", on(event)))
        .collect();
    Err(format!(
        "{} of {} events differ: {}",
        list.len(),
        left.events.len(),
        list.join(", ")
    ))
}
