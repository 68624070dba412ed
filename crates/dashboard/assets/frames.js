// The frames of an event stream (WHATWG HTML, section 9.2.6), comments too: the browser's own EventSource hides those, and
// the server's heartbeats are comments.

// An event carries up to 1,000 lines of an order, some 100 kB; what is much longer is no event stream.
const LINE_CHARS = 4_000_000;

export class FrameReader {
  #rest = "";
  #type = "";
  #data = null;
  /** The place in the stream: to be sent as `Last-Event-ID`. */
  lastEventId;
  /** How long the server wants to be left alone after a loss, in milliseconds. */
  retry = null;

  constructor(lastEventId = "") {
    this.lastEventId = lastEventId;
  }

  /** Reads on; answers with the frames that are complete by now, each with type, data and id. */
  push(text) {
    this.#rest += text;
    const frames = [];
    const breaks = /\r\n|\n|\r/g;
    let begin = 0;
    for (let found; (found = breaks.exec(this.#rest)) !== null; begin = breaks.lastIndex) {
      // It may be the first half of a line break.
      if (found[0] === "\r" && breaks.lastIndex === this.#rest.length) break;
      this.#line(this.#rest.slice(begin, found.index), frames);
    }
    this.#rest = this.#rest.slice(begin);
    if (this.#rest.length > LINE_CHARS) throw new Error("a line of the event stream does not end");
    return frames;
  }

  #line(line, frames) {
    if (line === "") {
      if (this.#data !== null) frames.push({ type: this.#type || "message", data: this.#data, id: this.lastEventId });
      this.#type = "";
      this.#data = null;
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    else if (name === "id" && !value.includes("\0")) this.lastEventId = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
