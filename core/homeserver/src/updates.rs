//! The update stream, as the host reads it: positions from the store, contents as they are now.

use crate::{
    inner::{Inner, closed},
    reads::room_event,
    types::{RoomEvent, RoomUpdate, UpdateEntry},
};
use roomlet_store::Update;
use roomlet_wire::{Code, Error, EventId, Result, RoomId, StreamPos};

/// Updates given at once, whatever the host asks for.
const MAX_UPDATES: usize = 1_000;
/// How often the rows are read once more because an event of theirs is not there: a purge may have taken both between
/// the two reads.
const READ_AGAIN: usize = 2;

impl Inner {
    /// Refuses positions that this store has not come to: those of another store, or from before it went back to a backup.
    pub(crate) fn check_position(&self, pos: StreamPos) -> Result<()> {
        let last = self.store.last_update()?;
        if pos <= last {
            return Ok(());
        }
        let about = format!("update {} is beyond the newest of this store, {}", pos.0, last.0);
        Err(Error::new(Code::BadParam, about))
    }

    pub(crate) async fn updates(&self, since: StreamPos, max: usize) -> Result<Vec<UpdateEntry>> {
        let max = max.clamp(1, MAX_UPDATES);
        self.check_open()?;
        // A reader that waited would miss all that comes until then.
        self.check_position(since)?;
        let mut updated = self.updated.subscribe();
        loop {
            self.check_open()?;
            updated.borrow_and_update();
            let entries = self.entries(since, max)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            if updated.changed().await.is_err() {
                return Err(closed(&self.me));
            }
        }
    }

    /// The updates that are there now.
    fn entries(&self, since: StreamPos, max: usize) -> Result<Vec<UpdateEntry>> {
        let mut rows = self.store.updates(since, max)?;
        for _ in 0..READ_AGAIN {
            match self.show_all(&rows) {
                Err(error) if error.code() == Code::StoreDamaged => {
                    let again = self.store.updates(since, max)?;
                    if again == rows {
                        return Err(error);
                    }
                    rows = again;
                }
                shown => return shown,
            }
        }
        self.show_all(&rows)
    }

    fn show_all(&self, rows: &[(StreamPos, Update)]) -> Result<Vec<UpdateEntry>> {
        let entry = |(pos, update): &(StreamPos, Update)| {
            Ok(UpdateEntry {
                pos: *pos,
                update: self.show(update.clone())?,
            })
        };
        rows.iter().map(entry).collect()
    }

    fn show(&self, update: Update) -> Result<RoomUpdate> {
        Ok(match update {
            Update::Event { room, event } => RoomUpdate::Event(self.stored_event(&room, &event)?),
            Update::State {
                room,
                kind,
                state_key,
                event,
            } => {
                let event = event.map(|event| self.stored_event(&room, &event)).transpose()?;
                RoomUpdate::StateChanged {
                    room_id: room,
                    kind,
                    state_key,
                    event,
                }
            }
            Update::Membership {
                room,
                user,
                membership,
                sender,
            } => RoomUpdate::Membership {
                room_id: room,
                user,
                membership,
                sender,
            },
            Update::Redacted { room, event, by } => RoomUpdate::Redacted {
                room_id: room,
                event,
                by,
            },
        })
    }

    /// An event as it is stored now, without the room's task.
    fn stored_event(&self, room: &RoomId, event: &EventId) -> Result<RoomEvent> {
        let gone = || {
            Error::new(
                Code::StoreDamaged,
                format!("event {event} of an update is not in the store"),
            )
        };
        for (num, at) in self.store.find_event(event)? {
            if self.store.room_id(num)?.as_ref() != Some(room) {
                continue;
            }
            let row = self.store.event_by_num(num, at)?.ok_or_else(gone)?;
            let record = self.store.room(room)?.ok_or_else(gone)?;
            return room_event(&row, record.version);
        }
        Err(gone())
    }
}
