//! The pieces of an order: ordered, shipped, returned. Never more leave than were ordered, nor come back than left.

use super::{Model, Status};
use crate::storm::history::{Event, Goods, Line, Part};

/// The lines that an event says.
pub(in crate::storm) fn lines(event: &Event) -> Option<Vec<Line>> {
    read(event)
}

/// The parts of lines that an event says.
pub(in crate::storm) fn parts(event: &Event) -> Option<Vec<Part>> {
    read(event)
}

fn read<'a, T: serde::Deserialize<'a>>(event: &'a Event) -> Option<Vec<T>> {
    let lines = event.data["lines"].as_array()?;
    lines.iter().map(|it| T::deserialize(it).ok()).collect()
}

/// Lines of which nothing has left.
pub(super) fn ordered(event: &Event) -> Result<Vec<Goods>, String> {
    let lines = lines(event).ok_or("it has no lines")?;
    let goods = lines.into_iter().map(|line| Goods {
        line,
        shipped: 0,
        returned: 0,
    });
    Ok(goods.collect())
}

impl Goods {
    pub(super) fn unshipped(&self) -> i64 {
        self.line.quantity - self.shipped
    }

    pub(super) fn returnable(&self) -> i64 {
        self.shipped - self.returned
    }
}

impl Model {
    pub(super) fn total(&self) -> i64 {
        let lines = self.lines.iter().map(|it| &it.line);
        lines.map(|it| it.quantity * it.unit_price_minor).sum()
    }

    /// Whether every part is of a line that has so many left.
    pub(super) fn has_left(&self, parts: &[Part], left: fn(&Goods) -> i64) -> bool {
        parts.iter().all(|part| {
            let line = part.line.checked_sub(1).and_then(|at| self.lines.get(at));
            line.is_some_and(|line| (1..=left(line)).contains(&part.quantity))
        })
    }

    pub(super) fn ship(&mut self, event: &Event) -> Result<(), String> {
        for (line, part) in self.moved(event, Goods::unshipped)? {
            self.lines[line].shipped += part.quantity;
        }
        self.status = if self.lines.iter().all(|it| it.unshipped() == 0) {
            Status::Shipped
        } else {
            Status::PartiallyShipped
        };
        Ok(())
    }

    pub(super) fn take_back(&mut self, event: &Event) -> Result<(), String> {
        for (line, part) in self.moved(event, Goods::returnable)? {
            self.lines[line].returned += part.quantity;
        }
        if self.lines.iter().all(|it| it.returned == it.line.quantity) {
            self.status = Status::Returned;
        }
        Ok(())
    }

    /// An event's parts with the places of their lines.
    fn moved(&self, event: &Event, left: fn(&Goods) -> i64) -> Result<Vec<(usize, Part)>, String> {
        let parts = parts(event).ok_or("it has no lines")?;
        if parts.is_empty() || !self.has_left(&parts, left) {
            return Err(format!(
                "{parts:?} are more than is left of {:?}",
                self.lines
            ));
        }
        Ok(parts
            .into_iter()
            .map(|part| (part.line - 1, part))
            .collect())
    }
}
