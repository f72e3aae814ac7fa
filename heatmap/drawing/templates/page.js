const unpacked = (async () => {
  const packed = Uint8Array.from(atob(document.getElementById("plotlyjs").textContent), (one) => one.charCodeAt(0));
  const script = document.createElement("script");
  script.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(script);
})();
unpacked.catch(() => {
  for (const place of document.querySelectorAll(".figure, .drawn")) place.textContent = "drawn by browsers of 2023 and later";
});
const roomy = matchMedia("(min-width: 641px)");
function unfold() {
  for (const one of document.querySelectorAll("details.rest")) one.open = roomy.matches;
}
const LIGHT = {{ light | tojson }}, lit = matchMedia("(prefers-color-scheme: light)"), figures = [];
// Before the page is painted again: plotly's own `responsive` waits a tenth of a second, and a picture of the page shows the old width.
const fitted = new ResizeObserver((changed) => {
  for (const {target} of changed)
    if (target.clientWidth && target._fullLayout && Math.abs(target._fullLayout.width - target.clientWidth) > 1)
      Plotly.relayout(target, {autosize: true});
});
function draw() {
  for (const [place, text] of figures)
    Plotly.react(place, JSON.parse(lit.matches ? text.replace(/#[0-9a-f]{6}|rgba\([^)]*\)/g, (c) => LIGHT[c] || c) : text));
}
function tellAges() {
  for (const at of document.querySelectorAll("time.as-of")) {
    const age = (Date.now() - Date.parse(at.dateTime)) / 1000, size = Math.abs(age);
    const [unit, name] = size < 5400 ? [60, "minute"] : size < 129600 ? [3600, "hour"] : [86400, "day"];
    const count = Math.floor(size / unit), counted = count + " " + name + (count == 1 ? "" : "s");
    at.nextElementSibling.textContent = age < -60 ? "(" + counted + " ahead of the clock)"
      : size < 60 ? "(now)" : "(" + counted + " ago)";
    at.parentElement.className = "age " + (age > 86400 ? "stale" : age > 3600 || age < -300 ? "old" : "fresh");
  }
}
document.addEventListener("DOMContentLoaded", async () => {
  tellAges();
  unfold();
  roomy.addEventListener("change", unfold);
  for (const place of document.querySelectorAll(".figure")) {
    figures.push([place, place.firstElementChild.textContent]);
    place.replaceChildren();
  }
  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
  await unpacked;
  draw();
  for (const [place] of figures) fitted.observe(place);
  lit.addEventListener("change", draw);
});
