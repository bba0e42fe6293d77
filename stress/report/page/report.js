"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const find = (id) => document.getElementById(id);
  const form = find("filters");
  const toggles = all(".toggle");
  const runs = all(".run");

  const pressed = (kind) =>
    toggles
      .filter((one) => one.dataset.kind === kind && one.getAttribute("aria-pressed") === "true")
      .map((one) => one.dataset.value);

  // Each run, and each line that leads to one, is shown if it fits. Rows and pictures of a scenario
  // are shown as long as one of its runs is, columns and marks of a mode as long as it is chosen.
  function apply() {
    const words = find("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = pressed("verdict");
    const modes = pressed("mode");
    const chosen = (list, value) => list.length === 0 || list.includes(value);
    for (const one of all("[data-text]")) {
      one.hidden = !(
        chosen(verdicts, one.dataset.verdict) &&
        chosen(modes, one.dataset.mode) &&
        words.every((word) => one.dataset.text.includes(word))
      );
    }
    const left = runs.filter((run) => !run.hidden);
    const names = new Set(left.map((run) => run.dataset.scenario));
    for (const one of all("[data-group]")) one.hidden = !names.has(one.dataset.group);
    for (const one of all("[data-column]")) {
      one.classList.toggle("gone", !chosen(modes, one.dataset.column));
    }
    for (const list of all(".first")) {
      list.parentElement.hidden = all("li", list).every((item) => item.hidden);
    }
    find("nothing").hidden = left.length > 0 || runs.length === 0;
    find("shown").textContent = `${left.length} of ${runs.length} runs`;
  }

  function keep() {
    const state = new URLSearchParams();
    if (find("text").value) state.set("text", find("text").value);
    for (const kind of ["verdict", "mode"]) pressed(kind).forEach((value) => state.append(kind, value));
    const words = state.toString();
    history.replaceState(null, "", words ? `#?${words}` : "#");
  }

  // The address keeps the filters after `#?`, so that a view can be sent; other anchors are places.
  function restore() {
    if (location.hash.startsWith("#?")) {
      const state = new URLSearchParams(location.hash.slice(2));
      find("text").value = state.get("text") || "";
      for (const one of toggles) {
        const on = state.getAll(one.dataset.kind).includes(one.dataset.value);
        one.setAttribute("aria-pressed", String(on));
      }
    }
    apply();
    open();
  }

  function open() {
    const place = location.hash.startsWith("#?") ? null : find(location.hash.slice(1));
    const run = place && place.closest(".run");
    if (!run) return;
    run.open = true;
    place.scrollIntoView();
    if (place === run) run.querySelector("summary").focus({ preventScroll: true });
  }

  function change() {
    apply();
    keep();
  }

  function reset() {
    find("text").value = "";
    toggles.forEach((one) => one.setAttribute("aria-pressed", "false"));
    change();
  }

  async function copy(button) {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // at the worst the reader has but to press Ctrl-C
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    reset();
  });
  find("text").addEventListener("input", change);
  find("all").addEventListener("click", reset);
  for (const one of toggles) {
    one.addEventListener("click", () => {
      one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") !== "true"));
      change();
    });
  }
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.tagName === "INPUT";
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      find("text").focus();
    } else if (event.key === "Escape" && typing) {
      reset();
    }
  });
  addEventListener("hashchange", restore);
  form.hidden = false;
  restore();
})();
