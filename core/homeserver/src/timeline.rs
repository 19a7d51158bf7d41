//! A page of a room's timeline, as a user may see it; other servers are asked for what history lacks here.

use crate::{
    inner::Inner,
    reads::shown_held,
    room::{DUMMY_EVENT, OpenRoom},
    types::{Direction, Page},
};
use roomlet_store::TimelinePos;
use roomlet_wire::{Code, Error, EventId, EventNum, Excerpt, Result, RoomId, UserId};
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
}

impl OpenRoom {
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
            // There may be any number of events between that the user does not see.
            self.trim_if_stored();
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
