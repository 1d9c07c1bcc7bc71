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

  const text = (values) => values.flat(2).filter((each) => each != null).join("\n").toLowerCase();

  // What the model says of each thing that can be filtered, and the elements that show it.
  const built = () => {
    const model = JSON.parse(document.getElementById("report").textContent);
    const requirements = (model.requirements ?? []).map((one) => ({
      spn: one.spn.toLowerCase(), outcome: one.outcome, account: one.account, rows: [],
      servers: one.applications.map((place) => place.server),
      text: text([one.spn, one.account, one.holders ?? [], one.answers ?? [],
        one.applications.map((place) => [place.server, place.site, place.path])]),
    }));
    const findings = (model.findings ?? []).map((one) => ({
      spn: one.spn?.toLowerCase(), severity: one.severity, account: one.account, rows: [],
      servers: [...new Set([one.server, ...one.servers].filter((each) => each != null))],
      text: text([one.id, one.message, one.spn, one.account, one.holders, one.server, one.servers, one.site, one.path]),
    }));
    for (const row of all("[data-r]")) {
      for (const at of row.dataset.r.split(" ")) requirements[at]?.rows.push(row);
    }
    for (const row of all("[data-f]")) findings[row.dataset.f]?.rows.push(row);
    return { requirements, findings, servers: all("details.server"), first: all("details.server") };
  };

  const chosen = () => {
    const form = new FormData(tools);
    const wanted = Object.fromEntries([...form].map(([name, value]) => [name, String(value)]));
    wanted.words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    wanted.any = Boolean(wanted.words.length || wanted.outcome || wanted.severity || wanted.server || wanted.account);
    return wanted;
  };

  const fits = (one, wanted) =>
    (!wanted.server || one.servers.includes(wanted.server)) &&
    (!wanted.account || one.account === wanted.account) &&
    wanted.words.every((word) => one.text.includes(word));

  // SPNs by their outcome and findings by their severity; where one is chosen, of the other those about the same SPN.
  const matching = (wanted) => {
    let requirements = index.requirements.filter((one) => fits(one, wanted) && (!wanted.outcome || one.outcome === wanted.outcome));
    let findings = index.findings.filter((one) => fits(one, wanted) && (!wanted.severity || one.severity === wanted.severity));
    if (wanted.severity) {
      const told = new Set(findings.map((one) => one.spn));
      requirements = requirements.filter((one) => told.has(one.spn));
    }
    if (wanted.outcome) {
      const told = new Set(requirements.map((one) => one.spn));
      findings = findings.filter((one) => told.has(one.spn));
    }
    return { requirements, findings };
  };

  const shown = (kind, matches) => {
    const rows = new Set(matches.flatMap((one) => one.rows));
    for (const one of index[kind]) {
      for (const row of one.rows) row.hidden = !rows.has(row);
    }
  };

  const filtered = () => {
    index ??= built();
    const wanted = chosen();
    const matches = matching(wanted);
    shown("requirements", matches.requirements);
    shown("findings", matches.findings);
    const own = matches.findings.filter((one) => one.servers.length === 1);
    const names = new Set([...matches.requirements, ...own].flatMap((one) => one.servers));
    if (wanted.server) for (const name of names) if (name !== wanted.server) names.delete(name);
    let count = 0;
    for (const server of index.servers) {
      const name = server.dataset.server;
      const bare = !wanted.outcome && !wanted.severity && !wanted.account && (!wanted.server || wanted.server === name) &&
        wanted.words.every((word) => name.toLowerCase().includes(word));
      server.hidden = wanted.any && !names.has(name) && !bare;
      count += !server.hidden;
    }
    for (const group of all(".group")) group.hidden = wanted.any && !group.querySelector(".tie:not([hidden])");
    for (const body of all(".spns tbody")) body.hidden = wanted.any && !body.querySelector("tr[data-r]:not([hidden])");
    for (const tile of all(".tile")) tile.hidden = wanted.any && !names.has(tile.dataset.server);
    if (wanted.any && count <= 20) for (const server of index.servers) if (!server.hidden) server.open = true;
    tools.querySelector("output").textContent = wanted.any
      ? `${matches.requirements.length} of ${index.requirements.length} SPNs, ` +
        `${matches.findings.length} of ${index.findings.length} findings, ${count} of ${index.servers.length} servers`
      : "";
  };

  const severities = ["error", "warning", "info"];
  const outcomes = [...tools.elements.outcome.options].map((option) => option.value);
  const rearrange = () => {
    index ??= built();
    const by = tools.elements.sort.value;
    index.cards ??= all("article.finding");
    const rank = new Map();
    for (const one of index.requirements) {
      for (const server of one.servers) {
        rank.set(server, Math.min(rank.get(server) ?? 99, outcomes.indexOf(one.outcome)));
      }
    }
    const worst = (server) => rank.get(server.dataset.server) ?? 98;
    const servers = [...index.first];
    if (by === "name") servers.sort((a, b) => order(a.dataset.server, b.dataset.server));
    if (by === "worst") servers.sort((a, b) => worst(a) - worst(b));
    if (servers.length) rearranged(servers[0].parentElement, servers);
    const found = (card) => index.findings[card.dataset.f];
    const cards = [...index.cards];
    if (by === "name") cards.sort((a, b) => order(found(a).servers[0] ?? "", found(b).servers[0] ?? ""));
    if (by === "worst") cards.sort((a, b) => severities.indexOf(found(a).severity) - severities.indexOf(found(b).severity));
    if (cards.length) rearranged(cards[0].parentElement, cards);
  };

  let waiting = 0;
  tools.addEventListener("input", (event) => {
    clearTimeout(waiting);
    if (event.target.name === "sort") rearrange();
    else waiting = setTimeout(filtered, event.target.name === "text" ? 150 : 0);
  });
  tools.addEventListener("reset", () => setTimeout(() => { filtered(); rearrange(); }));
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.elements.all.addEventListener("click", () => {
    const servers = all("details.server:not([hidden])");
    const open = !servers.every((server) => server.open);
    for (const server of servers) server.open = open;
    tools.elements.all.textContent = open ? "Close all" : "Open all";
  });
})();
