//! How far long work has come, on stderr: on a terminal one line that is written over and gone in the end.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// Often enough to look alive.
const TICK: Duration = Duration::from_millis(100);

const COUNTED: &str = "{bar:40} {human_pos}/{human_len} {msg}, {per_sec}, {eta} left";
const COUNTING: &str = "{spinner} {human_pos} {msg}, {elapsed}";
const STANDING: &str = "{spinner} {msg}, {elapsed}";
const PARTS: &str = "{bar:40} {msg}, {elapsed}";

/// Gone when it is dropped, which must be before the result is printed.
pub(crate) struct Progress {
    bar: ProgressBar,
    said: String,
}

impl Progress {
    /// Of so many things, as "lines".
    pub(crate) fn of(length: u64, things: &'static str) -> Self {
        let bar = ProgressBar::new(length).with_message(things);
        Self::shown(bar, COUNTED)
    }

    /// Of things whose number nobody knows.
    pub(crate) fn counting(things: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(things);
        Self::shown(bar, COUNTING)
    }

    /// Of work of which only is known what it is about.
    pub(crate) fn standing(at: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(at.into());
        Self::shown(bar, STANDING)
    }

    fn shown(bar: ProgressBar, template: &str) -> Self {
        let bar = bar
            .with_style(style(template))
            .with_finish(ProgressFinish::AndClear);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self {
            bar,
            said: String::new(),
        }
    }

    /// So many more.
    pub(crate) fn add(&self, more: usize) {
        self.bar.inc(more as u64);
    }

    /// Where it stands, and how many parts of how many that is. Without a terminal each new saying is a line.
    pub(crate) fn say(&mut self, saying: String, parts: Option<(u64, u64)>) {
        if saying == self.said {
            return;
        }
        if self.bar.is_hidden() {
            eprintln!("{saying}");
        }
        self.bar.set_style(style(match parts {
            Some(_) => PARTS,
            None => STANDING,
        }));
        if let Some((done, of)) = parts {
            self.bar.set_length(of);
            self.bar.set_position(done);
        }
        self.bar.set_message(saying.clone());
        self.said = saying;
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are those above")
}

#[cfg(test)]
mod tests {
    use super::{COUNTED, COUNTING, PARTS, STANDING, style};

    #[test]
    fn every_template_can_be_read() {
        for template in [COUNTED, COUNTING, PARTS, STANDING] {
            style(template);
        }
    }
}
