// One order, kept as it is on the server: read when it is chosen, and again when an event of it, or of its stock, arrives.

import { get } from "./api.js";
import { byId } from "./dom.js";
import { placeOf } from "./event-log.js";
import { explain } from "./failure.js";
import { isId } from "./format.js";
import * as view from "./order-view.js";
import { readStock, skusOf, stockTable } from "./stock.js";
import { timeline } from "./timeline.js";

// Events read at once; the server gives no more.
const PAGE = 200;
// Other orders move the same stock all the time; a number that changes more often cannot be read.
const STOCK_EVERY_MS = 1_000;

export class OrderPane {
  #pane = byId("order");
  #onUnauthenticated;
  #id = null;
  #order = null;
  #etag = null;
  #events = new Map();
  #levels = null;
  #asked = null;
  #reading = false;
  #again = false;
  #timer = null;
  #stockTimer = null;

  constructor(onUnauthenticated) {
    this.#onUnauthenticated = onUnauthenticated;
  }

  /** The order that is shown, or null. */
  get id() {
    return this.#id;
  }

  /** Shows the order `id`, or none. */
  show(id) {
    this.#forget();
    this.#id = id;
    document.body.toggleAttribute("data-order", id !== null);
    if (id === null) return this.#fill(view.nothingChosen());
    if (!isId(id)) {
      const words = { title: "That is no order id", text: "An order id is a UUID, such as 0190a5c1-2b3c-7d4e-8f50-617283940516." };
      return this.#fill(view.head(id), view.failed(words));
    }
    this.#asked = new AbortController();
    this.#fill(view.head(id), view.loading());
    this.#read();
  }

  /** Takes note of an event, of whichever order. */
  onEvent(event) {
    if (!this.#asked) return;
    const { orderId, version } = placeOf(event);
    if (orderId === this.#id) {
      if (version > (this.#order?.version ?? 0)) this.#read();
    } else if (this.#order && moves(event, skusOf(this.#order))) {
      this.#stockTimer ??= setTimeout(() => this.#readStockAlone(), STOCK_EVERY_MS);
    }
  }

  /** Reads everything anew: events were missed. */
  reread() {
    if (this.#asked) this.#read();
  }

  #forget() {
    this.#asked?.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#stockTimer);
    this.#asked = this.#order = this.#etag = this.#levels = this.#timer = this.#stockTimer = null;
    this.#reading = this.#again = false;
    this.#events = new Map();
  }

  /** Reads the order, one reading at a time: what arrives meanwhile makes it read once more. */
  async #read() {
    if (this.#reading) return void (this.#again = true);
    const { signal } = this.#asked;
    this.#reading = true;
    try {
      do {
        this.#again = false;
        await this.#readOnce(signal);
      } while (this.#again && !signal.aborted);
    } catch (error) {
      if (!signal.aborted) this.#fail(error, "orders");
    } finally {
      if (!signal.aborted) this.#reading = false;
    }
  }

  async #readOnce(signal) {
    const { body: order, etag } = await get(`/v1/orders/${this.#id}`, signal);
    const known = Math.max(0, ...this.#events.keys());
    await this.#readEvents(Math.max(known, order.version - PAGE), signal);
    const levels = await readStock(skusOf(order), signal);
    if (signal.aborted) return;
    [this.#order, this.#etag, this.#levels] = [order, etag, levels];
    this.#draw();
  }

  async #readEvents(after, signal) {
    for (let path = `/v1/orders/${this.#id}/events?after=${after}&limit=${PAGE}`; path; ) {
      const { body } = await get(path, signal);
      for (const event of body.events) this.#events.set(event.data.version, event);
      path = body.next;
    }
  }

  async #readStockAlone() {
    this.#stockTimer = null;
    const { signal } = this.#asked;
    try {
      const levels = await readStock(skusOf(this.#order), signal);
      if (signal.aborted) return;
      this.#levels = levels;
      this.#draw();
    } catch {
      // The next event asks again.
    }
  }

  async #earlier() {
    const first = Math.min(...this.#events.keys());
    const { signal } = this.#asked;
    try {
      const path = `/v1/orders/${this.#id}/events?after=${Math.max(0, first - 1 - PAGE)}&limit=${Math.min(PAGE, first - 1)}`;
      const { body } = await get(path, signal);
      for (const event of body.events) this.#events.set(event.data.version, event);
      this.#draw();
    } catch (error) {
      if (!signal.aborted) this.#fail(error, "orders");
    }
  }

  #fail(failure, what) {
    if (failure.status === undefined) throw failure;
    if (failure.status === 401) return this.#onUnauthenticated();
    if (failure.passes) this.#timer = setTimeout(() => this.reread(), failure.retryAfterS * 1_000);
    // What was read stays: old, as the bar says, but not gone.
    if (this.#order && failure.passes) return;
    this.#fill(view.head(this.#id), view.failed(explain(failure, what)));
  }

  #draw() {
    const order = this.#order;
    const earlier = Math.min(...this.#events.keys()) > 1 ? () => this.#earlier() : null;
    this.#fill(
      view.head(order.order_id, order),
      ...view.notices(order).filter(Boolean),
      ...view.facts(order, this.#etag),
      view.part("Lines", view.lines(order)),
      view.part("History", ...timeline([...this.#events.values()], earlier).filter(Boolean)),
      view.part("Stock of its SKUs", ...stockTable(this.#levels, skusOf(order)).filter(Boolean)),
    );
  }

  #fill(...content) {
    const { scrollTop } = this.#pane;
    this.#pane.replaceChildren(...content);
    this.#pane.scrollTop = scrollTop;
  }
}

/** Whether an event of another order moves the stock of one of these SKUs. One that names no SKU may. */
function moves({ type, data }, skus) {
  const named = (data.lines ?? []).filter((line) => line.sku);
  if (named.length > 0) return named.some((line) => skus.includes(line.sku));
  return /^order\.(shipped|cancelled|returned)\./.test(type);
}
