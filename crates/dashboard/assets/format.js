// Amounts, times and ids as people read them, in the language of their browser.

// ISO 4217 List One: minor units that are not two. The browser's own table follows CLDR, which shows some currencies (IQD, RSD,
// …) without the digits that their amounts here have.
const MINOR_DIGITS = Object.fromEntries([
  ...["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"].map((code) => [code, 0]),
  ...["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"].map((code) => [code, 3]),
]);

const moneyFormats = new Map();

/** An amount in minor units, as `€12.50`. Exact: what is divided is text, never a float. */
export function money(amountMinor, currency) {
  const digits = MINOR_DIGITS[currency] ?? 2;
  let format = moneyFormats.get(currency);
  if (!format) {
    const options = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    format = new Intl.NumberFormat(undefined, options);
    moneyFormats.set(currency, format);
  }
  return format.format(decimal(amountMinor, digits));
}

/** `amountMinor` with a point before its last `digits` digits. */
export function decimal(amountMinor, digits) {
  const text = String(Math.abs(amountMinor)).padStart(digits + 1, "0");
  const sign = amountMinor < 0 ? "-" : "";
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

const wholeFormat = new Intl.NumberFormat();
export const whole = (number) => wholeFormat.format(number);

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateFormat = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** The time of the day, `14:03:27`. */
export const clock = (ms) => clockFormat.format(ms);

/** The time of the day, with the day before it if that is not today's. */
export const clockOrDay = (ms) => (sameDay(ms, Date.now()) ? clock(ms) : `${dayFormat.format(ms)}, ${clock(ms)}`);

/** Day and time. */
export const date = (ms) => dateFormat.format(ms);

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** The end of an id: the beginning of a UUID of version 7 is its time, which neighbours share. */
export const shortId = (id) => `…${id.slice(-8)}`;

/** What an order id looks like. */
export const isId = (text) => /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text);

/** `1 line`, `2 lines`. */
export const count = (number, one, many = `${one}s`) => `${whole(number)} ${number === 1 ? one : many}`;
