// What an operator changes: the admin state and the weight of an endpoint, and bans.
import { post, remove } from "./api.js";
import { openDialog } from "./dialog.js";
import { byId, setText } from "./dom.js";

const DONE = { ready: "is ready", drain: "drains", maint: "is in maintenance" };

const SHOWN = 8000; // ms
let hiding = 0;

export class Actions {
  /** `changed` is called after each change. */
  constructor(changed) {
    this.changed = changed;
  }

  async setState(endpoint, state) {
    if (state === "maint" && !(await this.confirm(endpoint))) return;
    const name = `${endpoint.pool}/${endpoint.name}`;
    await this.change(name, DONE[state], () => post(`${pathOf(endpoint)}/state`, { state }));
  }

  confirm(endpoint) {
    setText(byId("confirm-title"), `Maintenance for ${endpoint.pool}/${endpoint.name}?`);
    const inFlight = endpoint.in_flight === 1 ? "1 request is" : `${endpoint.in_flight} requests are`;
    setText(
      byId("confirm-text"),
      `It gets no new requests at all, of known clients neither. ${inFlight} in flight and may finish.`,
    );
    setText(byId("confirm-yes"), "Start maintenance");
    return openDialog(byId("confirm"));
  }

  async weigh(endpoint) {
    const input = byId("weight-input");
    const name = `${endpoint.pool}/${endpoint.name}`;
    setText(byId("weight-title"), `Weight of ${name}`);
    setText(byId("weight-note"), `Configured is ${endpoint.configured_weight}. Another weight holds over reloads.`);
    input.value = endpoint.weight;
    if (!(await openDialog(byId("weight")))) return;
    const weight = Number(input.value);
    await this.change(name, `has weight ${weight}`, () => post(`${pathOf(endpoint)}/weight`, { weight }));
  }

  async unban(ban) {
    const path = `api/v1/bans/${encodeURIComponent(ban.key)}?limit=${encodeURIComponent(ban.limit)}`;
    await this.change(ban.key, "is not banned any more", () => remove(path));
  }

  async change(name, done, act) {
    try {
      await act();
      notice(`${name} ${done}.`, "");
    } catch (error) {
      notice(`${name} was not changed: ${error.message}`, "bad");
    }
    this.changed();
  }
}

function pathOf(endpoint) {
  const [pool, name] = [endpoint.pool, endpoint.name].map(encodeURIComponent);
  return `api/v1/pools/${pool}/endpoints/${name}`;
}

function notice(text, look) {
  const place = byId("notice");
  place.className = `notice ${look}`;
  place.textContent = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => (place.textContent = ""), SHOWN);
}
