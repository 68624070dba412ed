//! How many pieces were kept from others, as steps in time, and the most of them between two moments.

use std::collections::BTreeMap;

use crate::storm::history::Micros;

/// Steps in the order of time.
pub(super) struct Levels {
    steps: Vec<(Micros, i64)>,
    /// The highest of pairs, of pairs of pairs and so on: a storm asks for the most between two moments as often as it has
    /// rejections, each of which may reach to its end.
    highest: Vec<i64>,
}

impl Levels {
    /// From pieces that are kept from one moment until before another.
    pub(super) fn of(holds: impl Iterator<Item = (i64, (Micros, Micros))>) -> Self {
        let mut changes: BTreeMap<Micros, i64> = BTreeMap::new();
        for (pieces, (from, to)) in holds {
            if from < to {
                *changes.entry(from).or_default() += pieces;
                *changes.entry(to).or_default() -= pieces;
            }
        }
        let mut level = 0;
        let steps = changes.into_iter().map(|(at, change)| {
            level += change;
            (at, level)
        });
        let steps: Vec<(Micros, i64)> = steps.collect();
        let leaves = steps.len();
        let mut highest = vec![0; leaves];
        highest.extend(steps.iter().map(|(_, level)| *level));
        for node in (1..leaves).rev() {
            highest[node] = highest[2 * node].max(highest[2 * node + 1]);
        }
        Self { steps, highest }
    }

    /// The first step above a level.
    pub(super) fn first_above(&self, level: i64) -> Option<(Micros, i64)> {
        self.steps.iter().find(|(_, it)| *it > level).copied()
    }

    /// The most between two moments, both included.
    pub(super) fn most(&self, from: Micros, to: Micros) -> i64 {
        let up_to = |moment: Micros| self.steps.partition_point(|(at, _)| *at <= moment);
        let leaves = self.steps.len();
        let (mut low, mut high) = (leaves + up_to(from).saturating_sub(1), leaves + up_to(to));
        let mut most = 0;
        while low < high {
            if low % 2 == 1 {
                most = self.highest[low].max(most);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                most = self.highest[high].max(most);
            }
            (low, high) = (low / 2, high / 2);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::Levels;

    #[test]
    fn the_most_between_two_moments_is_that_of_a_look_at_every_step() {
        for count in 0..20_u64 {
            let holds = (0..count).map(|it| {
                (
                    1 + i64::try_from(it * it % 5).unwrap(),
                    (it * 7 % 11, it * 5 % 31 + 3),
                )
            });
            let levels = Levels::of(holds);
            for from in 0..36 {
                for to in from..36 {
                    let begins = levels.steps.partition_point(|(at, _)| *at <= from);
                    let within = levels.steps[begins.saturating_sub(1)..].iter();
                    let within = within.take_while(|(at, _)| *at <= to);
                    let most = within.map(|(_, level)| *level).max().unwrap_or(0).max(0);
                    assert_eq!(levels.most(from, to), most, "{count} holds, {from} to {to}");
                }
            }
        }
    }
}
