// What happens to endpoints, as it happens, newest first.
import { follow } from "./api.js";
import { byId, element, empty, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { look } from "./states.js";

const KEPT = 200;
const HISTORY = 100;
const AGAIN = 2000; // ms
const BEFORE = { up: "down", down: "up", restored: "out", ready: "out" };

export class Events {
  /** `happened` is called at each event. */
  constructor(happened) {
    this.happened = happened;
    this.lastId = null;
    this.stop = null;
    // lbg has room for a hundred readers, and a browser for six connections to one place.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop?.abort();
      else this.start();
    });
  }

  async start() {
    if (this.stop !== null || document.hidden) return;
    this.stop = new AbortController();
    while (!document.hidden) {
      try {
        setText(byId("following"), "live");
        await follow(this.path(), (event) => this.show(event), this.stop.signal);
      } catch {
        // the banner tells that lbg does not answer
      }
      setText(byId("following"), "not connected");
      if (!document.hidden) await new Promise((resume) => setTimeout(resume, AGAIN));
    }
    this.stop = null;
    if (!document.hidden) this.start();
  }

  path() {
    return `api/v1/events?${this.lastId === null ? `history=${HISTORY}` : `since=${this.lastId}`}`;
  }

  show(event) {
    this.lastId = event.id;
    const list = byId("event-list");
    list.prepend(item(event));
    while (list.children.length > KEPT) list.lastChild.remove();
    this.happened(event);
  }
}

function item(event) {
  const before = BEFORE[event.kind];
  const lasted = event.after_seconds && before ? ` (was ${before} for ${duration(event.after_seconds)})` : "";
  return element(
    "li",
    {},
    element("time", { datetime: event.time }, clock(event.time)),
    element("span", { class: `state ${look(event.kind)}` }, event.kind.replaceAll("_", " ")),
    element(
      "span",
      { class: "what" },
      element("span", { class: "name" }, [event.pool, event.endpoint].filter(Boolean).join(" ")),
      ` ${event.text}${lasted}`,
    ),
  );
}
