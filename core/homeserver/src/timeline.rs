//! Reading rooms as a user: timeline, state, members.

use crate::{
    inner::Inner,
    room::{DUMMY_EVENT, Held, OpenRoom},
    types::{Direction, Member, Page, RoomEvent, RoomSummary},
};
use roomlet_store::{EventRow, TimelinePos};
use roomlet_wire::{
    Code, Error, EventId, EventNum, Excerpt, Pdu, Result, RoomId, RoomVersion, UserId, Verified,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Events in one page, whatever is asked for.
const MAX_PAGE: usize = 1_000;
/// Times that other servers are asked for history to make one page, whether or not they have any.
const BACKFILLS_PER_PAGE: u32 = 20;
/// Times that they give some; the next page goes on.
const FRUITFUL_BACKFILLS_PER_PAGE: u32 = 3;
/// How long they may take for one page, if none is quick: the state of a large room takes a few minutes where the network
/// is bad.
const PAGE_PATIENCE: Duration = Duration::from_secs(300);

/// An event as users see it.
fn shown(pdu: &Pdu<Verified>, redacted_by: Option<EventId>) -> RoomEvent {
    RoomEvent {
        event_id: pdu.id.clone(),
        room_id: pdu.room_id.clone(),
        sender: pdu.sender.clone(),
        kind: pdu.kind.as_str().to_owned(),
        state_key: pdu.state_key.as_deref().map(str::to_owned),
        origin_server_ts: pdu.origin_server_ts,
        content: pdu.content().text().to_owned(),
        redacts: pdu.redacts.clone(),
        redacted_by,
    }
}

fn shown_held(held: &Held) -> RoomEvent {
    shown(held.pdu(), held.redacted_by.clone())
}

/// A stored event as users see it.
pub(crate) fn room_event(row: &EventRow, version: &'static RoomVersion) -> Result<RoomEvent> {
    Ok(shown(
        &Pdu::from_store(row.json.as_bytes(), version)?,
        row.redacted_by.clone(),
    ))
}

fn token(pos: TimelinePos) -> String {
    format!("{}_{}", pos.depth, pos.num.0)
}

fn parse_token(text: &str) -> Result<TimelinePos> {
    let pos = text.split_once('_').and_then(|(depth, num)| {
        Some(TimelinePos {
            depth: depth.parse().ok()?,
            num: EventNum(num.parse().ok()?),
        })
    });
    pos.ok_or_else(|| {
        Error::new(
            Code::BadParam,
            format!("timeline token {:?} was not made by this library", Excerpt(text)),
        )
    })
}

/// A page as far as this server's history goes.
struct LocalPage {
    page: Page,
    /// Events that history here lacks in or behind the page, and that other servers may have; the newest first.
    gaps: Vec<EventId>,
}

impl Inner {
    pub(crate) async fn timeline(
        &self,
        user: &UserId,
        room: &RoomId,
        from: Option<&str>,
        direction: Direction,
        limit: usize,
    ) -> Result<Page> {
        self.check_account(user)?;
        let from = from.map(parse_token).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        let mut local = self.local_page(user, room, from, direction, limit).await?;
        let (mut fruitful, until) = (0, Instant::now() + PAGE_PATIENCE);
        for _ in 0..BACKFILLS_PER_PAGE {
            if local.gaps.is_empty() || fruitful == FRUITFUL_BACKFILLS_PER_PAGE {
                break;
            }
            let before = local.gaps.clone();
            fruitful += u32::from(self.backfill(room, local.gaps, limit, until).await);
            local = self.local_page(user, room, from, direction, limit).await?;
            if local.gaps == before {
                // Nobody answered.
                break;
            }
        }
        Ok(local.page)
    }

    async fn local_page(
        &self,
        user: &UserId,
        room: &RoomId,
        from: Option<TimelinePos>,
        direction: Direction,
        limit: usize,
    ) -> Result<LocalPage> {
        let user = user.clone();
        let now = Instant::now();
        let dead: BTreeSet<EventId> = {
            let dead = self.dead_branches();
            let now_dead = dead.iter().filter(|(_, until)| **until > now);
            now_dead.map(|(id, _)| id.clone()).collect()
        };
        let mut local = self
            .rooms
            .get(room)?
            .run(move |room| room.page(&user, from, direction, limit))
            .await?;
        local.gaps.retain(|id| !dead.contains(id));
        Ok(local)
    }

    pub(crate) async fn event(&self, user: &UserId, room: &RoomId, event: &EventId) -> Result<RoomEvent> {
        self.check_account(user)?;
        let (user, event) = (user.clone(), event.clone());
        self.rooms
            .get(room)?
            .run(move |room| {
                let held = room.find(&event)?.filter(|held| held.is_shown());
                match held {
                    Some(held) if room.user_may_see(&user, &held)? => Ok(shown_held(&held)),
                    _ => Err(Error::new(
                        Code::UnknownEvent,
                        format!("event {event} is not one that {user} can see"),
                    )),
                }
            })
            .await
    }

    pub(crate) async fn state(&self, user: &UserId, room: &RoomId) -> Result<Vec<RoomEvent>> {
        self.check_account(user)?;
        let user = user.clone();
        self.rooms
            .get(room)?
            .run(move |room| {
                let state = room.state_for(&user)?;
                let mut events: Vec<RoomEvent> = room
                    .state_events(&state)?
                    .iter()
                    .map(|held| shown_held(held))
                    .collect();
                events.sort_unstable_by(|a, b| (&a.kind, &a.state_key).cmp(&(&b.kind, &b.state_key)));
                Ok(events)
            })
            .await
    }

    pub(crate) async fn state_event(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<RoomEvent>> {
        self.check_account(user)?;
        let (user, kind, state_key) = (user.clone(), kind.to_owned(), state_key.to_owned());
        self.rooms
            .get(room)?
            .run(move |room| {
                let state = room.state_for(&user)?;
                Ok(room
                    .in_state(&state, &kind, &state_key)?
                    .map(|held| shown_held(&held)))
            })
            .await
    }

    pub(crate) async fn members(
        &self,
        user: &UserId,
        room: &RoomId,
        membership: Option<&str>,
    ) -> Result<Vec<Member>> {
        self.check_account(user)?;
        let (user, wanted) = (user.clone(), membership.map(str::to_owned));
        self.rooms
            .get(room)?
            .run(move |room| {
                let state = room.state_for(&user)?;
                let mut members = Vec::new();
                for held in room.state_events(&state)? {
                    let pdu = held.pdu();
                    let is = pdu.membership().unwrap_or("leave");
                    if pdu.kind == "m.room.member"
                        && wanted.as_deref().is_none_or(|wanted| wanted == is)
                        && let Some(Ok(user)) = pdu.state_key.as_deref().map(UserId::parse)
                    {
                        let membership = is.to_owned();
                        members.push(Member { user, membership });
                    }
                }
                members.sort_unstable_by(|a, b| a.user.cmp(&b.user));
                Ok(members)
            })
            .await
    }

    pub(crate) async fn rooms_of(&self, user: &UserId) -> Result<Vec<RoomSummary>> {
        self.check_account(user)?;
        let rooms = self.store.user_rooms(user)?;
        Ok(rooms
            .into_iter()
            .map(|row| RoomSummary {
                room_id: row.room,
                membership: row.membership,
            })
            .collect())
    }

    pub(crate) async fn invite_preview(&self, user: &UserId, room: &RoomId) -> Result<String> {
        self.check_account(user)?;
        match self.store.invites(user, room)?.into_iter().next() {
            Some(invite) => Ok(invite.preview_json.into()),
            None => Err(Error::new(
                Code::NotFound,
                format!("user {user} has no pending invite to room {room}"),
            )),
        }
    }
}

impl OpenRoom {
    /// The state that a user may read: the current one while joined, else that when they left.
    fn state_for(&mut self, user: &UserId) -> Result<roomlet_room::state::StateMap> {
        let id = self.id().clone();
        let not_joined = || Error::new(Code::NotJoined, format!("user {user} is not in room {id}"));
        let member = self
            .current_event("m.room.member", user)?
            .ok_or_else(not_joined)?;
        match member.pdu().membership() {
            Some("join") => Ok(self.current().clone()),
            Some("leave" | "ban") => {
                let before = member.state_before.ok_or_else(not_joined)?;
                let state = self.state(before)?;
                if self.membership_in(&state, user)? == "join" {
                    Ok(state)
                } else {
                    Err(not_joined())
                }
            }
            _ => Err(not_joined()),
        }
    }

    fn page(
        &mut self,
        user: &UserId,
        from: Option<TimelinePos>,
        direction: Direction,
        limit: usize,
    ) -> Result<LocalPage> {
        let mut page = Page {
            events: Vec::new(),
            next: None,
        };
        let mut at = from;
        loop {
            let rows = self.timeline_rows(at, direction, limit)?;
            let all = rows.len() < limit;
            for row in rows {
                at = Some(TimelinePos {
                    depth: row.depth,
                    num: row.num,
                });
                let held = self.get(row.num)?;
                if held.pdu().kind != DUMMY_EVENT && self.user_may_see(user, &held)? {
                    page.events.push(shown_held(&held));
                }
                if page.events.len() == limit {
                    break;
                }
            }
            let full = page.events.len() == limit;
            if full || all {
                // A gap right behind the last event of a full page is a matter of the next one.
                let gaps = match direction {
                    Direction::Backward => self.gaps(at.filter(|_| full), from)?,
                    Direction::Forward => Vec::new(),
                };
                // What is new may still come after the last event, and other servers may hold what is older. A page
                // that gets no further ends it for now, or who pages until the end would never get there.
                let later = at != from && (direction == Direction::Forward || !gaps.is_empty());
                page.next = if full || later { at.map(token) } else { None };
                return Ok(LocalPage { page, gaps });
            }
        }
    }
}
