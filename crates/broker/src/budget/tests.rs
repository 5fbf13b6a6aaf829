//! What must hold of every budget, whatever is charged and dropped in whichever order.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Budget, BudgetSettings, Budgets, Charge, Refusal, Scope, Share};

/// Takes one by one until it is refused.
fn fill(share: &Arc<Share>, by: usize) -> (Vec<Charge>, Refusal) {
    let mut charges = Vec::new();
    loop {
        match share.charge(by) {
            Ok(charge) => charges.push(charge),
            Err(refusal) => return (charges, refusal),
        }
    }
}

#[test]
fn a_source_over_its_part_is_refused_while_others_are_not() {
    let budget = Budget::new(800, 2);
    let attacker = budget.share(Scope::Account, "mallory@north.example");
    let (held, refusal) = fill(&attacker, 1);
    assert_eq!((held.len(), refusal), (100, Refusal::Share));
    assert!(attacker.is_spent());
    let bystander = budget.share(Scope::Account, "alice@north.example");
    assert!(!bystander.is_spent() && bystander.charge(50).is_ok());
    drop(held);
    assert_eq!(budget.level().held, 0);
    assert_eq!(budget.level().peak, 150);
}

#[test]
fn many_attackers_leave_room_for_somebody_who_holds_nothing() {
    let budget = Budget::new(10_000, 2);
    let attackers: Vec<_> = (0..99).map(|n| budget.share(Scope::Account, &n.to_string())).collect();
    let mut held = Vec::new();
    while let Some(more) = attackers.iter().map(|share| share.charge(1).ok()).collect::<Option<Vec<_>>>() {
        held.extend(more);
    }
    attackers.iter().for_each(|share| held.extend(fill(share, 1).0));
    assert!(attackers.iter().all(|share| share.charge(1).is_err()));
    let bystander = budget.share(Scope::Account, "alice@north.example");
    assert!(bystander.charge(50).is_ok(), "{:?}", budget.level());
}

/// Each leaves half of what it found, and no more is promised: enough of them leave nothing.
#[test]
fn sources_that_come_one_after_the_other_leave_half_each_time() {
    let budget = Budget::new(10_000, 2);
    let left = || 10_000 - budget.level().held;
    let mut held = Vec::new();
    for n in 0..40 {
        let before = left();
        held.push(fill(&budget.share(Scope::Account, &n.to_string()), 1).0);
        assert!(left() >= before / 2, "{n}: {before}, then {}", left());
    }
    let late = budget.share(Scope::Account, "alice@north.example");
    assert_eq!((left(), late.charge(1).err()), (0, Some(Refusal::Whole)));
    drop(held.swap_remove(0));
    assert!(late.charge(600).is_ok(), "what one gives back is for whoever holds nothing");
}

#[test]
fn what_is_reserved_for_clients_is_left_to_them() {
    let budget = Budget::new(64, 2);
    let networks: Vec<_> = (0..200).map(|n| budget.share(Scope::Network, &n.to_string())).collect();
    let held: Vec<_> = networks.iter().flat_map(|share| fill(share, 1).0).collect();
    let level = budget.level();
    assert!(held.len() == 32 && level.held == 32 && level.held_by_clients == 0, "{level:?}");
    let stranger = budget.share(Scope::Network, "another");
    assert_eq!(stranger.charge(1).err(), Some(Refusal::Whole), "not its own fault");
    let client = budget.share(Scope::Account, "alice@north.example");
    assert_eq!(fill(&client, 1).0.len(), 8);
}

#[test]
fn a_charge_in_several_names_counts_once_in_the_whole_and_in_each() {
    let budget = Budget::new(64, 2);
    let asker = budget.share(Scope::Account, "alice@north.example");
    let target = budget.share_of(Scope::Domain, "south.example", 32);
    let first = asker.charge(1).and_then(|charge| charge.also(&target)).expect("room");
    let _second = asker.charge(1).and_then(|charge| charge.also(&target)).expect("room");
    assert_eq!((budget.level().held, asker.held(), target.held()), (2, 2, 2));
    assert_eq!(asker.charge(1).and_then(|charge| charge.also(&target)).err(), Some(Refusal::Share));
    assert_eq!((budget.level().held, asker.held(), target.held()), (2, 2, 2), "nothing of a refusal is left");
    drop(first);
    assert_eq!((budget.level().held, asker.held(), target.held()), (1, 1, 1));
}

#[test]
fn what_cannot_be_refused_counts_and_moves() {
    let budget = Budget::new(320, 2);
    let connection = budget.own_share(Scope::Connection);
    let mut input = connection.charge_anyway(500);
    assert!(connection.is_spent());
    assert_eq!(budget.level().held, 500);
    input.set_amount(4);
    assert!(!connection.is_spent());
    let account = budget.share(Scope::Account, "alice@north.example");
    let input = input.hand_to(&account);
    assert_eq!((connection.held(), account.held(), budget.level().held_by_clients), (0, 4, 4));
    drop(input);
    assert_eq!(budget.level().held, 0);
}

