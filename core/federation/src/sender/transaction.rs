//! What a transaction holds.

use roomlet_store::{InFlight, OutboxItem, OutboxRow, Store};
use roomlet_wire::{Map, Result, ServerName, Value, hash, json, limits};

/// A transaction, cut and formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Transaction {
    pub(super) txn_id: String,
    pub(super) content: Map,
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
        let mut newest = 0;
        let mut up_to = None;
        for row in rows {
            match row.item {
                OutboxItem::Pdu { .. } if pdus.len() >= max_pdus.min(limits::TRANSACTION_PDUS) => break,
                OutboxItem::Edu(_) if edus.len() >= limits::TRANSACTION_EDUS => break,
                // A row that names what is not there, or is no JSON, could never be delivered: it is left out.
                OutboxItem::Pdu { room, event } => {
                    let event = store.event_by_num(room, event)?;
                    if let Some(Ok(pdu)) = event.map(|event| json::parse_lenient(event.json.as_bytes())) {
                        newest = newest.max(pdu.get("origin_server_ts").and_then(Value::as_int).unwrap_or(0));
                        pdus.push(pdu);
                    }
                }
                OutboxItem::Edu(edu) => edus.extend(json::parse_lenient(edu.as_bytes()).ok()),
            }
            up_to = Some(row.seq);
        }
        let Some(up_to) = up_to else { return Ok(None) };
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
            content,
            up_to,
        }))
    }

    /// Reads back a transaction that was in flight.
    ///
    /// # Errors
    /// As [`json::parse_object_lenient`], if the store is damaged.
    pub(super) fn resume(in_flight: InFlight) -> Result<Self> {
        let content = json::parse_object_lenient(in_flight.body.as_bytes())?;
        Ok(Self {
            txn_id: in_flight.txn_id,
            content,
            up_to: in_flight.up_to,
        })
    }

    /// As it is stored.
    pub(super) fn in_flight(&self) -> InFlight {
        let body = json::map_to_canonical(&self.content).into_boxed_str();
        InFlight {
            txn_id: self.txn_id.clone(),
            body,
            up_to: self.up_to,
        }
    }

    /// How many PDUs are in it.
    pub(super) fn pdus(&self) -> usize {
        self.content
            .get("pdus")
            .and_then(Value::as_array)
            .map_or(0, <[Value]>::len)
    }

    /// Whether nothing of what was owed can be delivered.
    pub(super) fn is_empty(&self) -> bool {
        let edus = self
            .content
            .get("edus")
            .and_then(Value::as_array)
            .map_or(0, <[Value]>::len);
        self.pdus() == 0 && edus == 0
    }
}
