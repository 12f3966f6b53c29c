/* Draws the figures and makes the attempts browsable. State is a set of filters, kept in the address
   (#find?run=0&outcome=wrong) so that every view can be linked; #<problem id> shows all attempts at a problem. */
"use strict";
(() => {
  const { el } = show;
  const PAGE = 50;
  const OUTCOMES = { correct: "✓ correct", wrong: "✗ wrong", unscored: "– unscored" };
  const report = show.data("report-data");

  // ---- figures
  for (const place of document.querySelectorAll("[data-figure]")) show.figure(place, report.figures[place.dataset.figure]);

  if (!report.attempts) return; // a page of training runs alone
  const { runs, problems, attempts, pairs } = report;
  const byProblem = new Map();
  attempts.forEach((attempt) => {
    const id = problems[attempt.problem].id;
    if (!byProblem.has(id)) byProblem.set(id, []);
    byProblem.get(id).push(attempt);
  });

  // ---- filters
  const anchor = (id) => "#" + encodeURI(id.toWellFormed()); // a lone surrogate has no place in an address
  const words = (name) => name.replaceAll("_", " ");
  const statusesOf = (attempt) => attempt.steps.map((step) => step.status).filter(Boolean);
  const FIELDS = {
    run: { label: "Run", of: (a) => String(a.run), name: (value) => runs[value]?.name ?? value },
    outcome: { label: "Outcome", of: (a) => a.outcome, name: (value) => OUTCOMES[value] ?? value },
    split: { label: "Split", of: (a) => problems[a.problem].split },
    difficulty: { label: report.axis ?? "", of: (a) => problems[a.problem].difficulty },
    stop: { label: "Stop reason", of: (a) => a.stop, name: words },
    status: { label: "Interpreter", of: statusesOf, name: words },
    verdict: { label: "Verdict", of: (a) => a.verdict, name: words },
    problem: { label: "Problem", of: (a) => problems[a.problem].id, hidden: true },
    sample: { label: "Sample", of: (a) => String(a.sample), hidden: true },
  };
  let filters = {};
  let shown = PAGE;
  const controls = {};

  function valuesOf(field) {
    const found = new Set();
    for (const attempt of attempts) for (const value of [field.of(attempt)].flat()) if (value !== null) found.add(value);
    return [...found].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }

  function haystack(attempt) {
    if (attempt.haystack === undefined) {
      const problem = problems[attempt.problem];
      const parts = [problem.id, problem.question, problem.answer, attempt.answer, attempt.reason, attempt.written];
      for (const step of attempt.steps) parts.push(step.thought, step.code, step.output);
      Object.defineProperty(attempt, "haystack", { value: parts.filter(Boolean).join("\n").toLowerCase() });
    }
    return attempt.haystack;
  }

  function passes(attempt) {
    for (const [name, wanted] of Object.entries(filters)) {
      if (name === "text") {
        if (!haystack(attempt).includes(wanted.toLowerCase())) return false;
      } else if (![FIELDS[name].of(attempt)].flat().includes(wanted)) return false;
    }
    return true;
  }

  function makeFilters() {
    const form = document.getElementById("filters");
    for (const [name, field] of Object.entries(FIELDS)) {
      const values = field.hidden ? [] : valuesOf(field);
      if (values.length < 2) continue;
      const select = el("select", { name }, el("option", { value: "" }, "all"));
      for (const value of values) select.append(el("option", { value }, field.name ? field.name(value) : value));
      select.addEventListener("change", () => choose({ ...filters, [name]: select.value }));
      controls[name] = select;
      form.append(el("label", {}, field.label, select));
    }
    const search = el("input", { type: "search", name: "text", placeholder: "question, code, output, id", autocomplete: "off" });
    let waiting;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => choose({ ...filters, text: search.value }), 150);
    });
    controls.text = search;
    form.append(el("label", { class: "search" }, "Text", search));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Take these filters over, put them into the address, and list again. */
  function choose(next) {
    apply(next);
    const query = new URLSearchParams(filters).toString().replaceAll("+", "%20");
    history.replaceState(null, "", query ? "#find?" + query : "#attempts");
  }

  function apply(next) {
    filters = Object.fromEntries(Object.entries(next).filter(([name, value]) => value && (name in FIELDS || name === "text")));
    for (const [name, control] of Object.entries(controls)) {
      if (control.value !== (filters[name] ?? "")) control.value = filters[name] ?? "";
    }
    shown = PAGE;
    list();
  }

  // ---- list
  function list() {
    const matches = attempts.filter(passes);
    const at = document.getElementById("list");
    const oneProblem = "problem" in filters;
    at.classList.toggle("side-by-side", oneProblem && matches.length > 1);
    const asked = oneProblem && matches.length ? [labelled("Question", show.prose(problems[matches[0].problem].question))] : [];
    document.getElementById("asked").replaceChildren(...asked);
    at.replaceChildren(...matches.slice(0, shown).map((attempt) => el("li", {}, row(attempt, oneProblem && matches.length <= 8))));
    const total = matches.length === attempts.length ? "" : ` of ${attempts.length.toLocaleString("en")}`;
    const out = report.left_out ? `; ${report.left_out.toLocaleString("en")} more are in the stored results only` : "";
    document.getElementById("found").textContent = `${matches.length.toLocaleString("en")}${total} attempts${out}`;
    const more = document.getElementById("more");
    more.hidden = matches.length <= shown;
    more.textContent = `Show ${Math.min(PAGE, matches.length - shown)} more`;
    const chips = Object.entries(filters)
      .filter(([name]) => !(name in controls))
      .map(([name, value]) =>
        el("button", { type: "button", onclick: () => choose({ ...filters, [name]: "" }) }, `${FIELDS[name].label}: ${value} ×`),
      );
    if (Object.keys(filters).length) chips.push(el("button", { type: "button", onclick: () => choose({}) }, "Show all attempts"));
    document.getElementById("chips").replaceChildren(...chips);
  }

  function row(attempt, open) {
    const problem = problems[attempt.problem];
    const about = [
      runs[attempt.run].name,
      problem.split,
      problem.difficulty === null ? null : `${report.axis.toLowerCase()} ${problem.difficulty}`,
      words(attempt.stop),
      `${attempt.tokens} tokens`,
      attempt.sample ? `sample ${attempt.sample}` : null,
      attempt.values ? `value ${attempt.values.at(-1).toFixed(2)}` : null,
      problem.id,
    ];
    const summary = el(
      "summary",
      {},
      el("span", { class: `outcome ${attempt.outcome}` }, OUTCOMES[attempt.outcome]),
      el("span", { class: "question" }, problem.question.slice(0, 220)),
      el("span", { class: "got" }, attempt.answer === null ? el("span", { class: "soft" }, "no answer") : show.answer(attempt.answer.slice(0, 60))),
      el("span", { class: "about" }, about.filter(Boolean).join(" · ")),
      strip(attempt),
    );
    const details = el("details", { class: "attempt" }, summary);
    const fill = () => {
      if (details.open && details.childElementCount === 1) details.append(body(attempt, problem));
    };
    details.addEventListener("toggle", fill);
    details.open = open;
    fill();
    return details;
  }

  /** Values turn by turn, as a strip from the colour of wrong to that of right. */
  function strip(attempt) {
    if (!attempt.values) return null;
    const said = `values by ${runs[attempt.run].judge}, turn by turn: ${attempt.values.map((value) => value.toFixed(2)).join(", ")}`;
    return el("span", { class: "strip", role: "img", "aria-label": said, title: said }, ...attempt.values.map((value) => el("i", { style: shade(value) })));
  }

  /** From the colour of wrong over that of the rules to that of right. */
  function shade(value) {
    const share = (200 * Math.abs(value - 0.5)).toFixed(0);
    return `--shade: color-mix(in oklab, var(${value < 0.5 ? "--wrong" : "--right"}) ${share}%, var(--rule))`;
  }

  const labelled = (label, ...children) => el("div", {}, el("span", { class: "label" }, label), ...children);

  function body(attempt, problem) {
    const here = new URLSearchParams({ problem: problem.id, run: attempt.run, sample: attempt.sample }).toString();
    const answer = attempt.answer === null ? el("span", { class: "soft" }, `none (${words(attempt.stop)})`) : show.answer(attempt.answer);
    return el(
      "div",
      { class: "body" },
      "problem" in filters ? null : labelled("Question", show.prose(problem.question)), // there it stands above the list
      ...attempt.steps.map((data, index) => step(data, index, (attempt.values ?? [])[index - attempt.steps.length + (attempt.values ?? []).length])),
      attempt.written ? labelled("What the model wrote", show.verbatim(attempt.written)) : null,
      el(
        "dl",
        { class: "facts" },
        ...[
          ["Answer", answer],
          ["Reference", show.answer(problem.answer)],
          ["Verdict", el("span", {}, el("span", { class: `outcome ${attempt.outcome}` }, words(attempt.verdict)), ` — ${attempt.reason}`)],
          attempt.understood && attempt.understood !== attempt.answer ? ["Read as", attempt.understood] : null,
          ["Model", `${runs[attempt.run].model}, ${runs[attempt.run].mode}`],
          ["Links", el("span", {}, el("a", { href: anchor(problem.id) }, "all attempts at this problem"), " · ", el("a", { href: "#find?" + here.replaceAll("+", "%20") }, "this attempt"))],
        ]
          .filter(Boolean)
          .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
      ),
    );
  }

  function step(data, index, value) {
    const valued = value === undefined ? {} : { style: shade(value) };
    const mark = value === undefined ? "" : " valued";
    const thought = labelled(`Step ${index + 1}${value === undefined ? "" : ` · value ${value.toFixed(3)}`}`, show.prose(data.thought));
    if (data.code === undefined) return el("div", { class: "step" + mark, ...valued }, thought);
    const fault = data.status !== undefined && data.status !== "ok";
    const said = data.status === undefined ? "Not run" : `Output${fault ? ` (${words(data.status)})` : ""} · ${data.seconds} s`;
    return el(
      "div",
      { class: "step with-code" + mark, ...valued },
      thought,
      el("div", { class: "work" }, labelled("Code", show.code(data.code)), labelled(said, data.output ? show.verbatim(data.output, { class: fault ? "output fault" : "output" }) : null)),
    );
  }

  // ---- flips: problems that only one run of a pair solves
  function fillFlips(details) {
    const at = details.querySelector("div");
    if (!details.open || at.childElementCount) return;
    const pair = pairs[details.dataset.pair];
    const answerOf = (id, run) => {
      const found = byProblem.get(id)?.find((attempt) => attempt.run === run);
      return found === undefined ? "" : found.answer === null ? `none (${words(found.stop)})` : show.answer(found.answer);
    };
    const line = (id, first) => {
      const problem = byProblem.has(id) ? problems[byProblem.get(id)[0].problem] : { question: "", answer: "" };
      return el(
        "tr",
        {},
        el("td", {}, el("a", { href: anchor(id) }, problem.question ? problem.question.slice(0, 160) : id)),
        el("td", { class: "short" }, problem.split ?? ""),
        el("td", {}, el("span", { class: `outcome ${first ? "correct" : "wrong"}` }, first ? "✓ " : "✗ "), answerOf(id, pair.first)),
        el("td", {}, el("span", { class: `outcome ${first ? "wrong" : "correct"}` }, first ? "✗ " : "✓ "), answerOf(id, pair.second)),
        el("td", {}, show.answer(problem.answer)),
      );
    };
    const heads = ["Problem", "Split", runs[pair.first].name, runs[pair.second].name, "Reference"];
    at.append(
      el(
        "table",
        { class: "flips" },
        el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", {}, ...pair.only_second.map((id) => line(id, false)), ...pair.only_first.map((id) => line(id, true))),
      ),
    );
  }

  // ---- address
  function follow() {
    const address = location.hash.slice(1);
    if (!address) return;
    let name = address;
    try {
      name = decodeURIComponent(address);
    } catch (error) {
      /* not percent-encoded: taken as it is */
    }
    const target = document.getElementById(name);
    if (address.startsWith("find?")) apply(Object.fromEntries(new URLSearchParams(address.slice(5))));
    else if (byProblem.has(name)) apply({ problem: name });
    else {
      if (target?.tagName === "DETAILS") target.open = true;
      target?.scrollIntoView();
      return;
    }
    document.getElementById("attempts").scrollIntoView();
  }

  for (const details of document.querySelectorAll(".flips-list")) details.addEventListener("toggle", () => fillFlips(details));
  document.getElementById("more").addEventListener("click", () => {
    shown += PAGE;
    list();
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details.numbers").forEach((details) => (details.open = true)));
  makeFilters();
  list();
  addEventListener("hashchange", follow);
  follow();
})();
