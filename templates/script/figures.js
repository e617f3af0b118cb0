// Every figure can be saved as SVG and as PNG, and a slice enlarged: what is drawn, with its style, and nothing else.
const STYLE = ["fill", "fill-rule", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity",
  "stroke-linejoin", "vector-effect", "paint-order", "opacity", "font-family", "font-size", "font-weight", "text-anchor"];
const PNG_SCALE = 3;

function sizeOf(svg) {
  const [, , width, height] = svg.getAttribute("viewBox").split(/\s+/).map(Number);
  const wanted = Math.max(480, width * 4 / 3);
  return [Math.round(wanted), Math.round(wanted * height / width)];
}

function standalone(svg) {
  const copy = svg.cloneNode(true), [width, height] = sizeOf(svg);
  const drawn = [svg, ...svg.querySelectorAll("*")], copies = [copy, ...copy.querySelectorAll("*")];
  drawn.forEach((node, index) => {
    const style = getComputedStyle(node), made = copies[index];
    made.removeAttribute("style");
    made.removeAttribute("class");
    STYLE.forEach((name) => made.setAttribute(name, style.getPropertyValue(name)));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  Object.entries({ width: "100%", height: "100%", fill: "#fff" }).forEach(([name, value]) => paper.setAttribute(name, value));
  copy.prepend(paper);
  return new XMLSerializer().serializeToString(copy);
}

function save(content, name) {
  const link = element("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function saveSvg(svg, name) {
  save(new Blob([standalone(svg)], { type: "image/svg+xml" }), name + ".svg");
}

function savePng(svg, name) {
  const [width, height] = sizeOf(svg), picture = new Image();
  picture.onload = () => {
    const canvas = element("canvas");
    Object.assign(canvas, { width: width * PNG_SCALE, height: height * PNG_SCALE });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((content) => save(content, name + ".png"), "image/png");
  };
  picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(standalone(svg));
}

function saveButtons(svg, name, label) {
  const tools = element("div", undefined, "tools");
  tools.append(button("Save SVG", () => saveSvg(svg, name), "Save SVG: " + label),
    button("Save PNG", () => savePng(svg, name), "Save PNG: " + label));
  return tools;
}

function dressFigure(figure) {
  const svg = figure.querySelector("svg");
  if (!svg) return;
  const drawn = figure.querySelectorAll(":scope > svg, :scope > .for-wide, :scope > .for-narrow");
  drawn[drawn.length - 1].after(saveButtons(svg, figure.dataset.figure, figure.dataset.figure));
}

const enlarged = element("dialog", undefined, "enlarged");
enlarged.addEventListener("click", (event) => { if (event.target === enlarged) enlarged.close(); });

function enlarge(svg, caption, name) {
  const copy = svg.cloneNode(true), [, , width, height] = svg.getAttribute("viewBox").split(/\s+/).map(Number);
  copy.style.width = "min(92vw, " + (74 * width / height).toFixed(1) + "vh)";
  const tools = saveButtons(copy, name, caption);
  tools.append(button("Close", () => enlarged.close()));
  enlarged.setAttribute("aria-label", caption);
  enlarged.replaceChildren(copy, element("p", caption, "note"), tools);
  if (!enlarged.isConnected) document.body.append(enlarged);
  enlarged.showModal();
}

function dressSlice(figure) {
  const svg = figure.querySelector("svg"), label = svg.getAttribute("aria-label");
  const zoom = button(undefined, () => enlarge(svg, label, slug(label.split(":")[0])), "Enlarge. " + label);
  zoom.className = "zoom";
  svg.after(zoom);
}
