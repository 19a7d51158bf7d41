//! What a transaction holds.

use roomlet_store::{InFlight, OutboxItem, OutboxRow, Store};
use roomlet_wire::{
    Map, Result, ServerName, Value, hash,
    json::{Array, Numbers, Raw, RawValue},
    limits,
};

/// A transaction, cut and formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Transaction {
    pub(super) txn_id: String,
    pub(super) content: RawValue,
    /// How many PDUs and EDUs are in it.
    counts: (usize, usize),
    /// The outbox rows up to this `seq` are in it.
    pub(super) up_to: u64,
}

impl Transaction {
    /// Forms the next transaction from the front of the outbox, with at most `max_pdus` PDUs; `None` if nothing is
    /// owed. The same rows give the same transaction.
    pub(super) fn cut(
        store: &dyn Store,
        me: &ServerName,
        rows: Vec<OutboxRow>,
        max_pdus: usize,
    ) -> Result<Option<Self>> {
        let mut pdus = Vec::new();
        let mut edus = Vec::new();
        let mut up_to = None;
        for row in rows {
            match row.item {
                OutboxItem::Pdu { .. } | OutboxItem::Forgotten { .. }
                    if pdus.len() >= max_pdus.min(limits::TRANSACTION_PDUS) =>
                {
                    break;
                }
                OutboxItem::Edu(_) if edus.len() >= limits::TRANSACTION_EDUS => break,
                // A row that names what is not there, or is no JSON, could never be delivered: it is left out.
                OutboxItem::Pdu { room, event } => {
                    let event = store.event_by_num(room, event)?;
                    pdus.extend(event.and_then(|event| read(&event.json)));
                }
                OutboxItem::Forgotten { json, .. } => pdus.extend(read(&json)),
                OutboxItem::Edu(edu) => edus.extend(read(&edu).map(Value::Canonical)),
            }
            up_to = Some(row.seq);
        }
        let Some(up_to) = up_to else { return Ok(None) };
        let counts = (pdus.len(), edus.len());
        let sent = |pdu: &RawValue| pdu.as_raw().get("origin_server_ts").and_then(Raw::as_int);
        let newest = pdus.iter().filter_map(sent).max().unwrap_or(0).max(0);
        let pdus: Vec<Value> = pdus.into_iter().map(Value::Canonical).collect();
        let content = Map::from([
            ("origin".to_owned(), me.as_str().into()),
            // Nobody relies on it, and the time now would make the body of a repeated transaction another one.
            ("origin_server_ts".to_owned(), newest.into()),
            ("pdus".to_owned(), pdus.into()),
            ("edus".to_owned(), edus.into()),
        ]);
        let hash: String = hash::content_hash(&content)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(20)
            .collect();
        Ok(Some(Self {
            txn_id: format!("{up_to}-{hash}"),
            content: RawValue::from(&content),
            counts,
            up_to,
        }))
    }

    /// Reads back a transaction that was in flight.
    ///
    /// # Errors
    /// As [`RawValue::parse`], if the store is damaged.
    pub(super) fn resume(in_flight: InFlight) -> Result<Self> {
        let content = RawValue::parse(in_flight.body.as_bytes(), Numbers::Kept)?;
        let count = |key| {
            content
                .as_raw()
                .get(key)
                .and_then(Raw::as_array)
                .map_or(0, Array::len)
        };
        Ok(Self {
            txn_id: in_flight.txn_id,
            counts: (count("pdus"), count("edus")),
            content,
            up_to: in_flight.up_to,
        })
    }

    /// As it is stored.
    pub(super) fn in_flight(&self) -> InFlight {
        let body = self.content.text().into();
        InFlight {
            txn_id: self.txn_id.clone(),
            body,
            up_to: self.up_to,
        }
    }

    /// How many PDUs are in it.
    pub(super) fn pdus(&self) -> usize {
        self.counts.0
    }

    /// Whether nothing of what was owed can be delivered.
    pub(super) fn is_empty(&self) -> bool {
        self.counts == (0, 0)
    }
}

/// What the store keeps as JSON, if it is JSON.
fn read(json: &str) -> Option<RawValue> {
    RawValue::parse(json.as_bytes(), Numbers::Kept).ok()
}
