// The list of events: the newest on top, held still while somebody reads or points at it.

import { byId, h, say, shape } from "./dom.js";
import { clock, clockOrDay, count, money, shortId, whole } from "./format.js";
import { ICONS } from "./icons.js";
import { EVENTS, STATUSES, eventWord, heldPill, statusPill } from "./status.js";

// More rows than anybody scrolls through, few enough for any phone.
const SHOWN = 200;
// Rows that jump more often than this cannot be read.
const RENDER_EVERY_MS = 250;

export class Feed {
  #log;
  #rows = byId("events");
  /** The row of each entry that is shown. */
  #rowOf = new Map();
  #timer = null;
  #renderedUpTo = 0;
  #pressed = false;
  #pointed = false;

  constructor(log) {
    this.#log = log;
    options(byId("by-type"), "All events", EVENTS);
    options(byId("by-status"), "All statuses", STATUSES);
    for (const id of ["by-type", "by-status"]) byId(id).onchange = () => this.#render();
    byId("pause").onclick = () => this.#press();
    const scroll = byId("rows");
    // A finger scrolls; only a mouse rests on a row.
    scroll.onpointerenter = (event) => this.#point(event.pointerType === "mouse");
    scroll.onpointerleave = () => this.#point(false);
    scroll.onscroll = () => this.#held();
    scroll.addEventListener("focusin", () => this.#held());
    scroll.addEventListener("focusout", () => queueMicrotask(() => this.#held()));
    this.#rows.onclick = openRow;
    this.#render();
  }

  /** Shows what is new, soon. */
  changed() {
    this.#timer ??= setTimeout(() => this.#due(), RENDER_EVERY_MS);
  }

  /** Brings the keyboard back to where it came from: the row of an order, if it still has one. */
  focus(orderId) {
    const row = [...this.#rows.rows].find((row) => row.dataset.order === orderId);
    (row?.querySelector("a") ?? byId("main")).focus({ preventScroll: true });
  }

  /** Marks the rows of the order that is shown beside the list. */
  mark(orderId) {
    for (const row of this.#rows.rows) row.toggleAttribute("data-current", row.dataset.order === orderId);
    this.#current = orderId;
  }

  #current = null;

  #due() {
    this.#timer = null;
    if (!this.#paused) this.#render();
    this.#sayHeld();
  }

  get #paused() {
    const scroll = byId("rows");
    // Focus that a click left behind is no reading.
    return this.#pressed || this.#pointed || scroll.scrollTop > 0 || scroll.querySelector(":focus-visible") !== null;
  }

  #press() {
    this.#pressed = !this.#pressed;
    const button = byId("pause");
    button.setAttribute("aria-pressed", this.#pressed);
    say(button, this.#pressed ? "Resume" : "Pause");
    this.#held();
  }

  #point(pointed) {
    this.#pointed = pointed;
    this.#held();
  }

  #held() {
    if (!this.#paused) this.#render();
    this.#sayHeld();
  }

  #sayHeld() {
    const waiting = this.#log.added - this.#renderedUpTo;
    const why = this.#pressed ? "Paused" : "Held still while you read";
    say(byId("held-back"), this.#paused ? (waiting ? `${why} · ${whole(waiting)} new` : why) : "");
  }

  /** Adds and removes rows; one that stays is not touched, so that no selection, focus or fading is lost. */
  #render() {
    const entries = this.#matching();
    const wanted = new Set(entries);
    for (const [entry, row] of this.#rowOf) {
      if (!wanted.has(entry)) (row.remove(), this.#rowOf.delete(entry));
    }
    const fresh = this.#renderedUpTo > 0;
    let next = this.#rows.firstElementChild;
    for (const entry of entries) {
      const row = this.#rowOf.get(entry) ?? this.#row(entry, fresh);
      if (row === next) next = next.nextElementSibling;
      else this.#rows.insertBefore(row, next);
      this.#rowOf.set(entry, row);
    }
    this.#renderedUpTo = this.#log.added;
    this.#sayEmpty();
  }

  /** The newest entries that pass the filters, newest first. */
  #matching() {
    const [type, status] = [byId("by-type").value, byId("by-status").value];
    const passes = (entry) => entry.note || ((!type || entry.event === type) && (!status || entry.status === status));
    const found = [];
    for (let at = this.#log.entries.length - 1; at >= 0 && found.length < SHOWN; at--) {
      if (passes(this.#log.entries[at])) found.push(this.#log.entries[at]);
    }
    return found;
  }

  #sayEmpty() {
    const filtered = byId("by-type").value || byId("by-status").value;
    const kept = this.#log.entries.length;
    const nothing = filtered
      ? `None of the last ${count(kept, "event")} passes the filter.`
      : "No event yet. Events appear here the moment they happen.";
    say(byId("feed-empty"), this.#rowOf.size ? "" : nothing);
  }

  #row(entry, fresh) {
    if (entry.note) {
      const cell = h("td", { colspan: "6" }, h("time", {}, clock(entry.time)), ` ${entry.note}`);
      return h("tr", { class: "note" }, cell);
    }
    const { orderId, time, total } = entry;
    const iso = new Date(time).toISOString();
    const row = h("tr", { class: fresh && "fresh", "data-order": orderId, "data-current": orderId === this.#current },
      h("td", {}, h("time", { datetime: iso, title: iso }, clockOrDay(time))),
      h("td", { class: "id" }, h("a", { href: `#/orders/${orderId}`, title: orderId }, shortId(orderId)), copyButton(orderId, "order id")),
      h("td", { class: "event" }, eventWord(entry.event)),
      h("td", { class: "status" }, statusPill(entry.status), entry.held && heldPill()),
      h("td", { class: "number version" }, `v${entry.version}`),
      h("td", { class: "number total" }, total ? money(total.amountMinor, total.currency) : h("span", { class: "quiet" }, "–")),
    );
    row.dataset.version = entry.version;
    return row;
  }
}

/** A button that copies `text`; `what` names it to those who do not see it. */
export function copyButton(text, what) {
  const button = h("button", { type: "button", class: "copy", title: `Copy ${text}`, "aria-label": `Copy the ${what} ${text}` }, shape(ICONS.copy));
  button.onclick = async () => {
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    // Without a secure connection scripts may not write: the text is shown for the reader's own copying.
    if (!copied) return void prompt(`The ${what}:`, text);
    say(byId("spoken"), `Copied the ${what}.`);
    button.replaceChildren(shape(ICONS.done));
    setTimeout(() => button.replaceChildren(shape(ICONS.copy)), 1_500);
  };
  return button;
}

function openRow(event) {
  const row = event.target.closest("tr[data-order]");
  const selecting = !getSelection().isCollapsed;
  if (row && !selecting && !event.target.closest("a, button")) location.hash = `#/orders/${row.dataset.order}`;
}

function options(select, all, words) {
  const listed = Object.entries(words).map(([value, word]) => h("option", { value }, word));
  select.append(h("option", { value: "" }, all), ...listed);
}
