//! `cargo xtask quickstart` as a user runs it, from nothing, and again.

use crate::figures::{Rounds, Row};
use crate::place::Place;
use crate::{Outcome, Setup, tell};

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let (mut cold, mut warm) = (Rounds::default(), Rounds::default());
    for round in 1..=setup.rounds(3) {
        let place = Place::new(setup)?;
        let first = place.up().await?;
        place.serves().await?;
        let again = place.up().await?;
        let plan = place.plan().await?;
        tell(format!(
            "quickstart, round {round}: cold {:.1} s, warm {:.1} s, a plan alone {:.1} s",
            first.as_secs_f64(),
            again.as_secs_f64(),
            plan.as_secs_f64()
        ));
        cold.push_alone(first.as_secs_f64());
        warm.push(again.as_secs_f64(), plan.as_secs_f64());
        place.down().await?;
    }
    Ok(vec![
        cold.row("quickstart cold", "s", "an empty folder; tools, programs and page were there"),
        warm.row("quickstart warm / terraform plan", "s", "nothing to change; less is better"),
    ])
}
