//! What was found, and what follows for the exit code.

use std::{fmt, io};

use serde::Serialize;

use crate::{
    exit::Exit,
    output::{self, Format},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// Works, and somebody should know.
    Warning,
    /// A promise is broken, or will be.
    Broken,
    /// It could not be looked at.
    Unknown,
}

/// One look at one thing.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) state: State,
    /// What was looked at: database, schema, broker, queue …
    pub(super) check: &'static str,
    pub(super) what: String,
    /// What to do about it; null if there is nothing to do.
    pub(super) mend: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(
        &mut self,
        state: State,
        check: &'static str,
        what: impl Into<String>,
    ) -> Last<'_> {
        self.0.push(Finding {
            state,
            check,
            what: what.into(),
            mend: None,
        });
        Last(self.0.last_mut().expect("one was just put in"))
    }

    pub(super) fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(State::Ok, check, what);
    }

    /// Says that all is well, unless something of this kind was found.
    pub(super) fn ok_unless_found(&mut self, check: &'static str, what: impl Into<String>) {
        if !self.0.iter().any(|finding| finding.check == check) {
            self.ok(check, what);
        }
    }

    /// A question that was not answered.
    pub(super) fn unanswered(&mut self, check: &'static str, error: &dyn std::error::Error) {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        self.add(State::Unknown, check, causes.join(": "));
    }

    pub(super) fn first_broken(&self) -> Option<&Finding> {
        self.0.iter().find(|it| it.state == State::Broken)
    }

    fn count(&self, state: State) -> usize {
        self.0.iter().filter(|it| it.state == state).count()
    }

    pub(super) fn exit(&self) -> Exit {
        if self.count(State::Broken) > 0 {
            Exit::Failed
        } else if self.count(State::Unknown) > 0 {
            Exit::Partly
        } else {
            Exit::Ok
        }
    }

    pub(super) fn summary(&self) -> String {
        let counted = [
            (State::Broken, "broken"),
            (State::Warning, "to know"),
            (State::Unknown, "not looked at"),
            (State::Ok, "well"),
        ];
        let counted = counted.map(|(state, word)| (self.count(state), word));
        let words = counted.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = words
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        words.join(", ")
    }

    pub(super) fn print(&self, format: Format) -> io::Result<()> {
        if format != Format::Table {
            return format.rows(&self.0, [""], |_| [String::new()]);
        }
        let rows = self.0.iter().flat_map(|finding| {
            let row = [
                finding.state.coloured(),
                finding.check.to_owned(),
                finding.what.clone(),
            ];
            let mend = finding.mend.as_ref();
            let mend = mend.map(|mend| [String::new(), String::new(), format!("→ {mend}")]);
            [Some(row), mend].into_iter().flatten()
        });
        output::line(&output::table(["state", "check", "finding"], rows))
    }
}

/// The finding that was just put in.
pub(super) struct Last<'a>(&'a mut Finding);

impl Last<'_> {
    pub(super) fn mend(self, mend: impl Into<String>) {
        self.0.mend = Some(mend.into());
    }
}

impl State {
    fn coloured(self) -> String {
        match self {
            Self::Ok => output::green("ok"),
            Self::Warning => "warning".to_owned(),
            Self::Broken => output::red("broken"),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        match &self.mend {
            Some(mend) => write!(f, "; {mend}"),
            None => Ok(()),
        }
    }
}
