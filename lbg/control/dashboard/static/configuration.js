// The configuration in force, section by section; lbg hides what is secret in it.
import { getIfThere } from "./api.js";
import { byId, element, empty, setHidden, setText } from "./dom.js";
import { clock } from "./format.js";

const NAMED = 4; // endpoints; of more only the number is told

export class Configuration {
  constructor() {
    this.shown = null;
  }

  /** Read it again when status tells of another one. */
  async refresh(config) {
    const { generation, digest } = config;
    setText(byId("config-source"), `${amended(config)}; generation ${generation}`);
    showTrouble(config);
    const wanted = `${generation} ${digest}`;
    if (wanted === this.shown) return;
    const answer = await getIfThere("api/v1/config", "config");
    if (answer === null) {
      byId("config-list").replaceChildren(empty("Not available: this lbg does not tell its configuration."));
      return;
    }
    this.shown = wanted;
    byId("config-list").replaceChildren(...Object.entries(answer.config).map(section));
  }
}

/** Tell what the configuration is, and what was removed and added while lbg ran. */
function amended({ source, removed, added }) {
  const parts = [source];
  if (removed.length > 0) parts.push(`without ${listed(removed)} (lbg remove)`);
  if (added.length > 0) parts.push(`with ${listed(added)} (lbg add)`);
  return parts.join(", ");
}

function listed(names) {
  return names.length > NAMED ? `${names.length} endpoints` : names.join(" and ");
}

function showTrouble({ source, error }) {
  const banner = byId("trouble");
  setHidden(banner, error === null);
  if (error === null) return;
  const since = clock(error.since);
  setText(banner, `${source} was not taken up since ${since}: ${error.mistakes.join("; ")}`);
}

function section([name, value]) {
  const lines = JSON.stringify(value, null, 2);
  return element(
    "details",
    {},
    element("summary", {}, element("code", {}, name), element("span", { class: "count" }, size(value))),
    element("pre", { tabindex: "0", "aria-label": `Configuration of ${name}` }, lines),
  );
}

function size(value) {
  if (Array.isArray(value)) return `${value.length}`;
  return value !== null && typeof value === "object" ? `${Object.keys(value).length}` : "";
}
