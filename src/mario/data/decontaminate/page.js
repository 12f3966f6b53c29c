/* The list of pairs; a text is shown as it is, with the words that stand in the other one, in order, marked. */
"use strict";
{
  const pairs = show.data("pairs");
  const list = document.getElementById("list");
  const LONGEST = 400; // words; the table of common words grows with the square

  function words(text) {
    return [...text.matchAll(/\p{L}+|\p{N}+/gu)].map((match) => ({ at: match.index, text: match[0], same: match[0].toLowerCase() }));
  }

  /** Positions of a longest common subsequence of words in each text. */
  function common(first, second) {
    const rows = first.length, columns = second.length;
    const best = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));
    for (let i = rows - 1; i >= 0; i--)
      for (let j = columns - 1; j >= 0; j--)
        best[i][j] = first[i].same === second[j].same ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    const held = [new Set(), new Set()];
    for (let i = 0, j = 0; i < rows && j < columns; ) {
      if (first[i].same === second[j].same) held[0].add(i++), held[1].add(j++);
      else if (best[i + 1][j] >= best[i][j + 1]) i++;
      else j++;
    }
    return held;
  }

  function marked(text, found, held) {
    const at = show.el("div");
    let from = 0;
    found.forEach((word, index) => {
      if (!held.has(index)) return;
      at.append(text.slice(from, word.at), show.el("mark", {}, word.text));
      from = word.at + word.text.length;
    });
    at.append(text.slice(from));
    return at;
  }

  function shown(pair) {
    const first = words(pair.question).slice(0, LONGEST), second = words(pair.item_question).slice(0, LONGEST);
    const held = common(first, second);
    const score = pair.rule === "ngram" ? `${pair.score} shared runs` : pair.score;
    return show.el("div", { class: "pair" },
      show.el("h3", {}, `${pair.problem_id} · ${pair.item} (${pair.benchmark}) · ${pair.rule}, ${score}`),
      marked(pair.question, first, held[0]), marked(pair.item_question, second, held[1]));
  }

  const rule = document.getElementById("rule"), benchmark = document.getElementById("benchmark");
  function fill() {
    const chosen = pairs.filter((pair) => (!rule.value || pair.rule === rule.value) && (!benchmark.value || pair.benchmark === benchmark.value));
    list.replaceChildren(...(chosen.length ? chosen.map(shown) : ["No pair."]));
  }
  rule.addEventListener("change", fill);
  benchmark.addEventListener("change", fill);
  fill();
}
