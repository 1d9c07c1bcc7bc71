// Search, filter, sort, copy, open what a link leads to. The page says everything without it.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // -- copy and open ----------------------------------------------------------------------------

  const copied = async (button) => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copied(button);
  });

  const revealed = () => {
    let target;
    try {
      target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return;
    }
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", revealed);
  if (location.hash) revealed();

  // -- columns ----------------------------------------------------------------------------------

  const order = new Intl.Collator("en", { numeric: true }).compare;
  const rearranged = (parent, children) => parent.append(...children);
  const sorted = (head, at) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const each of head.parentElement.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const keys = new Map([...body.rows].map((row) => [row, row.cells[at].textContent]));
    const rows = [...keys.keys()].sort((a, b) => order(keys.get(a), keys.get(b)));
    rearranged(body, up ? rows : rows.reverse());
  };
  for (const table of all("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sorted(head, at));
      head.append(button);
    });
  }

  // -- search and filter ------------------------------------------------------------------------

  const tools = document.querySelector("form.tools");
  if (!tools) return;
  let index = null;
  const indexed = () => { index ??= built(); };

  const text = (values) => values.flat(3).filter((each) => each != null).join("\n").toLowerCase();
  const textOf = (one) => one.text ??= text(one.told());  // made when words are looked for
  const named = (values) => [...new Set(values.filter((each) => each != null))];

  // What can be filtered: where the model has it, which elements show it, and what is said of how many are left.
  const KINDS = {
    requirements: { rows: "r", word: "SPNs", read: (one) => ({
      spn: one.spn.toLowerCase(), outcome: one.outcome, account: one.account,
      servers: named(one.applications.map((place) => place.server)),
      told: () => [one.spn, one.account, one.holders, one.answers, one.applications.map((place) => [place.server, place.site, place.path])],
    }) },
    findings: { rows: "f", word: "findings", read: (one) => ({
      spn: one.spn?.toLowerCase(), severity: one.severity, account: one.account, servers: named([one.server, ...one.servers]),
      told: () => [one.id, one.message, one.spn, one.account, one.holders, one.server, one.servers, one.site, one.path],
    }) },
    causes: { rows: "k", word: "causes", read: (one) => ({
      spns: one.spns.map((spn) => spn.toLowerCase()), severity: one.severity ?? "error", servers: one.servers,
      told: () => [one.finding, one.text, one.spns, one.servers],
    }) },
    steps: { rows: "s", word: "steps", read: (one) => ({
      account: one.account, servers: named([one.server]),
      told: () => [one.kind, one.spn, one.account, one.server, one.finding, one.command, one.note],
    }) },
    changes: { rows: "c", word: "changes", read: (one) => ({
      severity: one.severity, servers: named([one.server]),
      told: () => [one.what, one.kind, one.server, one.site, one.path, one.spn, one.name, one.before, one.after, one.because],
    }) },
  };

  const built = () => {
    const model = JSON.parse(document.getElementById("report").textContent);
    const found = { servers: all("details.server"), cards: all("article.finding") };
    for (const [kind, { rows, read }] of Object.entries(KINDS)) {
      found[kind] = (model[kind] ?? []).map((one) => ({ ...read(one), rows: [] }));
      for (const row of all(`[data-${rows}]`)) {
        for (const at of row.dataset[rows].split(" ")) found[kind][at]?.rows.push(row);
      }
    }
    return found;
  };

  const chosen = () => {
    const wanted = Object.fromEntries([...new FormData(tools)].map(([name, value]) => [name, String(value)]));
    wanted.words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    wanted.any = Boolean(wanted.words.length || wanted.outcome || wanted.severity || wanted.server || wanted.account);
    return wanted;
  };

  const fits = (one, wanted) =>
    (!wanted.server || one.servers.includes(wanted.server)) &&
    (!wanted.account || !("account" in one) || one.account === wanted.account) &&
    (!wanted.outcome || !("outcome" in one) || one.outcome === wanted.outcome) &&
    (!wanted.severity || !("severity" in one) || one.severity === wanted.severity) &&
    wanted.words.every((word) => textOf(one).includes(word));

  // SPNs by their outcome and findings by their severity; where one is chosen, of the other those about the same SPN.
  const matching = (wanted) => {
    const left = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, index[kind].filter((one) => fits(one, wanted))]));
    const about = (kind) => new Set(left[kind].map((one) => one.spn));
    if (wanted.severity && index.findings.length) {
      const spns = about("findings");
      left.requirements = left.requirements.filter((one) => spns.has(one.spn));
    }
    if (wanted.outcome) {
      const spns = about("requirements");
      left.findings = left.findings.filter((one) => spns.has(one.spn));
    }
    if (wanted.outcome || wanted.account) {
      const spns = about("requirements");
      left.causes = left.causes.filter((one) => one.spns.some((spn) => spns.has(spn)));
    }
    return left;
  };

  const hide = (element, hidden) => {
    if (element.hidden !== hidden) element.hidden = hidden;
  };

  // In its place, a list of thousands is laid out anew for each of them that is hidden.
  const hideWithin = (list, hidden) => {
    const turned = [...list?.children ?? []].filter((each) => each.hidden !== hidden(each));
    if (!turned.length) return;
    const place = document.createComment("");
    list.replaceWith(place);
    for (const each of turned) each.hidden = !each.hidden;
    place.replaceWith(list);
  };

  const showServers = (left, wanted) => {
    const own = left.findings.filter((one) => one.servers.length === 1);
    const names = new Set([...left.requirements, ...own].flatMap((one) => one.servers));
    const bare = !wanted.outcome && !wanted.severity && !wanted.account;
    const isShown = (name) => (!wanted.server || name === wanted.server) &&
      (names.has(name) || (bare && wanted.words.every((word) => name.toLowerCase().includes(word))));
    for (const each of index.servers) hide(each, wanted.any && !isShown(each.dataset.server));
    // Of a server that is not shown in full only the name is known here.
    const isNamed = (name) => wanted.server ? name === wanted.server : wanted.words.every((word) => name.toLowerCase().includes(word));
    hideWithin(document.querySelector(".tiles"), (tile) =>
      wanted.any && !(tile.classList.contains("plain") ? isNamed : isShown)(tile.dataset.server));
    const seen = index.servers.filter((server) => !server.hidden);
    if (wanted.any && seen.length <= 20) for (const server of seen) server.open = true;
    return seen.length;
  };

  const filtered = () => {
    indexed();
    const wanted = chosen();
    const left = matching(wanted);
    const said = [];
    for (const [kind, { word }] of Object.entries(KINDS)) {
      const rows = new Set(left[kind].flatMap((one) => one.rows));
      for (const one of index[kind]) for (const row of one.rows) hide(row, !rows.has(row));
      if (index[kind].length) said.push(`${left[kind].length} of ${index[kind].length} ${word}`);
    }
    const count = showServers(left, wanted);
    if (index.servers.length) said.push(`${count} of ${index.servers.length} servers`);
    for (const group of all(".group")) hide(group, wanted.any && !group.querySelector(".tie:not([hidden])"));
    for (const body of all(".spns tbody")) hide(body, wanted.any && !body.querySelector("tr[data-r]:not([hidden])"));
    for (const row of all("[data-account]")) hide(row, Boolean(wanted.account) && row.dataset.account !== wanted.account);
    tools.querySelector("output").textContent = wanted.any ? said.join(", ") : "";
  };

  // -- order ------------------------------------------------------------------------------------

  const severities = ["error", "warning", "info"];
  const rearrange = () => {
    indexed();
    const outcomes = [...(tools.elements.outcome?.options ?? [])].map((option) => option.value);
    const by = tools.elements.sort.value;
    const rank = new Map();
    for (const one of index.requirements) {
      for (const server of one.servers) rank.set(server, Math.min(rank.get(server) ?? 99, outcomes.indexOf(one.outcome)));
    }
    const worst = (server) => rank.get(server.dataset.server) ?? 98;
    const found = (card) => index.findings[card.dataset.f];
    const severe = (card) => severities.indexOf(found(card).severity);
    const orders = {
      name: [(a, b) => order(a.dataset.server, b.dataset.server), (a, b) => order(found(a).servers[0] ?? "", found(b).servers[0] ?? "")],
      worst: [(a, b) => worst(a) - worst(b), (a, b) => severe(a) - severe(b)],
    };
    [index.servers, index.cards].forEach((each, at) => {
      const sorted = by ? [...each].sort(orders[by][at]) : each;
      if (sorted.length) rearranged(sorted[0].parentElement, sorted);
    });
  };

  // While somebody reads, so that the first filter need not wait for it.
  addEventListener("load", () => (globalThis.requestIdleCallback ?? setTimeout)(indexed));

  let waiting = 0;
  tools.addEventListener("input", (event) => {
    clearTimeout(waiting);
    if (event.target.name === "sort") rearrange();
    else waiting = setTimeout(filtered, event.target.name === "text" ? 150 : 0);
  });
  tools.addEventListener("reset", () => setTimeout(() => {
    filtered();
    if (tools.elements.sort) rearrange();
  }));
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.elements.all?.addEventListener("click", () => {
    const servers = all("details.server:not([hidden])");
    const open = !servers.every((server) => server.open);
    for (const server of servers) server.open = open;
    tools.elements.all.textContent = open ? "Close all" : "Open all";
  });
})();
