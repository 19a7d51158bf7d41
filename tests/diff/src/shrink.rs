//! From a plan that shows a disagreement to a smaller one.

use crate::plan::{Follows, Plan};

/// The plan without all that can be taken away while `fails` holds.
pub(crate) fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut least = plan.clone();
    loop {
        let mut smaller = false;
        for candidate in candidates(&least) {
            // An earlier success may have made a later candidate larger than what there is.
            if size(&candidate) < size(&least) && fails(&candidate) {
                least = candidate;
                smaller = true;
                break;
            }
        }
        if !smaller {
            return least;
        }
    }
}

/// Takes a step away; what followed it follows what it followed.
fn remove_step(plan: &mut Plan, i: usize) {
    let gone = plan.steps.remove(i);
    for step in &mut plan.steps {
        if let Some(at) = step.prevs.iter().position(|prev| *prev == gone.id) {
            step.prevs.splice(at..=at, gone.prevs.iter().copied());
        }
    }
}

fn size(plan: &Plan) -> usize {
    let steps = plan.steps.iter().map(|step| {
        let odd = usize::from(step.auth_after.is_some())
            + usize::from(step.tampered)
            + usize::from(step.follows != Follows::AsPlanned)
            + usize::from(step.id_server.is_some());
        100 + step.prevs.len() + odd + step.twists.len() + step.more.len() + step.content.len()
    });
    steps.sum::<usize>() + plan.merges.iter().map(|merge| 100 + merge.len()).sum::<usize>()
}

/// Plans with one thing less, the largest things first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan)| {
        let mut candidate = plan.clone();
        change(&mut candidate);
        all.push(candidate);
    };
    for i in 0..plan.merges.len() {
        with(&|plan| _ = plan.merges.remove(i));
    }
    // The create event stays.
    for i in (1..plan.steps.len()).rev() {
        with(&|plan| remove_step(plan, i));
    }
    for (i, step) in plan.steps.iter().enumerate() {
        for p in 0..step.prevs.len() {
            with(&|plan| _ = plan.steps[i].prevs.remove(p));
        }
        for t in 0..step.twists.len() {
            with(&|plan| _ = plan.steps[i].twists.remove(t));
        }
        for key in step.content.keys() {
            with(&|plan| _ = plan.steps[i].content.remove(key));
        }
        if !step.more.is_empty() {
            with(&|plan| plan.steps[i].more.clear());
        }
        if step.auth_after.is_some() {
            with(&|plan| plan.steps[i].auth_after = None);
        }
        if step.id_server.is_some() {
            with(&|plan| plan.steps[i].id_server = None);
        }
        if step.follows != Follows::AsPlanned {
            with(&|plan| plan.steps[i].follows = Follows::AsPlanned);
        }
        if step.tampered {
            with(&|plan| plan.steps[i].tampered = false);
        }
    }
    for (i, merge) in plan.merges.iter().enumerate() {
        for s in 0..merge.len() {
            with(&|plan| _ = plan.merges[i].remove(s));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;
    use roomlet_wire::version::TABLE;

    fn plan(seed: u64) -> Plan {
        let version = TABLE
            .iter()
            .find(|version| version.id == "10")
            .expect("version 10");
        generate::plan(seed, version).expect("a plan")
    }

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        assert_eq!(plan(1).to_string(), plan(1).to_string());
        assert_ne!(plan(1).to_string(), plan(2).to_string());
    }

    #[test]
    fn a_shrunk_plan_keeps_what_fails_and_the_create_event_only() {
        let plan = plan(3);
        let last = plan.steps.last().expect("a step").id;
        let least = shrink(&plan, |plan| plan.steps.iter().any(|step| step.id == last));
        let ids: Vec<_> = least.steps.iter().map(|step| step.id).collect();
        assert_eq!(ids, [0, last]);
        assert!(least.merges.is_empty());
        let kept = &least.steps[1];
        assert!(kept.prevs.is_empty() && kept.twists.is_empty() && kept.content.is_empty());
    }
}
