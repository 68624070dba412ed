// The stream of status events, kept open: through lost connections, a server that restarts, and a computer that slept. Knows
// what was heard when; what it means for the page is told by its phase.
//
// Read by `fetch`, not by EventSource: that one hides heartbeats, so a dead connection would look alive, and it hides why the
// server refused.

import { failureOf } from "./api.js";
import { FrameReader } from "./frames.js";

// The server's heartbeats come after 15 s of silence; with 5 s for a slow way, what is silent longer is dead.
export const SILENCE_MS = 20_000;
// A restart or a passing loss is over by then; what lasts longer, the reader must know.
const STALE_AFTER_MS = 5_000;
// The server says how long to wait after it ended a stream; this is for when it never said.
const RETRY_MS = 2_000;
const LONGEST_PAUSE_MS = 15_000;

const OWN_CLOCK = () => Date.now();

export class EventStream {
  #on;
  #now;
  #stopped = false;
  #open = false;
  #attempt = null;
  #wake = () => {};
  #lastEventId = "";
  #retryMs = RETRY_MS;
  #began;
  #heard = null;
  #lost = null;
  #refused = null;
  /** The browser's clock minus the server's, in milliseconds. */
  skewMs = 0;

  /** `on` has the functions `event`, `reset`, `change`, and `refused`. */
  constructor(on, now = OWN_CLOCK) {
    this.#on = on;
    this.#now = now;
    this.#began = now();
  }

  /** Reads until `stop`, or until the server refuses for good. */
  async run() {
    const woken = () => this.#look();
    const signals = [[window, "online"], [window, "pageshow"], [document, "visibilitychange"]];
    for (const [target, name] of signals) target.addEventListener(name, woken);
    const watch = setInterval(woken, 1_000);
    for (let failures = 0; !this.#stopped && !this.#refused; ) {
      const { heard, waitMs } = await this.#read();
      failures = heard ? 0 : failures + 1;
      if (this.#stopped || this.#refused) break;
      await this.#pause(waitMs ?? pauseMs(failures, this.#retryMs));
    }
    clearInterval(watch);
    for (const [target, name] of signals) target.removeEventListener(name, woken);
  }

  stop() {
    this.#stopped = true;
    this.#attempt?.abort();
    this.#wake();
  }

  /**
   * How far what the page shows can be trusted: `live`; `connecting`; or `stale` with `since`, when the server was last heard.
   */
  get phase() {
    const now = this.#now();
    if (this.#refused) return { name: "refused", failure: this.#refused };
    if (this.#open && now - this.#heard <= SILENCE_MS) return { name: "live" };
    const missedFor = now - (this.#open ? this.#heard + SILENCE_MS : (this.#lost ?? this.#began));
    return missedFor > STALE_AFTER_MS ? { name: "stale", since: this.#heard } : { name: "connecting" };
  }

  /** Ends an attempt that has gone silent, and a pause when there is reason to hope. */
  #look() {
    const since = Math.max(this.#heard ?? 0, this.#attempt?.begun ?? 0);
    if (this.#attempt && this.#now() - since > SILENCE_MS) this.#attempt.abort();
    if (document.visibilityState === "visible" && navigator.onLine) this.#hope();
    this.#on.change();
  }

  // A page that comes back to the front, or gets its network back, does not wait out a long pause.
  #hope() {
    if (this.#pausedSince !== null && this.#now() - this.#pausedSince > this.#retryMs) this.#wake();
  }

  #pausedSince = null;

  async #pause(ms) {
    this.#pausedSince = this.#now();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => (clearTimeout(timer), resolve());
    });
    this.#pausedSince = null;
  }

  /** One connection. Answers with whether anything was heard, and how long to wait if the server said so. */
  async #read() {
    const attempt = new AbortController();
    attempt.begun = this.#now();
    this.#attempt = attempt;
    let heard = false;
    try {
      const headers = this.#lastEventId ? { "Last-Event-ID": this.#lastEventId } : {};
      const response = await fetch("/v1/events?from=recent", { headers, signal: attempt.signal, cache: "no-store" });
      if (!response.ok) return await this.#refusedBy(response);
      const date = Date.parse(response.headers.get("Date"));
      if (date) this.skewMs = this.#now() - date;
      this.#open = true;
      heard = true;
      await this.#frames(response.body.getReader());
    } catch {
      // Lost, or given up: either way the next attempt says more.
    } finally {
      if (this.#open) this.#lost = this.#now();
      this.#open = false;
      this.#attempt = null;
      attempt.abort();
      this.#on.change();
    }
    return { heard };
  }

  async #frames(body) {
    const reader = new FrameReader(this.#lastEventId);
    const text = new TextDecoder();
    this.#hear();
    for (;;) {
      const { done, value } = await body.read();
      if (done) return;
      this.#hear();
      for (const frame of reader.push(text.decode(value, { stream: true }))) {
        const data = JSON.parse(frame.data);
        if (frame.type === "reset") this.#on.reset(data.reason);
        else this.#on.event(data);
        // Only now: what could not be taken is asked for again.
        this.#lastEventId = frame.id;
      }
      this.#lastEventId = reader.lastEventId;
      this.#retryMs = reader.retry ?? this.#retryMs;
    }
  }

  #hear() {
    const wasLive = this.#open && this.#heard !== null && this.phase.name === "live";
    this.#heard = this.#now();
    if (!wasLive) this.#on.change();
  }

  async #refusedBy(response) {
    const failure = await failureOf(response);
    if (response.status === 400 && this.#lastEventId) {
      // The place is one of another stream.
      this.#lastEventId = "";
      this.#on.reset("unknown_position");
    } else if (response.status === 401 || response.status === 403) {
      this.#refused = failure;
      this.#on.refused(failure);
    }
    return { heard: false, waitMs: response.status === 503 ? failure.retryAfterS * 1_000 : undefined };
  }
}

/** Twice as long after each failure, up to a limit; spread, so that not every page comes back at once. */
function pauseMs(failures, retryMs) {
  const longest = Math.min(retryMs * 2 ** Math.max(0, failures - 1), LONGEST_PAUSE_MS);
  return longest * (0.75 + Math.random() / 4);
}
