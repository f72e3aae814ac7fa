const BARS = 80, NAMES = {long: "longs", short: "shorts"};
const LEFT = [0, 0.497], RIGHT = [0.503, 1];
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const digits = (x) => x.toLocaleString("en", {maximumSignificantDigits: 6});
const dollars = (k) => k >= 1e6 ? (k / 1e6).toPrecision(3) + "B" : k >= 1e3 ? (k / 1e3).toPrecision(3) + "M" : k.toPrecision(3) + "k";
const within = (values, from, to) => {
  let sum = 0;
  for (let bin = Math.floor(from + 1e-9); bin < Math.min(to - 1e-9, values.length); bin += 1)
    sum += values[bin] * (Math.min(bin + 1, to) - Math.max(bin, from));
  return sum;
};
class Mirror {
  constructor(place) {
    this.place = place;
    this.data = JSON.parse(place.querySelector("script").textContent);
    this.drawn = place.querySelector(".drawn");
    this.chosen = 0;
    this.unit = this.data.maps.length || !this.data.truth.usd ? "share" : "usd";
    this.show(this.data.first);
    place.querySelector("select")?.addEventListener("change", (event) => { this.chosen = event.target.selectedIndex;
      if (this.pct == "all") this.show("all");
      this.draw();
    });
    for (const button of place.querySelectorAll("[data-pct]"))
      button.addEventListener("click", () => { this.show(button.dataset.pct); this.draw(); });
    for (const button of place.querySelectorAll("[data-unit]"))
      button.addEventListener("click", () => { this.unit = button.dataset.unit; this.draw(); });
  }
  // The truth and the map beside it, or a map alone.
  get seen() { return [this.data.truth, this.data.maps[this.chosen]].filter(Boolean); }
  // As wide as bins of the coarser map at least, so that lengths can be compared.
  get pitch() {
    const widest = Math.max(...this.seen.map((map) => map.width));
    return widest * Math.max(1, Math.round(Math.log(this.high / this.low) / BARS / widest));
  }
  show(pct) {
    const mark = this.data.mark;
    const farthest = (side) => mark * Math.exp((side == "long" ? -1 : 1) *
      Math.max(0.05, ...this.seen.map((map) => map[side].length * map.width)));
    this.pct = pct;
    [this.low, this.high] = pct == "all" ? ["long", "short"].map(farthest) : [-1, 1].map((sign) => mark * (1 + sign * pct / 100));
  }
  bars(map, side) {
    const sign = side == "long" ? -1 : 1, mass = map[side], mark = this.data.mark;
    const total = mass.reduce((sum, one) => sum + one, 0) || 1;
    const pitch = this.pitch, amount = (k) => map.usd ? dollars(k) + " USD, " : "";
    const counts = map.counts && map.counts[side];
    const bars = {x: [], y: [], width: [], text: [], line: {x: [0], y: [mark]}};
    let reached = 0;
    for (let at = 0; at * pitch < mass.length * map.width - 1e-9; at += 1) {
      const bins = [at, at + 1].map((bar) => bar * pitch / map.width);
      const sum = within(mass, ...bins);
      const ends = [at, at + 1].map((bar) => mark * Math.exp(sign * bar * pitch));
      if (sign > 0 ? ends[0] > this.high : ends[0] < this.low) break;
      reached += sum;
      bars.line.x.push(100 * reached / total);
      bars.line.y.push(ends[1]);
      if (!sum || (sign > 0 ? ends[1] <= this.low : ends[1] >= this.high)) continue;
      const count = counts ? Math.round(within(counts, ...bins)) : 0;
      bars.x.push(this.unit == "usd" ? sum * 1e3 : 100 * sum / total);
      bars.y.push((ends[0] + ends[1]) / 2);
      bars.width.push(Math.abs(ends[1] - ends[0]) * 0.9);
      bars.text.push(digits(Math.min(...ends)) + " to " + digits(Math.max(...ends)) + " (" +
        (sign > 0 ? "+" : "\u2212") + Math.abs(100 * ((ends[0] + ends[1]) / 2 / mark - 1)).toFixed(1) + " %)<br>" + NAMES[side] + " " + amount(sum) +
        (100 * sum / total).toFixed(1) + " % of the side" + (count ? "<br>" + count + " positions" : "") +
        "<br>from the mark to here " + amount(reached) + (100 * reached / total).toFixed(0) + " %");
    }
    return bars;
  }
  traces(map, axis) {
    return ["long", "short"].flatMap((side) => {
      const {x, y, width, text, line} = this.bars(map, side), base = color(side), left = axis == "" && this.seen.length > 1, last = line.x.length - 1;
      line.y[last] = Math.min(this.high, Math.max(this.low, line.y[last]));
      const reached = line.x.map((share, at) => at == last ? share.toFixed(0) + " %" : "");
      const inward = line.x[last] > 75 == left ? "right" : "left";
      return [
        {type: "bar", orientation: "h", x, y, width, hovertext: text, hoverinfo: "text", marker: {color: base}, xaxis: "x" + axis,
          showlegend: false},
        {type: "scatter", mode: "lines+text", text: reached, textposition: (side == "long" ? "top " : "bottom ") + inward, textfont: {color: base}, x: line.x, y: line.y, xaxis: "x" + (axis == "" ? "3" : "4"), hoverinfo: "skip",
          showlegend: false, line: {color: base, width: 1.5, dash: "dot"}},
      ];
    });
  }
  // Axes of bars and, over them, of what is reached; the truth's grow to the left.
  across(traces) {
    const most = (axis) => Math.max(1e-9, ...traces.filter((one) => one.type == "bar" && one.xaxis == axis).flatMap((one) => one.x));
    const ends = ["x", "x2"].map(most), [left, right] = this.unit == "usd" ? ends : Array(2).fill(Math.max(...ends));
    // On a phone two whole titles would lie over each other.
    const per = " per " + (100 * this.pitch).toFixed(2) + (innerWidth < 640 && this.seen.length > 1 ? " %" : " % of price");
    const title = (map) => ({text: this.unit == "usd" ? (map.usd ? "USD" : "vendor's unit") + per : "% of the side", standoff: 6});
    const [first, second] = this.seen;
    const axis = {fixedrange: true, zeroline: false, gridcolor: color("line"), tickfont: {color: color("faint")}, nticks: 5, title: title(first),
      ticklabelstandoff: 5};
    const hidden = {fixedrange: true, visible: false};
    if (this.seen.length == 1)
      return {xaxis: {...axis, range: [0, left * 1.05], nticks: 8}, xaxis3: {...hidden, overlaying: "x", range: [0, 105]}};
    return {
      xaxis: {...axis, domain: LEFT, range: [left * 1.05, 0]},
      // From just above 0: one 0 in the middle is enough.
      xaxis2: {...axis, title: title(second), domain: RIGHT, range: [right * 1e-3, right * 1.05]},
      xaxis3: {...hidden, overlaying: "x", domain: LEFT, range: [105, 0]},
      xaxis4: {...hidden, overlaying: "x2", domain: RIGHT, range: [0, 105]},
    };
  }
  // Whose map is where, where nothing is seen, and the mark.
  words(traces) {
    const {truth, mark, shown} = this.data, [, map] = this.seen;
    const head = (text, x, xanchor) => ({text, x, xanchor, y: 1.0, xref: "paper", yref: "paper", yanchor: "bottom", showarrow: false,
      font: {color: color("ink"), size: innerWidth < 640 ? 12 : 14}});
    const places = map ? [["x", 0.25], ["x2", 0.75]] : [["x", 0.5]];
    const empty = places.filter(([axis]) => !traces.some((one) => one.type == "bar" && one.xaxis == axis && one.x.length));
    return [
      ...(map ? [head("truth: " + truth.label, 0, "left"), head(map.label, 1, "right")] : []),
      ...empty.map(([, x]) => ({...head("nothing in this range", x, "center"), y: 0.75})),
      // Beside the plot, as a ticker shows the last price: within it would lie over a bar.
      {text: shown, x: 1, y: mark, xref: "paper", xanchor: "left", yanchor: "middle", showarrow: false, bgcolor: color("mark"),
        font: {color: color("paper")}},
    ];
  }
  draw() {
    const mark = this.data.mark, traces = this.seen.flatMap((map, at) => this.traces(map, ["", "2"][at]));
    const divided = this.seen.length > 1 ? [LEFT[1], RIGHT[0]] : [];
    Plotly.react(this.drawn, traces, {
      barmode: "overlay", height: innerWidth < 640 ? 460 : Math.min(Math.max(innerHeight - 350, 450), 620), margin: {t: 28, l: 8, r: 8 + 7 * this.data.shown.length, b: 44}, hovermode: "closest", dragmode: "zoom",
      paper_bgcolor: color("paper"), plot_bgcolor: color("paper"), font: {color: color("ink"), family: getComputedStyle(document.body).fontFamily, size: 12},
      ...this.across(traces),
      yaxis: {range: [this.low, this.high], side: "left", automargin: true, gridcolor: color("line"), tickformat: ",.6~g", zeroline: false,
        tickfont: {color: color("faint")}},
      shapes: [
        ...divided.map((x) => ({type: "line", xref: "paper", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: {color: color("edge"), width: 1}})),
        {type: "line", xref: "paper", x0: 0, x1: 1, y0: mark, y1: mark, line: {color: color("mark"), width: 1.5}},
      ],
      annotations: this.words(traces),
    }, {displaylogo: false, displayModeBar: false, scrollZoom: false});
    for (const button of this.place.querySelectorAll("button"))
      button.setAttribute("aria-pressed", button.dataset.pct == this.pct || button.dataset.unit == this.unit);
    if (!this.listening) this.listening = this.drawn.on("plotly_relayout", (change) => this.zoomed(change));
  }
  zoomed(change) {
    if (change["yaxis.autorange"]) this.show("all");
    else if (change["yaxis.range[0]"] !== undefined) {
      const least = this.data.mark / 1000, [one, other] = [change["yaxis.range[0]"], change["yaxis.range[1]"]];
      [this.low, this.high, this.pct] = [Math.max(Math.min(one, other), least), Math.max(one, other, 2 * least), 0];
    }
    else return;
    this.draw();
  }
}
document.addEventListener("DOMContentLoaded", async () => {
  await unpacked;
  const mirrors = [...document.querySelectorAll(".mirror")].map((place) => new Mirror(place));
  const draw = () => mirrors.forEach((one) => one.draw());
  draw();
  for (const one of mirrors) fitted.observe(one.drawn);
  lit.addEventListener("change", draw);
});
