//! Plans from seeds, aimed at rare rules: few users, few timestamps, many forks.

use crate::{
    content,
    plan::{Follows, Plan, Step, StepId, Twist},
    random::Random,
    room::Room,
};
use roomlet_room::node::JoinRule;
use roomlet_wire::{Result, RoomVersion, json::Map, version::EventFormat};

/// Who is there. The first creates the room.
pub(crate) const USERS: [&str; 7] = [
    "@a:one",
    "@b:one",
    "@c:two",
    "@d:two",
    "@e:three:8448",
    "@f:four",
    "@:four",
];

/// The most events of a room besides its first ones.
const STEPS: usize = 34;

/// The plan of a seed.
///
/// # Errors
/// Those of making the room, which is made along with the plan: what is likely depends on what there is.
pub(crate) fn plan(seed: u64, version: &'static RoomVersion) -> Result<Plan> {
    let mut random = Random::new(seed);
    let outliers = random.chance(40);
    let mut plan = Plan {
        version,
        outliers,
        steps: Vec::new(),
        merges: Vec::new(),
    };
    let mut room = Room::new(version, outliers);
    let mut generator = Generator { random, version };
    for step in generator.first_steps() {
        room.add(&step)?;
        plan.steps.push(step);
    }
    let end = plan.steps.len() + 6 + generator.random.below(STEPS - 6);
    while plan.steps.len() < end {
        let step = generator.step(plan.steps.len(), &room);
        room.add(&step)?;
        plan.steps.push(step);
    }
    for _ in 0..2 {
        let count = 2 + generator.random.below(3);
        let steps = (0..count).map(|_| generator.random.below(end)).collect();
        plan.merges.push(steps);
    }
    Ok(plan)
}

struct Generator {
    random: Random,
    version: &'static RoomVersion,
}

impl Generator {
    /// Create, the creator's join, mostly power levels and join rules, and a few joins.
    fn first_steps(&mut self) -> Vec<Step> {
        let creator = USERS[0];
        let create = content::create(&mut self.random, self.version);
        let mut steps = vec![
            Self::state(0, creator, "m.room.create", "", create),
            Self::state(1, creator, "m.room.member", creator, content::membership("join")),
        ];
        if self.random.chance(85) {
            let levels = content::power_levels(&mut self.random, self.version, None);
            steps.push(Self::state(2, creator, "m.room.power_levels", "", levels));
        }
        if self.random.chance(90) {
            let rules = content::join_rules(&mut self.random);
            steps.push(Self::state(steps.len(), creator, "m.room.join_rules", "", rules));
        }
        if self.random.chance(50) {
            let offer = content::offer(&mut self.random);
            let token = self.random.pick(&content::TOKENS);
            steps.push(Self::state(
                steps.len(),
                creator,
                "m.room.third_party_invite",
                token,
                offer,
            ));
        }
        for user in &USERS[1..] {
            if self.random.chance(60) {
                let join = content::membership("join");
                let invite = content::membership("invite");
                steps.push(Self::state(steps.len(), creator, "m.room.member", user, invite));
                if self.random.chance(70) {
                    steps.push(Self::state(steps.len(), user, "m.room.member", user, join));
                }
            }
        }
        for (i, step) in steps.iter_mut().enumerate() {
            step.prevs = i.checked_sub(1).into_iter().collect();
            step.time = 100 + i as i64;
        }
        steps
    }

    fn state(id: StepId, sender: &str, kind: &str, key: &str, content: Map) -> Step {
        Step {
            id,
            prevs: Vec::new(),
            sender: sender.into(),
            kind: kind.into(),
            key: Some(key.into()),
            content,
            time: 0,
            more: Map::new(),
            foreign: None,
            id_server: None,
            auth_after: None,
            follows: Follows::AsPlanned,
            twists: Vec::new(),
            tampered: false,
        }
    }

