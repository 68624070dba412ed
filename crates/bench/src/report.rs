//! The figures of a run, as data. How they look is `table`, what they are worth is `goal`.

mod goal;
mod stat;
mod table;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::args::Options;
use crate::environment::Setting;
use crate::quiet::Noise;
use crate::sample::Sample;
use crate::scenario::Idle;

/// Everything that a run found out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) options: Options,
    pub(crate) settings: Vec<Setting>,
    pub(crate) sizes: BTreeMap<String, usize>,
    pub(crate) idle: Option<Idle>,
    /// Peak MiB of the roles over the whole run.
    pub(crate) memory: BTreeMap<String, f64>,
    pub(crate) rounds: Vec<Round>,
    /// By scenario, one a round; none where this build has nothing to measure.
    pub(crate) samples: BTreeMap<String, Vec<Option<Sample>>>,
    /// What the roles' logs warned of, and how often.
    pub(crate) warnings: BTreeMap<String, usize>,
}

/// One round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) seconds: f64,
    pub(crate) noise: Noise,
}

impl Report {
    /// Faults of histories, by scenario.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.samples.iter().flat_map(|(scenario, samples)| {
            let faults = samples.iter().flatten().flat_map(|sample| &sample.faults);
            faults.map(move |fault| (scenario.as_str(), fault.as_str()))
        })
    }

    /// As one JSON document, goals and medians included.
    pub(crate) fn json(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            report: &'a Report,
            summary: BTreeMap<&'a str, BTreeMap<&'static str, stat::Stat>>,
            goals: Vec<goal::Goal>,
        }
        let whole = Whole {
            report: self,
            summary: self
                .samples
                .keys()
                .map(|scenario| (scenario.as_str(), stat::summary(self, scenario)))
                .collect(),
            goals: goal::goals(self),
        };
        Ok(serde_json::to_string_pretty(&whole)?)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        table::render(self, &goal::goals(self))
    }
}
