// The state of the connection, in words: in the bar, and over the page when what it shows is old.

import { byId, say, sayOrHide } from "./dom.js";
import { clock } from "./format.js";

/** Shows `phase`; `lastEventMs` is when the last event happened, by the browser's clock. */
export function showPhase(phase, lastEventMs, now) {
  const { text, banner } = words(phase, lastEventMs, now);
  const state = byId("connection");
  say(state, text);
  state.dataset.phase = phase.name;
  sayOrHide(byId("banner"), banner);
}

export function words(phase, lastEventMs, now) {
  switch (phase.name) {
    case "live":
      return { text: "live", banner: null };
    case "connecting": {
      const last = lastEventMs === null ? "" : `, last event ${Math.max(0, Math.round((now - lastEventMs) / 1000))} s ago`;
      return { text: `connecting${last || " …"}`, banner: null };
    }
    case "stale":
      if (phase.since === null) {
        return { text: "no connection", banner: "The server cannot be reached. Trying on." };
      }
      return {
        text: `stale since ${clock(phase.since)}`,
        banner: `What you see is as of ${clock(phase.since)}. The connection is lost; when it is back, the events since then follow.`,
      };
    default:
      return { text: "not watching", banner: null };
  }
}
