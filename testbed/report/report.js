"use strict";
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  const titleOf = (mark) => [...mark.children].find((child) => child.localName === "title");
  const place = (x, y) => {
    const right = window.innerWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(4, Math.min(x + 12, right)) + "px";
    tip.style.top = (y + 18 + tip.offsetHeight > window.innerHeight ? y - tip.offsetHeight - 10 : y + 18) + "px";
  };
  const show = (mark, x, y) => {
    const title = titleOf(mark);
    tip.textContent = title ? title.textContent : mark.dataset.title || "";
    tip.hidden = !tip.textContent;
    if (!tip.hidden) place(x, y);
  };
  const hide = () => { tip.hidden = true; };
  const marks = "svg .mark";
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest ? event.target.closest(marks) : null;
    if (mark) show(mark, event.clientX, event.clientY); else hide();
  });
  const focusOn = (mark) => {
    const box = mark.getBoundingClientRect();
    show(mark, box.left, box.bottom - 12);
  };
  document.addEventListener("focusin", (event) => {
    if (event.target.matches && event.target.matches(marks)) focusOn(event.target); else hide();
  });
  /* In a drawing one mark can be reached by Tab, the others from there by the arrow keys. */
  for (const drawing of document.querySelectorAll("svg[data-marks]")) {
    const all = [...drawing.querySelectorAll(".mark")];
    if (all.length) {
      drawing.setAttribute("role", "group");
      for (const one of all) {
        one.setAttribute("tabindex", "-1");
        one.setAttribute("role", "img");
        const title = titleOf(one);
        one.setAttribute("aria-label", title ? title.textContent : "");
      }
      all[0].setAttribute("tabindex", "0");
    }
    drawing.addEventListener("keydown", (event) => {
      const at = all.indexOf(document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (event.key === "Escape") hide();
      if (at < 0 || to === undefined || !all[to]) return;
      event.preventDefault();
      all[at].setAttribute("tabindex", "-1");
      all[to].setAttribute("tabindex", "0");
      all[to].focus();
    });
  }
  for (const command of document.querySelectorAll("code.command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy " + command.textContent);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = "Copied";
      } catch {
        window.getSelection().selectAllChildren(command);
        button.textContent = "Selected";
      }
    });
    command.after(button);
  }
  for (const table of document.querySelectorAll("table.events")) {
    const label = document.createElement("label");
    label.className = "filter";
    const input = document.createElement("input");
    input.type = "search";
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    label.append("Show rows with ", input, count);
    table.closest(".scroll").before(label);
    const rows = [...table.tBodies[0].rows];
    input.addEventListener("input", () => {
      const word = input.value.toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(word);
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = shown + " of " + rows.length;
    });
  }
  /* What a link points at may lie in a folded part. */
  const unfold = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    for (let part = target && target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", unfold);
  unfold();
})();