#[test]
fn a_source_is_one_while_it_lives_and_is_forgotten_with_its_last_charge() {
    let budget = Budget::new(800, 2);
    let share = budget.share(Scope::Domain, "south.example");
    assert!(Arc::ptr_eq(&share, &budget.share(Scope::Domain, "south.example")));
    assert!(!Arc::ptr_eq(&share, &budget.share(Scope::Account, "south.example")));
    let charge = share.charge(7).expect("room");
    drop(share);
    assert_eq!((budget.level().sources, budget.level().largest), (1, 7), "a charge keeps it");
    assert_eq!(budget.share(Scope::Domain, "south.example").held(), 7);
    drop(charge);
    assert_eq!(budget.level().sources, 0);
}

#[test]
fn a_small_budget_lets_everybody_hold_one_thing() {
    let budget = Budget::new(4, 2);
    let connection = budget.own_share(Scope::Connection);
    let held = connection.charge(1).expect("room");
    assert_eq!(connection.charge(1).err(), Some(Refusal::Share));
    drop(held);
    budget.set_capacity(0);
    assert_eq!(connection.charge(1).err(), Some(Refusal::Whole));
}

#[test]
fn numbers_name_nobody() {
    let budgets = Budgets::new(&BudgetSettings::default());
    let share = budgets.bytes.share(Scope::Account, "alice@north.example");
    let _charge = share.charge(1000).expect("room");
    let shown = format!("{budgets:?} {share:?} {_charge:?} {}", budgets.levels()[0].1);
    assert!(shown.contains("1000") && !shown.contains("alice"), "{shown}");
}

/// One step of a schedule.
#[derive(Debug, Clone)]
enum Step {
    Charge { source: usize, amount: usize },
    Anyway { source: usize, amount: usize },
    Also { source: usize, at: usize },
    Resize { at: usize, amount: usize },
    HandTo { source: usize, at: usize },
    Drop { at: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (source, amount, at) = (0..6_usize, 0..40_usize, 0..64_usize);
    let step = prop_oneof![
        3 => (source.clone(), amount.clone()).prop_map(|(source, amount)| Step::Charge { source, amount }),
        1 => (source.clone(), amount.clone()).prop_map(|(source, amount)| Step::Anyway { source, amount }),
        1 => (source.clone(), at.clone()).prop_map(|(source, at)| Step::Also { source, at }),
        1 => (at.clone(), amount).prop_map(|(at, amount)| Step::Resize { at, amount }),
        1 => (source, at.clone()).prop_map(|(source, at)| Step::HandTo { source, at }),
        3 => at.prop_map(|at| Step::Drop { at }),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// The sum of all charges is what is held, in the whole and by each source, and nothing is left at the end.
    #[test]
    fn charges_add_up_and_nothing_leaks(steps in steps(), order in any::<u64>()) {
        let budget = Budget::new(400, 2);
        let scopes = [Scope::Account, Scope::Account, Scope::Domain, Scope::Network, Scope::Connection, Scope::Domain];
        let sources: Vec<_> = scopes.iter().enumerate().map(|(n, s)| budget.share(*s, &n.to_string())).collect();
        let mut charges: Vec<(Charge, Vec<usize>)> = Vec::new();
        for step in steps {
            let count = charges.len();
            match step {
                Step::Charge { source, amount } => {
                    let before = budget.level().held;
                    match sources[source].charge(amount) {
                        Ok(charge) => {
                            prop_assert!(before + amount <= 400 && sources[source].held() <= sources[source].most());
                            charges.push((charge, vec![source]));
                        }
                        Err(_) => prop_assert_eq!(budget.level().held, before),
                    }
                }
                Step::Anyway { source, amount } => charges.push((sources[source].charge_anyway(amount), vec![source])),
                Step::Also { source, at } if count > 0 => {
                    let (charge, mut names) = charges.swap_remove(at % count);
                    if let Ok(charge) = charge.also(&sources[source]) {
                        if names.len() < 3 {
                            names.push(source);
                        }
                        charges.push((charge, names));
                    }
                }
                Step::Resize { at, amount } if count > 0 => charges[at % count].0.set_amount(amount),
                Step::HandTo { source, at } if count > 0 => {
                    let (charge, _) = charges.swap_remove(at % count);
                    charges.push((charge.hand_to(&sources[source]), vec![source]));
                }
                Step::Drop { at } if count > 0 => drop(charges.swap_remove(at % count)),
                _ => {}
            }
            prop_assert_eq!(budget.level().held, charges.iter().map(|(charge, _)| charge.amount()).sum::<usize>());
            for (n, source) in sources.iter().enumerate() {
                let named = |names: &[usize]| names.iter().filter(|name| **name == n).count();
                let sum = charges.iter().map(|(charge, names)| charge.amount() * named(names)).sum::<usize>();
                prop_assert_eq!(source.held(), sum);
            }
        }
        while !charges.is_empty() {
            let at = usize::try_from(order % charges.len() as u64).expect("small");
            charges.swap_remove(at);
        }
        let level = budget.level();
        prop_assert_eq!((level.held, level.held_by_clients, level.largest), (0, 0, 0));
        drop(sources);
        prop_assert_eq!(budget.level().sources, 0);
    }
}
