//! The shop's file: one record per line, as it stands. Owns reading and the form of a line; knows nothing of orders.

use std::{io, path::Path};

use serde::Deserialize;

use super::price;

/// One line of the file, read but not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetailLine {
    pub(crate) invoice: String,
    /// The stock code, upper-cased since the file writes some both ways, and with `_` for white space, which no SKU
    /// has (`BANK CHARGES`).
    pub(crate) sku: String,
    pub(crate) quantity: i64,
    /// As in the file, `dd/mm/yyyy hh:mm`.
    pub(crate) invoiced_at: String,
    pub(crate) unit_price_minor: i64,
    pub(crate) customer: Option<String>,
    pub(crate) country: String,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetailError {
    #[error("cannot open {path}")]
    Open { path: String, source: io::Error },
    #[error("this is not the shop's file")]
    Form(#[source] csv::Error),
    #[error("line {line}: {field} {value:?} is not {expected}")]
    Value {
        line: u64,
        field: &'static str,
        value: String,
        expected: &'static str,
    },
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "InvoiceNo")]
    invoice: String,
    #[serde(rename = "StockCode")]
    stock_code: String,
    #[serde(rename = "Quantity")]
    quantity: String,
    #[serde(rename = "InvoiceDate")]
    invoiced_at: String,
    #[serde(rename = "UnitPrice")]
    unit_price: String,
    #[serde(rename = "CustomerID")]
    customer: String,
    #[serde(rename = "Country")]
    country: String,
}

/// Reads the whole file; 40,000 lines take a few MB.
pub(crate) fn read_file(path: &Path) -> Result<Vec<RetailLine>, RetailError> {
    let file = std::fs::File::open(path).map_err(|source| RetailError::Open {
        path: path.display().to_string(),
        source,
    })?;
    read(file)
}

/// Reads every line, in order.
pub(crate) fn read(input: impl io::Read) -> Result<Vec<RetailLine>, RetailError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(input);
    let headers = reader.headers().map_err(RetailError::Form)?.clone();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(RetailError::Form)?;
        let line = record.position().map_or(0, csv::Position::line);
        let record: Record = record
            .deserialize(Some(&headers))
            .map_err(RetailError::Form)?;
        lines.push(line_of(record, line)?);
    }
    Ok(lines)
}

fn line_of(record: Record, line: u64) -> Result<RetailLine, RetailError> {
    let bad = |field, value: &str, expected| RetailError::Value {
        line,
        field,
        value: value.to_owned(),
        expected,
    };
    if record.invoice.is_empty() {
        return Err(bad("InvoiceNo", "", "an invoice number"));
    }
    if record.stock_code.is_empty() {
        return Err(bad("StockCode", "", "a stock code"));
    }
    let quantity = record
        .quantity
        .parse()
        .map_err(|_| bad("Quantity", &record.quantity, "a whole number"))?;
    let unit_price_minor = price::pence(&record.unit_price).ok_or_else(|| {
        bad(
            "UnitPrice",
            &record.unit_price,
            "a price in pounds and whole pence, 0 or more",
        )
    })?;
    Ok(RetailLine {
        invoice: record.invoice,
        sku: record
            .stock_code
            .to_uppercase()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join("_"),
        quantity,
        invoiced_at: record.invoiced_at,
        unit_price_minor,
        customer: (!record.customer.is_empty()).then_some(record.customer),
        country: record.country,
    })
}

#[cfg(test)]
mod tests {
    use super::{RetailError, read};

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    #[test]
    fn codes_are_upper_cased_and_an_empty_customer_is_none() {
        let text =
            format!("{HEADER}900001,mug-a,\"MUG, RED\",6,01/12/2010 08:26,2.5,,United Kingdom\n");
        let lines = read(text.as_bytes()).unwrap();
        assert_eq!(lines[0].sku, "MUG-A");
        assert_eq!(lines[0].customer, None);
        assert_eq!(lines[0].unit_price_minor, 250);
    }

    #[test]
    fn a_code_with_white_space_becomes_a_sku() {
        let text = format!("{HEADER}1,Bank  Charges,x,1,d,1,,UK\n");
        assert_eq!(read(text.as_bytes()).unwrap()[0].sku, "BANK_CHARGES");
    }

    #[test]
    fn a_bad_value_is_named_with_its_line() {
        let text = format!("{HEADER}1,A,x,1,d,1,,UK\n2,B,x,1.5,d,1,,UK\n");
        let error = read(text.as_bytes()).unwrap_err();
        assert!(
            matches!(
                error,
                RetailError::Value {
                    line: 3,
                    field: "Quantity",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn another_file_is_refused() {
        assert!(matches!(
            read("a,b\n1,2\n".as_bytes()),
            Err(RetailError::Form(_))
        ));
    }
}