    fn step(&mut self, id: StepId, room: &Room) -> Step {
        let prevs = self.prevs(id, room);
        let tip = prevs[0];
        let sender = self.sender(room, tip);
        let mut step = self.event(id, room, tip, sender);
        step.id = id;
        step.prevs = prevs;
        // Few timestamps, so that ties are many.
        step.time = 200 + self.random.below(12) as i64;
        if step.more.is_empty() && self.random.chance(12) {
            step.more = content::more_keys(&mut self.random);
        }
        if self.random.chance(20) {
            content::decorate(&mut self.random, &mut step.content);
        }
        if step.foreign.is_some() && step.kind == "m.room.create" && self.random.chance(80) {
            step.prevs.clear();
        }
        if self.random.chance(3) {
            self.swap_state(&mut step);
        }
        if self.random.chance(2) && step.kind != "m.room.create" {
            step.follows = self.random.pick(&[Follows::Nothing, Follows::Twice]);
        }
        step.tampered = step.kind != "m.room.create" && self.random.chance(2);
        if self.version.event_format == EventFormat::ServerIds && self.random.chance(8) {
            step.id_server = Some(self.random.pick(&["one", "two", "four"]).into());
        }
        if self.random.chance(12) {
            step.auth_after = Some(self.random.below(id));
        }
        if self.random.chance(8) {
            step.twists.push(self.twist(id));
        }
        step
    }

    /// Makes a state event of an event that is not one, and the other way round.
    fn swap_state(&mut self, step: &mut Step) {
        if step.kind == "m.room.create" {
            return;
        }
        step.key = match &step.key {
            Some(_) => None,
            None => Some(self.random.pick(&["", "x", "@b:one"]).into()),
        };
    }

    fn prevs(&mut self, id: StepId, room: &Room) -> Vec<StepId> {
        let recent = |random: &mut Random, most: usize| id - 1 - random.below(most.min(id));
        let mut prevs = match self.random.weighted(&[55, 20, 20, 5]) {
            0 => vec![id - 1],
            1 => vec![recent(&mut self.random, 8)],
            2 => {
                let count = 2 + self.random.below(2);
                (0..count).map(|_| recent(&mut self.random, 10)).collect()
            }
            _ => vec![0],
        };
        // No history goes through another room; the creator's join is there always.
        prevs.retain(|prev| !room.is_foreign(*prev));
        if prevs.is_empty() {
            prevs.push(1);
        }
        prevs
    }

    fn sender(&mut self, room: &Room, tip: StepId) -> String {
        let joined: Vec<&str> = USERS
            .into_iter()
            .filter(|user| {
                let member = room.held(tip, "m.room.member", user);
                member.is_some_and(|member| member.pdu.membership() == Some("join"))
            })
            .collect();
        if joined.is_empty() || self.random.chance(15) {
            return self.user();
        }
        if self.random.chance(25) && joined.contains(&USERS[0]) {
            return USERS[0].into();
        }
        self.random.pick(&joined).into()
    }

    fn user(&mut self) -> String {
        self.random.pick(&USERS).into()
    }

