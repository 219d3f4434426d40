// One endpoint: a row of its pool's table.
import { Chart } from "./charts.js";
import { cell, element, row, setAttribute, setText } from "./dom.js";
import { clock, count, duration, milliseconds, percent, rate } from "./format.js";
import { look, word } from "./states.js";

const ADMIN_STATES = ["ready", "drain", "maint"];

export const COLUMNS = [
  ["State", "c-state"],
  ["Endpoint", "c-endpoint"],
  ["Weight", "c-weight number"],
  ["In flight", "c-flight number"],
  ["Req/s", "c-rate number"],
  ["Errors", "c-errors number"],
  ["p50 ms", "c-p50 number"],
  ["p95 ms", "c-p95 number"],
  ["p99 ms", "c-p99 number"],
  ["Last minutes", "c-trend"],
  ["Admin state", "c-admin"],
];

const MEASURED = [
  ["rate", "Req/s", (numbers) => rate(numbers?.requests_per_second)],
  ["errors", "Errors", (numbers) => percent(numbers?.error_rate)],
  ["p50", "p50 ms", (numbers) => milliseconds(numbers?.p50_ms)],
  ["p95", "p95 ms", (numbers) => milliseconds(numbers?.p95_ms)],
  ["p99", "p99 ms", (numbers) => milliseconds(numbers?.p99_ms)],
];

export class EndpointRow {
  constructor(endpoint, actions) {
    this.endpoint = endpoint;
    this.state = element("span", { class: "state" });
    this.age = element("span", { class: "age" });
    this.reason = element("span", { class: "reason" });
    const marks = endpoint.backup ? [" ", element("span", { class: "mark" }, "backup")] : [];
    const name = element("span", { class: "name" }, endpoint.url);
    this.weight = element("button", { type: "button", class: "weight", onclick: () => actions.weigh(this.endpoint) });
    this.flight = cell("c-flight number", "In flight");
    this.measured = MEASURED.map(([key, label]) => cell(`c-${key} number`, label));
    this.trend = element("div", { class: "spark", "aria-hidden": "true" });
    this.chart = new Chart(this.trend, [["--accent", true], ["--bad", false]], { height: 26 });
    this.buttons = ADMIN_STATES.map((admin) => this.button(admin, actions));
    const group = { class: "group", role: "group", "aria-label": `Admin state of ${endpoint.url}` };
    this.node = row(
      {},
      cell("c-state", "State", this.state, " ", this.age),
      cell("c-endpoint", "Endpoint", name, ...marks, " ", this.reason),
      cell("c-weight number", "Weight", this.weight),
      this.flight,
      ...this.measured,
      cell("c-trend", "Last minutes", this.trend),
      cell("c-admin", "Admin state", element("div", group, ...this.buttons)),
    );
  }

  button(admin, actions) {
    const title = admin[0].toUpperCase() + admin.slice(1);
    const label = `${title} ${this.endpoint.pool}/${this.endpoint.name}`;
    const press = () => actions.setState(this.endpoint, admin);
    return element("button", { type: "button", "aria-label": label, "data-admin": admin, onclick: press }, title);
  }

  /** Show how the endpoint is. Returns whether its state is another one than before. */
  showEndpoint(endpoint) {
    const changed = this.endpoint.state !== endpoint.state;
    this.endpoint = endpoint;
    setText(this.state, word(endpoint.state));
    setAttribute(this.state, "class", `state ${look(endpoint.state)}`);
    setText(this.age, duration(endpoint.for_seconds));
    setText(this.reason, reasonOf(endpoint));
    setAttribute(this.reason, "title", reasonOf(endpoint)); // which may be cut off
    setAttribute(this.node, "class", look(endpoint.state));
    this.showWeight(endpoint);
    setText(this.flight, flight(endpoint));
    for (const button of this.buttons) {
      setAttribute(button, "aria-pressed", String(button.dataset.admin === endpoint.admin));
    }
    return changed;
  }

  showWeight(endpoint) {
    const { weight, effective_weight: effective, configured_weight: configured } = endpoint;
    setText(this.weight, effective === weight ? count(weight) : `${count(weight)} → ${effective.toFixed(1)}`);
    const past = weight === configured ? "" : `, configured is ${configured}`;
    const ramp = effective === weight ? "" : `, ${effective} now in its slow start`;
    setAttribute(this.weight, "aria-label", `Weight ${weight}${past}${ramp}: change it for ${endpoint.pool}/${endpoint.name}`);
    setAttribute(this.weight, "class", weight === configured ? "weight" : "weight changed");
  }

  /** Show its numbers and its line; null when they are not known. */
  showNumbers(numbers, times, line) {
    MEASURED.forEach(([, , format], index) => setText(this.measured[index], format(numbers)));
    this.measured[1].classList.toggle("bad", (numbers?.error_rate ?? 0) > 0);
    if (line !== null) this.chart.draw(times, line.requests_per_second, line.errors_per_second.map(someOnly));
  }

  /** Return whether every word stands in the pool, the address, the state or the reason. */
  matches(words, onlyUnusable) {
    const { pool, url, state, reason, usable } = this.endpoint;
    if (onlyUnusable && usable) return false;
    const text = `${pool} ${url} ${word(state)} ${reason}`.toLowerCase();
    return words.every((each) => text.includes(each));
  }

  close() {
    this.chart.close();
  }
}

/** A line of no errors would look like one of errors. */
const someOnly = (errors) => (errors > 0 ? errors : null);

function reasonOf(endpoint) {
  const check = endpoint.last_check;
  const text = endpoint.reason || check?.text || "";
  if (endpoint.ejected_until) return `${text}, until ${clock(endpoint.ejected_until)}`;
  // Who holds an endpoint wants to know whether it would be up.
  if (["draining", "maint"].includes(endpoint.state) && check !== null) return `${text}; last check: ${check.text}`;
  return text;
}

function flight(endpoint) {
  const most = endpoint.max_requests;
  return most ? `${count(endpoint.in_flight)} / ${count(most)}` : count(endpoint.in_flight);
}
