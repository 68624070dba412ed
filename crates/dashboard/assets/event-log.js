// The events that this page has seen, newest first, each version of an order once. Knows no element and no connection.

import { eventName } from "./status.js";

// More than is shown, so that a filter finds something: some 300 bytes each.
const KEPT = 2_000;
// Orders whose version is remembered: a late copy follows its event within minutes.
const ORDERS = 20_000;
const MINUTE_S = 60;

export class EventLog {
  #entries = [];
  #added = 0;
  /** Version and total by order; the order that had an event last comes last. */
  #orders = new Map();
  /** Number of events by the second they happened in. */
  #seconds = new Map();

  /**
   * Takes an event. Answers with `{ entry, missing }`: the entry is null if the version, or a later one, was seen before
   * (CONTRACTS: a late duplicate may follow newer ones); `missing` is the last version seen, if there must be others between.
   */
  add(event) {
    const entry = entryOf(event);
    const seen = this.#orders.get(entry.orderId);
    if (seen !== undefined && entry.version <= seen.version) return { entry: null, missing: null };
    entry.total ??= seen?.total ?? null;
    this.#remember(entry);
    this.#insert(entry, this.#entries.length);
    const gap = seen !== undefined && entry.version > seen.version + 1;
    return { entry, missing: gap ? seen.version : null };
  }

  /** Takes events that were missing right before `entry`, oldest first. */
  fill(entry, events) {
    let at = this.#entries.indexOf(entry);
    if (at < 0) return;
    for (const event of events) {
      const missed = entryOf(event);
      missed.total ??= entry.total;
      if (missed.version < entry.version) this.#insert(missed, at++);
    }
  }

  /** Takes a line that says something about the events after it. */
  note(text, time) {
    this.#insert({ note: text, time, seq: 0 }, this.#entries.length);
    // What was seen says nothing about what is missing any more.
    this.#orders.clear();
  }

  /** Every entry, oldest first. */
  get entries() {
    return this.#entries;
  }

  /** How many entries there ever were: a new number means that there are others. */
  get added() {
    return this.#added;
  }

  /** How many events happened in the minute before `now`, by the server's clock. */
  lastMinute(now) {
    const first = Math.floor(now / 1000) - MINUTE_S;
    let sum = 0;
    for (const [second, events] of this.#seconds) {
      if (second > first) sum += events;
      else this.#seconds.delete(second);
    }
    return sum;
  }

  #insert(entry, at) {
    this.#entries.splice(at, 0, entry);
    entry.seq = ++this.#added;
    if (this.#entries.length > KEPT) this.#entries.shift();
    if (entry.note) return;
    const second = Math.floor(entry.time / 1000);
    this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + 1);
  }

  #remember({ orderId, version, total }) {
    this.#orders.delete(orderId);
    this.#orders.set(orderId, { version, total });
    if (this.#orders.size > ORDERS) this.#orders.delete(this.#orders.keys().next().value);
  }
}

/** Which order an event is of, and the version that it made, as its envelope says. */
export const placeOf = ({ subject, sequence }) => ({ orderId: subject, version: Number(sequence) });

function entryOf(event) {
  const { status, held } = event.data;
  return { ...placeOf(event), status, held, event: eventName(event.type), time: Date.parse(event.time), total: totalOf(event) };
}

/** The order's total, where the event says it: what is asked for as payment is the total, which stays from then on. */
function totalOf({ type, data }) {
  const says = Number.isInteger(data.total_minor) ? data.total_minor : asked(type, data);
  return says === null ? null : { amountMinor: says, currency: data.currency };
}

const asked = (type, data) => (eventName(type) === "payment_requested" ? data.amount_minor : null);
