//! What a choice says of the routes before the chosen one.

use super::*;

#[test]
fn a_choice_says_what_it_passed_over_that_the_legs_do_not_say() {
    let passed = |row: Row| match row.choose().choice {
        Choice::Go(pick) => {
            let told = |over: &PassedOver| (over.route.as_str().to_owned(), over.why);
            pick.passed_over.iter().map(told).collect::<Vec<_>>()
        }
        other @ (Choice::Wait { .. } | Choice::Elsewhere | Choice::OverLimit(_) | Choice::Nothing) => {
            panic!("{other:?}")
        }
    };
    let (sakura, fuji) = ("jp-sakura".to_owned(), "jp-fuji".to_owned());
    let late = |row: Row| row.left_ms(2 * TEXT_USUAL_MS);
    assert_eq!(passed(row()), []);
    assert_eq!(passed(row().stands("sakura", full(400))), [(sakura.clone(), PassedFor::Full)]);
    assert_eq!(
        passed(row().stands("sakura", resting(900)).stands("fuji", resting(900))),
        [(sakura.clone(), PassedFor::Resting), (fuji, PassedFor::Resting)]
    );
    assert_eq!(passed(row().scores_badly("sakura")), [(sakura.clone(), PassedFor::Failing)]);
    assert_eq!(passed(row().stands("sakura", Standing::OverBudget)), [(sakura.clone(), PassedFor::OverBudget)]);
    let brief = late(row()).but("sakura", |route| route.abilities.validity = false);
    assert_eq!(passed(brief), [(sakura, PassedFor::TooLate)]);
    assert_eq!(passed(row().tried("sakura", LegOutcome::Overdue, None)), [], "its leg says so");
    assert_eq!(passed(row().but("sakura", |route| route.retiring = true)), [], "the settings say so");
}
