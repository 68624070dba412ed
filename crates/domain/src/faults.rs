//! What can be wrong with a command whatever its order looks like: sizes, amounts, texts, repeated lines. The ingress
//! answers these at once, `decide` checks them again.

use std::collections::BTreeSet;

use crate::limits::{
    ADDRESS_LINE_CHARS, ANNOTATION_KEY_CHARS, ANNOTATION_VALUE_CHARS, CUSTOMER_ID_CHARS,
    FOREIGN_ID_CHARS, LINE_QUANTITY, METHOD_CHARS, NOTE_CHARS, ORDER_LINES, REASON_CHARS,
    STREET_LINES,
};
use crate::{
    Action, Address, Fault, LineQuantity, MAX_AMOUNT_MINOR, NewLine, Place, RejectionCode, Ship,
};

impl Action {
    /// Every fault that needs no order to be seen, with pointers into the command's `data`.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut found = Faults(Vec::new());
        match self {
            Self::Place(place) => found.place(place),
            Self::Amend(amend) => found.new_lines(&amend.lines),
            Self::SetAddress(set) => found.address(&set.address),
            Self::Annotate(annotate) => {
                found.text("/key", &annotate.key, 1, ANNOTATION_KEY_CHARS);
                found.text("/value", &annotate.value, 0, ANNOTATION_VALUE_CHARS);
            }
            Self::Hold(hold) => found.text("/reason", &hold.reason, 1, REASON_CHARS),
            Self::Pay(pay) => found.text("/method", &pay.method, 1, METHOD_CHARS),
            Self::RecordPayment(record) => {
                found.amount("/amount_minor", record.amount_minor, 0);
                found.text("/reference", &record.reference, 1, FOREIGN_ID_CHARS);
            }
            Self::Ship(ship) => found.ship(ship),
            Self::Cancel(cancel) => found.text("/reason", &cancel.reason, 1, REASON_CHARS),
            Self::Refund(refund) => {
                found.amount("/amount_minor", refund.amount_minor, 1);
                found.text("/reason", &refund.reason, 1, REASON_CHARS);
            }
            Self::Return(goods) => found.line_quantities(&goods.lines),
            Self::Release | Self::Deliver | Self::RecordRefund(_) => {}
        }
        found.0
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, code: RejectionCode, detail: impl Into<String>) {
        self.0.push(Fault::new(pointer, code, detail));
    }

    fn place(&mut self, place: &Place) {
        self.text("/customer_id", &place.customer_id, 1, CUSTOMER_ID_CHARS);
        self.new_lines(&place.lines);
        if let Some(note) = &place.note {
            self.text("/note", note, 0, NOTE_CHARS);
        }
    }

    fn ship(&mut self, ship: &Ship) {
        if let Some(lines) = &ship.lines {
            self.line_quantities(lines);
        }
        self.text("/carrier", &ship.carrier, 1, FOREIGN_ID_CHARS);
        self.text("/tracking", &ship.tracking, 1, FOREIGN_ID_CHARS);
    }

    fn new_lines(&mut self, lines: &[NewLine]) {
        self.line_count(lines.len());
        let mut seen = BTreeSet::new();
        for (i, line) in lines.iter().enumerate() {
            self.quantity(format!("/lines/{i}/quantity"), line.quantity);
            self.amount(
                &format!("/lines/{i}/unit_price_minor"),
                line.unit_price_minor,
                0,
            );
            if !seen.insert((&line.sku, line.unit_price_minor)) {
                let detail = format!(
                    "SKU {} at price {} stands in an earlier line; add the quantities up.",
                    line.sku, line.unit_price_minor
                );
                self.add(format!("/lines/{i}"), RejectionCode::DuplicateLine, detail);
            }
        }
        self.total(lines);
    }

    fn total(&mut self, lines: &[NewLine]) {
        let mut total = 0;
        for (i, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| within_bounds(line))
        {
            let price = i128::from(line.quantity) * i128::from(line.unit_price_minor);
            if price > i128::from(MAX_AMOUNT_MINOR) {
                let detail = format!("The line's price is {price}, more than {MAX_AMOUNT_MINOR}.");
                self.add(format!("/lines/{i}"), RejectionCode::InvalidAmount, detail);
            } else {
                total += price;
            }
        }
        if total > i128::from(MAX_AMOUNT_MINOR) {
            let detail = format!("The order's total is {total}, more than {MAX_AMOUNT_MINOR}.");
            self.add("/lines", RejectionCode::InvalidAmount, detail);
        }
    }

    fn line_quantities(&mut self, lines: &[LineQuantity]) {
        self.line_count(lines.len());
        let mut seen = BTreeSet::new();
        for (i, line) in lines.iter().enumerate() {
            self.quantity(format!("/lines/{i}/quantity"), line.quantity);
            if !seen.insert(line.line) {
                let detail = format!("Line {} is named twice.", line.line);
                self.add(
                    format!("/lines/{i}/line"),
                    RejectionCode::InvalidQuantity,
                    detail,
                );
            }
        }
    }

    fn line_count(&mut self, count: usize) {
        if count == 0 {
            self.add(
                "/lines",
                RejectionCode::InvalidQuantity,
                "At least 1 line is needed.",
            );
        }
        if count > ORDER_LINES {
            let detail = format!("There are {count} lines; at most {ORDER_LINES} are allowed.");
            self.add("/lines", RejectionCode::LimitExceeded, detail);
        }
    }

    fn quantity(&mut self, pointer: String, quantity: i64) {
        if !(1..=LINE_QUANTITY).contains(&quantity) {
            let detail = format!("The quantity is {quantity}; allowed is 1 to {LINE_QUANTITY}.");
            self.add(pointer, RejectionCode::InvalidQuantity, detail);
        }
    }

    fn amount(&mut self, pointer: &str, amount: i64, min: i64) {
        if !(min..=MAX_AMOUNT_MINOR).contains(&amount) {
            let detail = format!("The amount is {amount}; allowed is {min} to {MAX_AMOUNT_MINOR}.");
            self.add(pointer, RejectionCode::InvalidAmount, detail);
        }
    }

    fn address(&mut self, address: &Address) {
        self.text("/name", &address.name, 1, ADDRESS_LINE_CHARS);
        if !(1..=STREET_LINES).contains(&address.street.len()) {
            let count = address.street.len();
            let detail = format!("There are {count} street lines; allowed is 1 to {STREET_LINES}.");
            self.add("/street", RejectionCode::InvalidText, detail);
        }
        for (i, line) in address.street.iter().enumerate() {
            self.text(&format!("/street/{i}"), line, 1, ADDRESS_LINE_CHARS);
        }
        self.text("/city", &address.city, 1, ADDRESS_LINE_CHARS);
        if let Some(region) = &address.region {
            self.text("/region", region, 1, ADDRESS_LINE_CHARS);
        }
        if let Some(code) = &address.postal_code {
            self.text("/postal_code", code, 1, ADDRESS_LINE_CHARS);
        }
        let country = address.country.as_bytes();
        if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
            let detail = "A country is two upper-case letters (ISO 3166-1 alpha-2).";
            self.add("/country", RejectionCode::InvalidText, detail);
        }
    }

    /// Control characters other than line feed and tab have no place in a text, and Postgres's jsonb refuses NUL.
    fn text(&mut self, pointer: &str, text: &str, min: usize, max: usize) {
        let chars = text.chars().count();
        if !(min..=max).contains(&chars) {
            let detail = format!("The text has {chars} characters; allowed is {min} to {max}.");
            self.add(pointer, RejectionCode::InvalidText, detail);
        }
        if let Some(c) = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
        {
            let detail = format!(
                "The text holds the control character U+{:04X}.",
                u32::from(c)
            );
            self.add(pointer, RejectionCode::InvalidText, detail);
        }
    }
}

/// Whether the line's own numbers are in bounds: then its price is below 2^73, and an `i128` holds 2^54 such prices.
fn within_bounds(line: &NewLine) -> bool {
    (1..=LINE_QUANTITY).contains(&line.quantity)
        && (0..=MAX_AMOUNT_MINOR).contains(&line.unit_price_minor)
}
