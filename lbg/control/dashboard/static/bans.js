// Who is banned by a rate limit, and the way back.
import { get } from "./api.js";
import { byId, cell, element, empty, row, setText, table } from "./dom.js";
import { duration, plural } from "./format.js";

const SHOWN = 100;
const COLUMNS = ["Key", "Limit", ["Left", "number"], ["Times", "number"], "Why", ["", "c-act"]];

export class Bans {
  constructor(actions) {
    this.actions = actions;
    this.keys = "";
    this.left = [];
  }

  async refresh() {
    const { total, bans } = await get(`api/v1/bans?count=${SHOWN}`);
    setText(byId("banned"), total > bans.length ? `${plural(total, "ban")}, the latest ${bans.length}` : plural(total, "ban"));
    const keys = JSON.stringify(bans.map((ban) => [ban.key, ban.limit, ban.times]));
    if (keys !== this.keys) this.build(bans);
    this.keys = keys;
    bans.forEach((ban, index) => setText(this.left[index], duration(ban.seconds_left)));
  }

  build(bans) {
    this.left = bans.map(() => cell("number", "Left"));
    const rows = bans.map((ban, index) => this.line(ban, this.left[index]));
    const shown = rows.length ? table("Bans in force", COLUMNS, rows, { class: "plain bans" }) : empty("Nobody is banned.");
    byId("ban-list").replaceChildren(shown);
  }

  line(ban, left) {
    const lift = { type: "button", "aria-label": `Unban ${ban.key}`, onclick: () => this.actions.unban(ban) };
    return row(
      {},
      cell("name", "Key", ban.key),
      cell("c-limit", "Limit", ban.limit),
      left,
      cell("number", "Times", String(ban.times)),
      cell("c-why", "Why", ban.reason),
      cell("c-act", "", element("button", lift, "Unban")),
    );
  }
}
