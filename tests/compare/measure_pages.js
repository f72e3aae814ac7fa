// What is wrong with each page in a frame, at each of WIDTHS.
const kinds = {}, tops = {}, painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const settled = async (ms) => { await painted(); await new Promise((done) => setTimeout(done, ms)); await painted(); };
const frames = [...document.querySelectorAll("iframe")];
const box = (one) => one.getBoundingClientRect();
const upright = (text) => !/rotate\((?!0\b|-?90\b)/.test(text.getAttribute("transform") || "");
function texts(figure) {
  const all = [...figure.querySelectorAll("svg text")];
  return all.filter((one) =>
    one.textContent.trim() && box(one).width && upright(one) && !one.closest(".trace, .hoverlayer"));
}
function overlaps(figure) {
  const all = texts(figure), pairs = [];
  all.forEach((one, at) => {
    for (const other of all.slice(at + 1)) {
      const [a, b] = [box(one), box(other)];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 2 && down > 3)
        pairs.push(one.textContent + " | " + other.textContent);
    }
  });
  return pairs;
}
const beyond = (one, place) => box(one).left < box(place).left - 2 || box(one).right > box(place).right + 2;
function measure(page, width) {
  const figures = [...page.querySelectorAll(".figure, .drawn")], tables = [...page.querySelectorAll("table")];
  const boxes = tables.map((one) => one.closest(".scroll"));
  return {
    width: page.documentElement.scrollWidth, window: width,
    undrawn: figures.filter((one) => !one.querySelector("svg.main-svg")).length, figures: figures.length,
    texts: figures.flatMap(texts).length, overlaps: figures.flatMap(overlaps),
    cut: figures.flatMap((place) => texts(place).filter((one) => beyond(one, place)).map((one) => one.textContent)),
    unboxed: boxes.filter((one) => !one || getComputedStyle(one).overflowX != "auto" || box(one).right > width).length,
    sideways: boxes.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent.trim().slice(0, 60)),
    hidden: tables.flatMap((one) => [...one.querySelectorAll("th, td")]).filter((one) => !box(one).width).length,
  };
}
for (const frame of frames) {
  await frame.contentWindow.eval("unpacked");
  tops[frame.id] = box(frame.contentDocument.querySelector(".figure, .drawn")).top;
  frame.contentDocument.querySelectorAll("details").forEach((one) => { one.open = true; });
}
for (const width of WIDTHS) {
  frames.forEach((frame) => { frame.width = width; });
  await settled(600);
  for (const frame of frames) (kinds[frame.id] ||= {})[width] =
    { ...measure(frame.contentDocument, width), top: tops[frame.id] };
  for (const unit of ["usd", "share"]) {
    frames.forEach((frame) => frame.contentDocument.querySelector(`[data-unit=${unit}]`)?.click());
    await settled(200);
    for (const frame of frames)
      kinds[frame.id][width].overlaps.push(...[...frame.contentDocument.querySelectorAll(".drawn")].flatMap(overlaps));
  }
}
// As a phone that is turned.
frames.forEach((frame) => { frame.width = WIDTHS[0]; });
await settled(0);
for (const frame of frames) {
  const drawn = [...frame.contentDocument.querySelectorAll(".figure, .drawn")].filter((one) => one.clientWidth);
  kinds[frame.id].late = drawn.filter((one) => box(one.querySelector("svg.main-svg")).width > one.clientWidth + 1).length;
}
found(kinds);
