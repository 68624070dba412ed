//! From the lines of the file to the commands that will be sent. Pure, and from the file alone: a second run makes the
//! same commands under the same keys. Must not know of the server.

use std::collections::{BTreeMap, HashMap};

use uuid::{Uuid, uuid};

use super::retail::RetailLine;

/// Namespace of the order ids: an order's id is the UUIDv5 of its invoice number here.
const INVOICES: Uuid = uuid!("5b0e0f0a-6a43-5f0c-9d35-0f4c1b7f2e11");
const GUEST: &str = "guest";

/// Everything that one file asks for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of the file.
    pub(crate) orders: Vec<PlannedOrder>,
    /// Lines that become no command, by reason.
    pub(crate) skipped: BTreeMap<SkipReason, usize>,
    /// Lines of the file.
    pub(crate) file_lines: usize,
}

/// One invoice: `place`, `pay`, `ship`, `deliver`, then its returns.
#[derive(Debug)]
pub(crate) struct PlannedOrder {
    pub(crate) invoice: String,
    pub(crate) order_id: Uuid,
    pub(crate) customer_id: String,
    pub(crate) note: String,
    /// Merged by (SKU, price), in the order of their first appearance; line n of the order is `lines[n - 1]`.
    pub(crate) lines: Vec<PlannedLine>,
    /// Lines of the file merged into `lines`.
    pub(crate) file_lines: usize,
    /// In the order of the file.
    pub(crate) returns: Vec<PlannedReturn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedLine {
    pub(crate) sku: String,
    pub(crate) unit_price_minor: i64,
    pub(crate) quantity: i64,
    /// Planned to come back.
    returned: i64,
}

/// What one C invoice gives back to one order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlannedReturn {
    pub(crate) invoice: String,
    /// (number of the order's line, pieces), each line once, in line order.
    pub(crate) lines: Vec<(usize, i64)>,
    /// Lines of the file in it.
    pub(crate) file_lines: usize,
}

/// Why a line of the file becomes no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SkipReason {
    /// A negative quantity outside a C invoice, price 0 without a customer, or a C invoice's SKU of which nothing comes
    /// back: stock-taking, not an order.
    StockAdjustment,
    /// A C invoice without a customer: whose order it was cannot be known.
    NoCustomer,
    /// No earlier order of the customer has the SKU.
    NoMatchingOrder,
    /// Every earlier order of the customer with the SKU has fewer pieces left than come back.
    ExceedsOrder,
}

impl SkipReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::StockAdjustment => "stock_adjustment",
            Self::NoCustomer => "no_customer",
            Self::NoMatchingOrder => "no_matching_order",
            Self::ExceedsOrder => "exceeds_order",
        }
    }
}

impl Plan {
    /// Plans the whole file.
    pub(crate) fn of(lines: &[RetailLine]) -> Self {
        let mut plan = Self {
            file_lines: lines.len(),
            ..Self::default()
        };
        let mut orders_of_customer: HashMap<&str, Vec<usize>> = HashMap::new();
        for invoice in by_invoice(lines) {
            if invoice[0].invoice.starts_with('C') {
                plan.give_back(&invoice, &orders_of_customer);
            } else if let Some(order) = plan.place(&invoice) {
                if let Some(customer) = &invoice[0].customer {
                    orders_of_customer
                        .entry(customer)
                        .or_default()
                        .push(plan.orders.len());
                }
                plan.orders.push(order);
            }
        }
        plan
    }

    /// Pieces of each SKU that all orders together ask for.
    pub(crate) fn demand(&self) -> BTreeMap<&str, i64> {
        let mut demand = BTreeMap::new();
        for line in self.orders.iter().flat_map(|order| &order.lines) {
            *demand.entry(line.sku.as_str()).or_default() += line.quantity;
        }
        demand
    }

    pub(crate) fn returns(&self) -> impl Iterator<Item = &PlannedReturn> {
        self.orders.iter().flat_map(|order| &order.returns)
    }

    fn skip(&mut self, reason: SkipReason, lines: usize) {
        *self.skipped.entry(reason).or_default() += lines;
    }

