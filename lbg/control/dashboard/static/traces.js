// Slow and failed requests, each with its explanation.
import { get, getIfThere } from "./api.js";
import { copyable } from "./clipboard.js";
import { openDialog } from "./dialog.js";
import { byId, cell, element, empty, row, table } from "./dom.js";
import { clock, milliseconds } from "./format.js";
import { look } from "./states.js";

const LISTED = 50;
const COLUMNS = [
  ["Time", "c-time"],
  ["Kind", "c-kind"],
  ["Status", "c-status number"],
  ["Request", "c-request"],
  ["Endpoint", "c-where"],
  ["Took ms", "c-took number"],
  ["What happened", "c-sentence"],
];

export class Traces {
  constructor() {
    this.rows = new Map(); // by id
    this.body = null; // of the table, when there is one
    byId("kind").addEventListener("change", () => this.refresh());
  }

  async refresh() {
    const kind = byId("kind").value;
    const answer = await getIfThere(`api/v1/traces?limit=${LISTED}${kind && `&kind=${kind}`}`, "traces");
    if (answer === null) this.say("Not available: this lbg does not explain requests.");
    else if (answer.traces.length === 0) this.say("None so far.");
    else this.show(answer.traces);
  }

  say(text) {
    this.body = null;
    this.rows.clear();
    byId("trace-list").replaceChildren(empty(text));
  }

  /** Only add and remove: whoever reads or has the focus in the list stays there. */
  show(traces) {
    if (this.body === null) {
      const requests = table("Slow and failed requests, newest first", COLUMNS, [], { class: "traces" });
      this.body = requests.querySelector("tbody");
      byId("trace-list").replaceChildren(element("div", { class: "scroll" }, requests));
    }
    const wanted = new Set(traces.map((trace) => trace.id));
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    let above = null;
    for (const trace of traces) {
      const known = this.rows.get(trace.id);
      const row = known ?? line(trace);
      if (known === undefined) {
        if (above === null) this.body.prepend(row);
        else above.after(row);
        this.rows.set(trace.id, row);
      }
      above = row;
    }
  }
}

function line(trace) {
  const open = { type: "button", class: "link", "data-id": trace.id, onclick: () => show(trace) };
  return row(
    {},
    cell("c-time", "Time", clock(trace.at)),
    cell("c-kind", "Kind", kind(trace)),
    cell("c-status number", "Status", status(trace)),
    cell("c-request", "Request", element("button", open, `${trace.method} ${trace.path}`), " ", element("span", { class: "host" }, trace.host ?? "")),
    cell("c-where", "Endpoint", where(trace)),
    cell("c-took number", "Took ms", milliseconds(trace.took_ms)),
    cell("c-sentence", "What happened", trace.sentence ?? trace.reason ?? ""),
  );
}

// Whoever leaves a stream ends it so: nothing went wrong.
const kind = (trace) =>
  trace.reason === "client_gone"
    ? element("span", { class: "state neutral" }, "client left")
    : element("span", { class: `state ${look(trace.kind)}` }, trace.kind);
const status = (trace) => (trace.status ? String(trace.status) : "–");
const where = (trace) => [trace.pool, trace.endpoint].filter(Boolean).join("/") || "–";

async function show(trace) {
  byId("trace-title").textContent = `${trace.method} ${trace.host ?? ""}${trace.path}`;
  byId("trace-body").replaceChildren(empty("Loading…"));
  const closed = openDialog(byId("trace"));
  try {
    byId("trace-body").replaceChildren(...whole(await get(`api/v1/traces/${encodeURIComponent(trace.id)}`)));
  } catch (error) {
    byId("trace-body").replaceChildren(empty(`Not available: ${error.message}`));
  }
  await closed;
}

function whole(trace) {
  const parts = [element("p", { class: "sentence" }, trace.sentence ?? "")];
  if (trace.advice) parts.push(element("p", { class: "advice" }, element("strong", {}, "Advice: "), trace.advice));
  parts.push(facts(trace));
  const { attempts, candidates, filters, steps } = trace;
  if (attempts?.length) parts.push(heading("Attempts"), attemptTable(attempts));
  if (candidates?.length) parts.push(heading("Candidates"), candidateTable(candidates));
  if (filters?.length) parts.push(heading("Filters"), element("p", {}, filters.map(filterText).join(" → ")));
  if (steps?.length) {
    parts.push(heading("Steps"), element("ol", { class: "steps" }, ...steps.map((step) => element("li", {}, step.text ?? ""))));
  }
  return parts;
}

const heading = (text) => element("h3", {}, text);
const filterText = (filter) => (typeof filter === "string" ? filter : (filter.name ?? JSON.stringify(filter)));

function facts(trace) {
  const known = [
    ["Request id", copyable("the request id", trace.id)],
    ["Time", clock(trace.at)],
    ["Status", [status(trace), trace.reason].filter(Boolean).join(" ")],
    ["Took", `${milliseconds(trace.took_ms)} ms`],
    ["In queue", trace.queue_ms ? `${milliseconds(trace.queue_ms)} ms` : ""],
    ["Route", trace.route],
    ["Endpoint", where(trace)],
    ["Setting", trace.setting],
    ["Trace id", trace.trace_id],
  ].filter(([, value]) => value);
  const items = known.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, ...[value].flat())));
  return element("dl", { class: "facts" }, ...items);
}

function attemptTable(attempts) {
  const columns = ["Endpoint", "Outcome", ["Connect ms", "number"], ["First byte ms", "number"], ["All ms", "number"]];
  const rows = attempts.map((attempt) =>
    row(
      {},
      cell("name", "Endpoint", attempt.endpoint ?? "–"),
      cell("c-outcome", "Outcome", outcome(attempt)),
      cell("number", "Connect ms", attempt.reused ? "kept" : milliseconds(attempt.connect_ms)),
      cell("number", "First byte ms", milliseconds(attempt.ttfb_ms)),
      cell("number", "All ms", milliseconds(attempt.ms)),
    ),
  );
  return table("Attempts, in order", columns, rows, { class: "plain" });
}

function outcome(attempt) {
  return [attempt.status ? `status ${attempt.status}` : "", attempt.error, attempt.text].filter(Boolean).join(", ") || "–";
}

function candidateTable(candidates) {
  const rows = candidates.map(({ endpoint, usable, why }) =>
    row(
      {},
      cell("name", "Endpoint", endpoint),
      cell("c-kind", "Usable", element("span", { class: `state ${usable ? "good" : "bad"}` }, usable ? "usable" : "not usable")),
      cell("c-why", "Why", why ?? ""),
    ),
  );
  return table("Endpoints that could have been chosen", ["Endpoint", "Usable", "Why"], rows, { class: "plain" });
}