    fn event(&mut self, id: StepId, room: &Room, tip: StepId, sender: String) -> Step {
        let (random, version) = (&mut self.random, self.version);
        match random.weighted(&[38, 18, 8, 8, 8, 3, 5, 4, 2, 2, 3, 1]) {
            0 => self.member(id, room, tip, &sender),
            1 => {
                let key = if random.chance(4) { "other" } else { "" };
                let old = room.held(tip, "m.room.power_levels", key);
                let levels = content::power_levels(
                    random,
                    version,
                    old.map(|node| node.pdu.content().to_map()).as_ref(),
                );
                Self::state(id, &sender, "m.room.power_levels", key, levels)
            }
            2 => {
                let key = if random.chance(4) { "other" } else { "" };
                Self::state(id, &sender, "m.room.join_rules", key, content::join_rules(random))
            }
            3 => {
                let kind = random.pick(&["m.room.topic", "m.room.name", "x.state"]);
                let user = random.pick(&USERS);
                let key = random.pick(&["", "", "k", user, &sender]);
                Self::state(id, &sender, kind, key, content::any(random))
            }
            4 => {
                let kind = random.pick(&["m.room.message", "x.message"]);
                let mut step = Self::state(id, &sender, kind, "", content::any(random));
                step.key = None;
                if random.chance(3) {
                    step.more = content::transport_keys(random);
                }
                step
            }
            5 => {
                let content = content::redaction(random);
                let mut step = Self::state(id, &sender, "m.room.redaction", "", content);
                step.key = None;
                step.more = content::redacts();
                step
            }
            6 => {
                let token = random.pick(&content::TOKENS);
                Self::state(
                    id,
                    &sender,
                    "m.room.third_party_invite",
                    token,
                    content::offer(random),
                )
            }
            7 => {
                let mut step = Self::state(
                    id,
                    &sender,
                    "m.room.create",
                    "",
                    content::bad_create(random, version),
                );
                let room = random.pick(&["!other:one", "!other:two", "!other:four", ""]);
                if !room.is_empty() || version.room_id_is_create_hash {
                    step.foreign = Some(room.into());
                } else {
                    step.foreign = Some("!other:one".into());
                }
                step
            }
            8 => {
                let content = content::create(random, version);
                let mut step = Self::state(id, &sender, "m.room.create", random.pick(&["", "x"]), content);
                step.foreign = version.room_id_is_create_hash.then(String::new);
                step
            }
            9 => {
                let key = random.pick(&["one", "two", "", "four"]);
                let mut step = Self::state(id, &sender, "m.room.aliases", key, content::any(random));
                if random.chance(15) {
                    step.key = None;
                }
                step
            }
            10 => {
                let mut step = Self::state(id, &sender, "x.state", "", Map::new());
                step.foreign = Some(
                    random
                        .pick(&["!other:one", "!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
                        .into(),
                );
                step
            }
            _ => {
                let key = "é".repeat(100 + random.below(40));
                Self::state(id, &sender, "x.state", &key, Map::new())
            }
        }
    }

    fn member(&mut self, id: StepId, room: &Room, tip: StepId, sender: &str) -> Step {
        let random = &mut self.random;
        let membership = random.pick(&[
            "join", "join", "join", "join", "leave", "leave", "leave", "ban", "ban", "invite", "invite",
            "invite", "knock", "knock", "tpi", "bad",
        ]);
        let is_restricted = room
            .held(tip, "m.room.join_rules", "")
            .and_then(|rules| rules.join_rule())
            .is_some_and(|rule| matches!(rule, JoinRule::Restricted | JoinRule::KnockRestricted));
        let mut target = random.pick(&USERS);
        let is = |user: &str, membership: &str| {
            let member = room.held(tip, "m.room.member", user);
            member.is_some_and(|member| member.pdu.membership() == Some(membership))
        };
        // Bans and knocks are rare, what follows them is rarer.
        let special: Vec<&str> = USERS
            .into_iter()
            .filter(|user| is(user, "ban") || is(user, "knock"))
            .collect();
        if !special.is_empty() && random.chance(30) {
            target = random.pick(&special);
        }
        let membership = if is_restricted && random.chance(15) {
            "join"
        } else {
            membership
        };
        let by_self = match membership {
            "join" | "knock" => random.chance(93),
            "leave" => random.chance(30),
            _ => random.chance(5),
        };
        // Someone who is not there joins and knocks; the sender of all else mostly is.
        let sender: &str = if by_self && random.chance(60) {
            target
        } else {
            sender
        };
        let target = if by_self { sender } else { target };
        let content = match membership {
            "tpi" => {
                let offered = |token: &&str| room.held(tip, "m.room.third_party_invite", token).is_some();
                let offers: Vec<&str> = content::TOKENS.into_iter().filter(offered).collect();
                let token = match offers.as_slice() {
                    [] => random.pick(&content::TOKENS),
                    offers => random.pick(offers),
                };
                let offer = room.held(tip, "m.room.third_party_invite", token);
                let content = content::third_party_invite(random, target, token);
                // Mostly the one who made the offer uses it.
                let by = offer.map(|offer| offer.pdu.sender.to_string());
                let by = by.filter(|_| random.chance(85)).unwrap_or_else(|| sender.into());
                return Self::state(id, &by, "m.room.member", target, content);
            }
            "bad" => content::bad_membership(random),
            "join" if random.chance(if is_restricted { 75 } else { 15 }) => {
                content::authorised_join(random, &USERS)
            }
            _ => content::membership(membership),
        };
        let mut content = content;
        if random.chance(4) {
            content::needless(random, &mut content);
        }
        let odd_target = random.pick(&["", "x", "@x", "x:one", "@x:y:z", "\u{e9}:one"]);
        let target = if random.chance(2) { odd_target } else { target };
        let mut step = Self::state(id, sender, "m.room.member", target, content);
        if random.chance(1) {
            step.key = None;
        }
        step
    }

    fn twist(&mut self, id: StepId) -> Twist {
        let random = &mut self.random;
        match random.weighted(&[40, 25, 25, 10]) {
            0 => Twist::Without(random.pick(&[
                "m.room.create",
                "m.room.power_levels",
                "m.room.power_levels",
                "m.room.member",
                "m.room.join_rules",
            ])),
            1 => Twist::With(random.below(id)),
            2 => Twist::Instead(random.below(id)),
            _ => Twist::Twice,
        }
    }
}