    fn place(&mut self, invoice: &[&RetailLine]) -> Option<PlannedOrder> {
        let is_adjustment = |line: &RetailLine| {
            line.quantity < 0 || (line.unit_price_minor == 0 && line.customer.is_none())
        };
        let mut lines: Vec<PlannedLine> = Vec::new();
        let mut number_of: HashMap<(&str, i64), usize> = HashMap::new();
        let mut file_lines = 0;
        for line in invoice {
            if is_adjustment(line) {
                self.skip(SkipReason::StockAdjustment, 1);
                continue;
            }
            file_lines += 1;
            let number = *number_of
                .entry((&line.sku, line.unit_price_minor))
                .or_insert_with(|| {
                    lines.push(PlannedLine {
                        sku: line.sku.clone(),
                        unit_price_minor: line.unit_price_minor,
                        quantity: 0,
                        returned: 0,
                    });
                    lines.len() - 1
                });
            lines[number].quantity += line.quantity;
        }
        let first = invoice.first().filter(|_| file_lines > 0)?;
        Some(PlannedOrder {
            order_id: Uuid::new_v5(&INVOICES, first.invoice.as_bytes()),
            invoice: first.invoice.clone(),
            customer_id: first.customer.clone().unwrap_or_else(|| GUEST.to_owned()),
            note: format!(
                "invoice {} of {}, {}",
                first.invoice, first.invoiced_at, first.country
            ),
            lines,
            file_lines,
            returns: Vec::new(),
        })
    }

    /// A C invoice: its lines summed per SKU, each sum given to the customer's latest order that can still cover it.
    fn give_back(
        &mut self,
        invoice: &[&RetailLine],
        orders_of_customer: &HashMap<&str, Vec<usize>>,
    ) {
        let Some(customer) = &invoice[0].customer else {
            return self.skip(SkipReason::NoCustomer, invoice.len());
        };
        let orders = orders_of_customer
            .get(customer.as_str())
            .map_or(&[][..], Vec::as_slice);
        let mut per_order: BTreeMap<usize, (BTreeMap<usize, i64>, usize)> = BTreeMap::new();
        for (sku, (pieces, file_lines)) in sums_by_sku(invoice) {
            if pieces <= 0 {
                self.skip(SkipReason::StockAdjustment, file_lines);
                continue;
            }
            let holding: Vec<usize> = orders
                .iter()
                .rev()
                .copied()
                .filter(|&order| self.orders[order].holds(sku))
                .collect();
            let covering = holding
                .iter()
                .copied()
                .find(|&order| self.orders[order].unreturned(sku) >= pieces);
            match covering {
                Some(order) => {
                    let (lines, count) = per_order.entry(order).or_default();
                    lines.extend(self.orders[order].take_back(sku, pieces));
                    *count += file_lines;
                }
                None if holding.is_empty() => self.skip(SkipReason::NoMatchingOrder, file_lines),
                None => self.skip(SkipReason::ExceedsOrder, file_lines),
            }
        }
        for (order, (lines, file_lines)) in per_order {
            self.orders[order].returns.push(PlannedReturn {
                invoice: invoice[0].invoice.clone(),
                lines: lines.into_iter().collect(),
                file_lines,
            });
        }
    }
}

impl PlannedOrder {
    /// Lines of the file in the order and its returns.
    pub(crate) fn all_file_lines(&self) -> usize {
        self.file_lines
            + self
                .returns
                .iter()
                .map(|planned| planned.file_lines)
                .sum::<usize>()
    }

    fn holds(&self, sku: &str) -> bool {
        self.lines.iter().any(|line| line.sku == sku)
    }

    fn unreturned(&self, sku: &str) -> i64 {
        self.lines
            .iter()
            .filter(|line| line.sku == sku)
            .map(|line| line.quantity - line.returned)
            .sum()
    }

    /// Spreads `pieces` over the lines of `sku`, first line first. The caller has checked that they cover it.
    fn take_back(&mut self, sku: &str, mut pieces: i64) -> Vec<(usize, i64)> {
        let mut taken = Vec::new();
        for (index, line) in self
            .lines
            .iter_mut()
            .enumerate()
            .filter(|(_, line)| line.sku == sku)
        {
            let part = pieces.min(line.quantity - line.returned);
            if part > 0 {
                line.returned += part;
                pieces -= part;
                taken.push((index + 1, part));
            }
        }
        debug_assert_eq!(pieces, 0, "an order gave back more than it held");
        taken
    }
}

/// The lines of each invoice, invoices in the order of their first line.
fn by_invoice(lines: &[RetailLine]) -> Vec<Vec<&RetailLine>> {
    let mut invoices: Vec<Vec<&RetailLine>> = Vec::new();
    let mut index_of: HashMap<&str, usize> = HashMap::new();
    for line in lines {
        let index = *index_of.entry(&line.invoice).or_insert(invoices.len());
        if index == invoices.len() {
            invoices.push(Vec::new());
        }
        invoices[index].push(line);
    }
    invoices
}

/// Pieces that come back (positive) and lines of the file, per SKU.
fn sums_by_sku<'a>(invoice: &[&'a RetailLine]) -> BTreeMap<&'a str, (i64, usize)> {
    let mut sums = BTreeMap::<&str, (i64, usize)>::new();
    for line in invoice {
        let (pieces, lines) = sums.entry(&line.sku).or_default();
        *pieces -= line.quantity;
        *lines += 1;
    }
    sums
}

#[cfg(test)]
mod tests;
