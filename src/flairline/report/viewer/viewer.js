// The reports' viewer: NiiVue over the volumes that lie in the page. Bundled by esbuild when the wheel is built.
import { MULTIPLANAR_TYPE, NVImage, Niivue, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";

const MASK = 1, TRUTH = 2, BRAIN = 4;
const HEADER_BYTES = 352;
const VIEWS = {
  all: SLICE_TYPE.MULTIPLANAR, axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL, render: SLICE_TYPE.RENDER,
};
// Labels of the overlay: 1 marked or found, 2 missed, 3 false, 4 brain outline, in the page's own colours.
const LABELS = {
  R: [0, 255, 240, 255, 159], G: [0, 176, 228, 127, 179], B: [0, 0, 66, 42, 200],
  A: [0, 255, 255, 255, 255], I: [0, 1, 2, 3, 4], labels: ["", "marked", "missed", "false", "brain"],
};
const COMPARED = { ...LABELS, R: [0, 86, 240, 255, 159], G: [0, 180, 228, 127, 179], B: [0, 233, 66, 42, 200] };

// Greys in seven bits: below 128 what is not brain, from there on the brain. Slices show both alike; the 3-D picture
// takes its opacity from here, so it shows the brain and not a cut box of head.
const GREYS = { R: [0, 255, 0, 255], G: [0, 255, 0, 255], B: [0, 255, 0, 255], A: [0, 0, 0, 128], I: [0, 127, 128, 255] };

const byId = (id) => document.getElementById(id);

async function unpack(id) {
  const text = byId(id).textContent;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function withHeader(nifti, array) {
  const file = new Uint8Array(HEADER_BYTES + array.length);
  file.set(nifti.subarray(0, HEADER_BYTES));
  file.set(array, HEADER_BYTES);
  return file.buffer;
}

function image(buffer, name, colormap, opacity, low, high) {
  return NVImage.new(buffer, name, colormap, opacity, null, low, high, true, 0, false, false, "", 0, undefined,
    NaN, NaN, false, null, 0, null);
}

function greys(nifti, bits) {
  return withHeader(nifti, bits.map((bit, i) => (nifti[HEADER_BYTES + i] >> 1) + (bit & BRAIN ? 128 : 0)));
}

// Voxels of the brain with a neighbour outside it, in the axial plane.
function outline(bits, [nx, ny]) {
  const edge = new Uint8Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    if (!(bits[i] & BRAIN)) continue;
    const x = i % nx, y = Math.floor(i / nx) % ny;
    const out = x === 0 || x === nx - 1 || y === 0 || y === ny - 1 ||
      !(bits[i - 1] & BRAIN) || !(bits[i + 1] & BRAIN) || !(bits[i - nx] & BRAIN) || !(bits[i + nx] & BRAIN);
    if (out) edge[i] = 1;
  }
  return edge;
}

class Viewer {
  constructor(meta, nifti, codes, bits) {
    Object.assign(this, { meta, nifti, codes, bits });
    const header = new DataView(nifti.buffer, nifti.byteOffset);
    this.shape = [42, 44, 46].map((offset) => header.getInt16(offset, true));
    this.edge = outline(bits, this.shape);
    this.code = meta.thresholdCode;
    this.asSegmented = true;
    this.brain = false;
    this.compare = meta.truth;
    this.box = byId("viewer-box");
  }

  async start() {
    const canvas = byId("viewer-canvas");
    this.nv = new Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [0.35, 0.75, 0.95, 0.75], crosshairWidth: 0.5, crosshairWidthUnit: "mm", crosshairGap: 6, fontColor: [1, 0.82, 0.3, 1],
      isRadiologicalConvention: true, isOrientationTextVisible: this.meta.sidesKnown, showAllOrientationMarkers: true, isCornerOrientationText: false,
      isResizeCanvas: true, scrollRequiresFocus: true, dragAndDropEnabled: false, loadingText: "", logLevel: "error",
      multiplanarLayout: MULTIPLANAR_TYPE.GRID, multiplanarShowRender: SHOW_RENDER.ALWAYS, tileMargin: 4, sagittalNoseLeft: true,
      viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "", show3Dcrosshair: true, fontSizeScaling: 0.4, fontMinPx: 15,
    });
    await this.nv.attachToCanvas(canvas);
    this.nv.onLocationChange = (location) => this.located(location);
    this.nv.addColormap("head", GREYS);
    this.nv.addVolume(await image(greys(this.nifti, this.bits), "flair.nii", "head", 1, 0, 255));
    this.nv.addVolume(await image(withHeader(this.nifti, this.codes), "score.nii", "viridis", 0, 1, 255));
    this.nv.addVolume(await image(withHeader(this.nifti, this.labels()), "mask.nii", "gray", 0.6, 0, 4));
    this.paint();
    this.view("all");
    this.connect(canvas);
    this.box.dataset.state = "ready";
    byId("viewer-message").hidden = true;
    this.shown();
    const first = document.querySelector("#lesion-table [data-goto]");
    if (first) this.goto(first.dataset.goto.split(",").map(Number));
  }

  // What the overlay shows for the present threshold, as labels; also counts the marked voxels.
  labels() {
    const { bits, codes, code, edge } = this;
    const out = new Uint8Array(bits.length);
    let marked = 0;
    for (let i = 0; i < out.length; i++) {
      const mask = this.asSegmented ? bits[i] & MASK : codes[i] >= code;
      if (mask) marked++;
      const truth = this.compare && bits[i] & TRUTH;
      out[i] = mask ? (this.compare && !truth ? 3 : 1) : truth ? 2 : this.brain && edge[i] ? 4 : 0;
    }
    this.marked = marked;
    return out;
  }

  paint() {
    const overlay = this.nv.volumes[2];
    overlay.img.set(this.labels());
    overlay.setColormapLabel(this.compare ? COMPARED : LABELS);
    this.nv.updateGLVolume();
    this.shown();
  }

  shown() {
    const { meta, marked } = this;
    const ml = this.asSegmented ? meta.maskMl : marked * meta.voxelMl;
    const value = this.code === meta.thresholdCode ? meta.threshold : meta.edges[this.code - 1];
    const words = `${this.asSegmented || meta.exact ? "" : "about "}${ml.toPrecision(3)} ml`;
    byId("threshold-value").textContent = Number(value.toPrecision(5));
    byId("shown-volume").textContent = this.asSegmented ? `${words} marked, ${meta.origin}` : `${words} at this threshold`;
    this.box.dataset.marked = String(marked);
    byId("threshold-reset").disabled = this.asSegmented;
  }

  threshold(code) {
    this.code = Math.min(255, Math.max(1, code));
    this.asSegmented = false;
    byId("slider-threshold").value = String(this.code);
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.paint());
  }

  reset() {
    this.code = this.meta.thresholdCode;
    this.asSegmented = true;
    byId("slider-threshold").value = String(this.code);
    this.paint();
  }

  opacity(volume, percent) {
    this.nv.setOpacity(volume, percent / 100);
  }

  view(name) {
    this.nv.setSliceType(VIEWS[name]);
    this.box.dataset.current = name;
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === name));
    }
  }

  goto(mm) {
    // `true`: millimetres of the scanner. Without it NiiVue takes those of an oblique grid turned straight, while
    // `location.mm` is the scanner's either way.
    this.nv.scene.crosshairPos = this.nv.mm2frac(mm, 0, true);
    this.nv.createOnLocationChange();
    this.nv.drawScene();
  }

  next() {
    const places = [...document.querySelectorAll("#lesion-table [data-goto]")];
    if (!places.length) return;
    this.place = ((this.place ?? 0) + 1) % places.length;
    this.goto(places[this.place].dataset.goto.split(",").map(Number));
  }

  move(x, y, z) {
    this.nv.moveCrosshairInVox(x, y, z);
    this.nv.createOnLocationChange();
  }

  located(location) {
    const mm = Array.from(location.mm).slice(0, 3);
    const [x, y, z] = location.vox;
    const i = x + this.shape[0] * (y + this.shape[1] * z);
    const code = this.codes[i] ?? 0;
    const [low] = this.meta.edges;
    const score = code === 0 ? `below ${Number(low.toPrecision(4))}` : Number(this.meta.edges[code - 1].toPrecision(4));
    this.box.dataset.mm = mm.map((value) => value.toFixed(2)).join(",");
    const place = mm.map((value) => value.toFixed(1)).join(", ");
    byId("viewer-readout").textContent = `${this.meta.sidesKnown ? "R, A, S" : "x, y, z"} ${place} mm · score ${score}`;
  }

  toggle(name) {
    this[name] = !this[name];
    byId(name === "brain" ? "brain-toggle" : "truth-toggle")?.setAttribute("aria-pressed", String(this[name]));
    this.paint();
  }

  connect(canvas) {
    byId("slider-threshold").addEventListener("input", (event) => this.threshold(Number(event.target.value)));
    byId("slider-mask").addEventListener("input", (event) => this.opacity(2, Number(event.target.value)));
    byId("slider-score").addEventListener("input", (event) => this.opacity(1, Number(event.target.value)));
    byId("threshold-reset").addEventListener("click", () => this.reset());
    byId("brain-toggle").addEventListener("click", () => this.toggle("brain"));
    byId("truth-toggle")?.addEventListener("click", () => this.toggle("compare"));
    for (const button of document.querySelectorAll("[data-view]")) {
      button.addEventListener("click", () => this.view(button.dataset.view));
    }
    document.addEventListener("flairline:goto", (event) => this.goto(event.detail));
    canvas.addEventListener("keydown", (event) => this.key(event), true);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = event.shiftKey ? 5 : 1;
    const slider = (id, by) => {
      byId(id).value = String(Number(byId(id).value) + by);
      byId(id).dispatchEvent(new Event("input"));
    };
    // On the picture the patient's right is on the left, so the left arrow moves towards R, which is +x.
    const actions = {
      ArrowLeft: () => this.move(step, 0, 0), ArrowRight: () => this.move(-step, 0, 0),
      ArrowUp: () => this.move(0, step, 0), ArrowDown: () => this.move(0, -step, 0),
      PageUp: () => this.move(0, 0, step), PageDown: () => this.move(0, 0, -step),
      "[": () => this.threshold(this.code - step), "]": () => this.threshold(this.code + step),
      "-": () => slider("slider-mask", -5), "+": () => slider("slider-mask", 5), "=": () => slider("slider-mask", 5),
      n: () => this.next(), b: () => this.toggle("brain"), r: () => this.reset(),
    };
    Object.keys(VIEWS).forEach((name, index) => { actions[String(index + 1)] = () => this.view(name); });
    const action = actions[event.key];
    event.stopPropagation();
    if (!action) return;
    event.preventDefault();
    action();
  }
}

async function main() {
  const box = byId("viewer-box");
  try {
    const meta = JSON.parse(byId("viewer-meta").textContent);
    const [nifti, codes, bits] = await Promise.all(["viewer-flair", "viewer-codes", "viewer-bits"].map(unpack));
    await new Viewer(meta, nifti, codes, bits).start();
  } catch (error) {
    box.dataset.state = "failed";
    byId("viewer-message").textContent =
      `This browser cannot show the viewer (it needs WebGL 2): ${error.message ?? error}. The slices below show the result.`;
  }
}

main();
