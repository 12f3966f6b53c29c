/* Puts text that others wrote on a page, as text: the only place where a string of a model meets the document.
   Everything goes through text nodes; KaTeX runs without trust, highlight.js escapes what it colours. */
"use strict";
const show = (() => {
  const FIRST_CHARACTERS = 6000; // more than any honest step; the rest waits behind a button
  const MATH_CHARACTERS = 2000; // one formula; longer ones stay source text, as KaTeX's time grows with them
  const CODE_CHARACTERS = 30000;
  const KATEX = { throwOnError: false, trust: false, strict: "ignore", maxExpand: 200, maxSize: 20, errorColor: "var(--wrong)" };
  const ENVIRONMENTS = "(?:align|alignat|aligned|equation|gather|multline)\\*?";
  // Dollars are money more often than mathematics: $…$ counts only when tight inside and not followed by a digit.
  const FORMULA = new RegExp(
    String.raw`\\\$|\$\$([^$]{1,${MATH_CHARACTERS}}?)\$\$|\\\[([\s\S]{1,${MATH_CHARACTERS}}?)\\\]|\\\(([\s\S]{1,${MATH_CHARACTERS}}?)\\\)` +
      String.raw`|(\\begin\{(${ENVIRONMENTS})\}[\s\S]{1,${MATH_CHARACTERS}}?\\end\{\5\})` +
      String.raw`|\$(?![\s$])((?:\\.|[^$\\\n]){1,${MATH_CHARACTERS}}?)(?<!\s)\$(?!\d)`,
    "g",
  );

  /** An element with attributes and children; a string child becomes a text node, null is left out. */
  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value === true ? "" : String(value));
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  /** Money such as "$5, and she has 10$" is prose: several plain words in a row are no formula. */
  function isProse(tex) {
    return !/\\[a-zA-Z]/.test(tex) && /[A-Za-z]{2,}[\s,]+[A-Za-z]{2,}/.test(tex);
  }

  function appendFormula(parent, tex, displayMode, source) {
    const span = el("span", { title: source });
    try {
      katex.render(tex, span, { ...KATEX, displayMode });
    } catch (error) {
      span.textContent = source; // what KaTeX cannot survive is shown as it was written
    }
    parent.append(span);
  }

  function appendWithMath(parent, text) {
    let from = 0;
    for (const match of text.matchAll(FORMULA)) {
      const [source, dollars, brackets, parentheses, environment, , inline] = match;
      if (inline !== undefined && isProse(inline)) continue;
      parent.append(text.slice(from, match.index));
      from = match.index + source.length;
      if (source === "\\$") parent.append("$");
      else if (inline !== undefined || parentheses !== undefined) appendFormula(parent, inline ?? parentheses, false, source);
      else appendFormula(parent, dollars ?? brackets ?? environment, true, source);
    }
    parent.append(text.slice(from));
  }

  /** Fill `parent` through `fill(part)`; a long text starts with its head and a button for all of it. */
  function clipped(parent, text, fill) {
    if (text.length <= FIRST_CHARACTERS) {
      fill(parent, text);
      return parent;
    }
    const head = el("span");
    fill(head, text.slice(0, FIRST_CHARACTERS));
    const more = el("button", { type: "button" }, `Show all ${text.length.toLocaleString("en")} characters`);
    more.addEventListener("click", () => parent.replaceChildren(text)); // all of it as plain text: no size can stall it
    parent.append(head, el("br"), more);
    return parent;
  }

  /** Prose with formulas. */
  function prose(text) {
    return clipped(el("div", { class: "prose" }), text, appendWithMath);
  }

  /** Python, coloured. */
  function code(text) {
    const inner = el("code", { class: "language-python" });
    if (text.length > CODE_CHARACTERS || typeof hljs === "undefined") clipped(inner, text, (at, part) => at.append(part));
    else inner.innerHTML = hljs.highlight(text, { language: "python", ignoreIllegals: true }).value; // its output is escaped
    return el("pre", {}, inner);
  }

  /** Text exactly as it is, such as interpreter output. */
  function verbatim(text, attributes = {}) {
    return clipped(el("pre", attributes), text, (at, part) => at.append(part));
  }

  /** A short answer: a formula when it has TeX commands that KaTeX understands, else plain text. */
  function answer(text) {
    const at = el("span", { class: "answer", title: text.slice(0, 500) });
    if (text.length > 300) at.append(text.slice(0, 300) + " …");
    else if (/\\[a-zA-Z]|[\^_]\{/.test(text)) {
      try {
        katex.render(text.replaceAll("$", ""), at, { ...KATEX, throwOnError: true });
      } catch (error) {
        at.replaceChildren(text);
      }
    } else at.append(text);
    return at;
  }

  /** The JSON that the document holds under this id. */
  function data(id) {
    return JSON.parse(document.getElementById(id).textContent);
  }

  // Figures name their colours as var(--c0): the same figure serves light, dark and paper.
  function themed(value, style) {
    if (typeof value === "string") return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    if (Array.isArray(value)) return value.map((item) => themed(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, style)]));
    }
    return value;
  }

  const drawn = [];

  function draw(element, figure, width) {
    const style = getComputedStyle(document.documentElement);
    const { data: traces, layout } = themed(figure, style);
    Plotly.react(element, traces, { ...layout, width }, {
      displaylogo: false,
      responsive: true,
      displayModeBar: false,
      scrollZoom: false,
      doubleClick: false,
    });
  }

  /** Draw a figure ({data, layout} as plotly takes it), and again whenever the colours change. */
  function figure(element, described) {
    drawn.push([element, described]);
    draw(element, described);
  }

  function redraw(widthOf) {
    drawn.forEach(([element, described]) => draw(element, described, widthOf(element)));
  }

  // Before printing the page still has the screen's width, so a plot is told that of the paper (A4 or letter).
  const screenWidth = () => undefined;
  const paperWidth = (element) => (element.closest(".figures") ? 335 : 690);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(screenWidth));
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("on-paper");
    redraw(paperWidth);
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("on-paper");
    redraw(screenWidth);
  });

  return { el, prose, code, verbatim, answer, data, figure };
})();
