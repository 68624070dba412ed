// The page: who is logged in, which order is shown, and what keeps both current.

import { get } from "./api.js";
import { showPhase } from "./connection.js";
import { byId, say } from "./dom.js";
import { EventLog } from "./event-log.js";
import { EventStream } from "./event-stream.js";
import { Feed } from "./feed.js";
import { date, whole } from "./format.js";
import { OrderPane } from "./order.js";
import { askForKey, logIn, logOut, takeLinkedKey, whoIs, words } from "./session.js";

const ORDER_LINK = /^#\/orders\/(.+)$/;
const ENDED = "Your session has ended. Log in again.";

/** A person's time at the page, from login to logout. */
class Visit {
  #log = new EventLog();
  #feed = new Feed(this.#log);
  #order = new OrderPane(() => restart());
  #lastEventMs = null;
  #stream;

  constructor(session) {
    byId("app").hidden = false;
    showAccount(session);
    this.#stream = new EventStream({
      event: (event) => this.#onEvent(event),
      reset: () => this.#onReset(),
      change: () => this.#tick(),
      refused: (failure) => this.#onRefused(failure),
    });
    window.onhashchange = () => this.#move();
    byId("search").onsubmit = (event) => this.#search(event);
    this.#route();
    this.#tick();
    this.#stream.run();
  }

  #onEvent(event) {
    const { entry, missing } = this.#log.add(event);
    if (!entry) return;
    this.#lastEventMs = Math.max(this.#lastEventMs ?? 0, entry.time + this.#stream.skewMs);
    if (missing !== null) this.#fill(entry, missing);
    this.#order.onEvent(event);
    this.#feed.changed();
  }

  /** Reads the versions between `after` and the one of `entry`, which the stream did not bring. */
  async #fill(entry, after) {
    try {
      const { body } = await get(`/v1/orders/${entry.orderId}/events?after=${after}&limit=${Math.min(200, entry.version - after - 1)}`);
      this.#log.fill(entry, body.events);
      this.#feed.changed();
    } catch {
      // The order itself shows them.
    }
  }

  #onReset() {
    this.#log.note("The stream no longer had what followed here: events are missing below this line. Orders are read anew.", Date.now());
    this.#feed.changed();
    this.#order.reread();
  }

  #onRefused(failure) {
    if (failure.status === 401) return restart();
    say(byId("feed-empty"), `The API key you logged in with may not watch events: ${failure.message}.`);
  }

  #tick() {
    const now = Date.now();
    showPhase(this.#stream.phase, this.#lastEventMs, now);
    say(byId("rate-count"), whole(this.#log.lastMinute(now - this.#stream.skewMs)));
  }

  async #route() {
    const key = takeLinkedKey();
    if (key !== null) {
      await logIn(key).catch(() => {});
      return location.reload();
    }
    const id = ORDER_LINK.exec(location.hash)?.[1] ?? null;
    const chosen = id === null ? null : decoded(id).trim().toLowerCase();
    if (chosen !== this.#order.id || chosen === null) this.#order.show(chosen);
    this.#feed.mark(chosen);
    document.title = chosen ? `${chosen.slice(-8)} · Orderly` : "Orderly";
  }

  /** Follows a link, and takes the keyboard along. */
  async #move() {
    const before = this.#order.id;
    await this.#route();
    if (this.#order.id !== null) byId("order").focus({ preventScroll: true });
    else if (before !== null) this.#feed.focus(before);
  }

  #search(event) {
    event.preventDefault();
    const field = byId("search-id");
    const id = field.value.trim();
    if (id === "") return;
    location.hash = `#/orders/${encodeURIComponent(id)}`;
    field.value = "";
  }
}

function showAccount({ name, key_id: keyId, scopes, expires_at: expiresAt }) {
  say(byId("account-name"), name);
  say(byId("account-key"), `${name} (${keyId})`);
  say(byId("account-scopes"), scopes.join(", "));
  say(byId("account-until"), date(Date.parse(expiresAt)));
}

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** Begins anew, without anything of the session that ended. */
function restart(reason = ENDED) {
  sessionStorage.setItem("reason", reason);
  location.reload();
}

async function logInAtStart() {
  let reason = sessionStorage.getItem("reason");
  sessionStorage.removeItem("reason");
  const linked = takeLinkedKey();
  if (linked !== null) {
    try {
      await logIn(linked);
    } catch (error) {
      reason = words(error);
    }
  }
  for (;;) {
    const session = await whoIs().catch(() => null);
    if (session) return session;
    await askForKey(reason);
    reason = "The browser did not keep the session. Are its cookies off?";
  }
}

byId("skip").onclick = (event) => (event.preventDefault(), byId("main").focus());
byId("logout").onclick = () => logOut().then(() => restart(""), () => restart(""));
document.addEventListener("click", (event) => {
  if (!event.target.closest("#account")) byId("account").open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") byId("account").open = false;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) (event.preventDefault(), byId("search-id").focus());
});

new Visit(await logInAtStart());
