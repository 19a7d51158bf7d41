//! ruma's answers, in this process.

use crate::{
    oracle::{Answer, Answers, Form},
    room::{Made, Room, key},
};
use roomlet_room::StateMap;
use roomlet_ruma::{Event, Keys, State};
use roomlet_wire::json;

/// The servers of all users and ids.
const SERVERS: [&str; 4] = ["one", "two", "three:8448", "four"];

/// What ruma says of a room. As with Synapse, what is rejected and what states hold is as roomlet has it, so that one
/// difference does not make others.
pub(crate) fn answers(room: &Room) -> Answers {
    let rules = roomlet_ruma::rules(room.version);
    let keys = Keys::new(SERVERS, "ed25519:1", &key().public().to_base64());
    let mut theirs = roomlet_ruma::Room::new(rules);
    let events = room
        .events
        .iter()
        .map(|made| answer(room, made, &keys, &mut theirs).unwrap_or_else(unread))
        .collect();
    let merges = room.merges.iter().map(|merge| {
        let sets: Vec<State> = merge.sets.iter().map(|set| state(room, set)).collect();
        // A state's own events count into its chains, as in Synapse (SR-5).
        let chains = sets.iter().map(|set| theirs.chain(set, true)).collect();
        let resolved = theirs.resolve(&sets, chains)?;
        let mut ids: Vec<String> = match resolved {
            Ok(state) => state.values().map(ToString::to_string).collect(),
            Err(error) => vec![error],
        };
        ids.sort();
        Some(ids)
    });
    let merges = merges.collect();
    Answers { events, merges }
}

fn unread(why: String) -> Answer {
    let refusal = format!("deny: {why}");
    Answer {
        form: None,
        own: refusal.clone(),
        before: refusal,
    }
}

/// # Errors
/// Why ruma does not read the event.
fn answer(room: &Room, made: &Made, keys: &Keys, theirs: &mut roomlet_ruma::Room) -> Result<Answer, String> {
    let raw = json::map_to_canonical(&made.raw);
    let form = roomlet_ruma::check(raw.as_bytes(), keys, &theirs.rules);
    let redacted = roomlet_ruma::redacted_text(&raw, &theirs.rules)?;
    let id = made.node.pdu.id.as_str();
    let (event, form) = match form {
        Ok((event, hash_fits)) => {
            // What is judged is the redacted form where the hash does not fit.
            let event = if hash_fits {
                event
            } else {
                roomlet_ruma::read(&redacted, id)?
            };
            let form = Form {
                id: ruma_id(&event),
                hash_fits,
                redacted,
                signed: "allow".into(),
            };
            (event, form)
        }
        Err(why) => {
            // It goes on with what roomlet has, so that only this difference shows.
            let event = roomlet_ruma::read(&raw, id)?;
            let form = Form {
                id: ruma_id(&event),
                hash_fits: !made.node.pdu.hash_mismatch,
                redacted,
                signed: format!("deny: {why}"),
            };
            (event, form)
        }
    };
    let said = |verdict: Result<(), String>| match verdict {
        Ok(()) => "allow".to_owned(),
        Err(why) => format!("deny: {why}"),
    };
    let own = said(theirs.check_own(&event));
    let before = said(theirs.check_in(&event, &state(room, &made.state_before)));
    theirs.hold(event.with_rejected(made.node.rejected));
    Ok(Answer {
        form: Some(form),
        own,
        before,
    })
}

fn ruma_id(event: &Event) -> String {
    event.id().to_string()
}

fn state(room: &Room, state: &StateMap) -> State {
    roomlet_ruma::state(room.named(state).map(|(kind, key, id)| (kind, key, id.as_str())))
}
