// The engine that computes in the browser, by onnxruntime-web: the same steps as jaxfer.inference takes in Python.
const engine = {
  explains: false, // a network in ONNX has no gradients

  liveSide: 320, // pixels of the longer side of a camera's picture

  look(picture, camera) {
    const answer = turn.then(() => lookAt(picture, camera));
    turn = answer.catch(() => {});
    return answer;
  },

  // Returns the address of a picture as its boxes count it.
  async upright(picture) {
    const source = await createImageBitmap(picture);
    const scale = Math.min(1, settings.shown / Math.max(source.width, source.height));
    const [width, height] = [source.width, source.height].map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = new OffscreenCanvas(width, height);
    black(canvas).drawImage(source, 0, 0, width, height);
    source.close();
    return { picture: URL.createObjectURL(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 })) };
  },

  lost:
    location.protocol === "file:"
      ? "Browsers let no file compute: serve its folder, for instance by python3 -m http.server, and open that address."
      : "What this page computes with cannot be loaded: put the three files that it names below beside it, and load it again.",
};

let turn = Promise.resolve(); // a session runs once at a time
let sessions = null; // the detector and the network

async function load() {
  try {
    const ort = await import("./ort.wasm.min.mjs");
    ort.env.wasm.numThreads = 1; // more need headers that not every host sends
    const [detector, network] = await Promise.all(["yunet.onnx", "model.onnx"].map((file) => ort.InferenceSession.create(file)));
    return { ort, detector, network };
  } catch {
    document.querySelector(".runtime").hidden = false;
    throw new Lost();
  }
}

async function lookAt(picture, camera) {
  sessions ??= load();
  let ready;
  try {
    ready = await sessions;
  } catch (error) {
    sessions = null;
    throw error;
  }
  let source = picture;
  if (picture instanceof Blob) {
    try {
      source = await createImageBitmap(picture);
    } catch {
      return { problem: "not an image of a known format, or damaged" };
    }
  }
  if (source.width * source.height > settings.mostPixels) {
    return { problem: `${source.width} x ${source.height} pixels are too many` };
  }
  const found = await findFaces(ready, source);
  const frames = [];
  for (const face of found) frames.push(await refined(ready, frameOf(face), source));
  const said = await answers(ready, frames.map((frame) => cut(source, frame, settings.side)));
  const faces = found.map((face, i) => ({ ...face, ...said[i] }));
  const size = [source.width, source.height];
  source.close?.();
  return { size, faces: camera ? followed(faces, camera) : faces };
}

// ---- Detection: YuNet

async function findFaces(ready, source) {
  const { large, sides, long, smallest } = settings.detector;
  const [shorter, longer] = [source.width, source.height].sort((one, other) => one - other);
  const found = [];
  for (const side of longer > large ? sides : sides.slice(0, 1)) {
    const most = Math.max(side, Math.min(((side / long) * longer) / shorter, side * Math.sqrt(longer / shorter)));
    found.push(...(await foundAt(ready, source, Math.min(most, Math.max(longer, smallest)) / longer)));
  }
  return distinct(found);
}

// Returns the faces in a picture that is first resized by a factor, in pixels of the picture as it is.
async function foundAt({ ort, detector }, source, factor) {
  const { least, room, confident } = settings.detector;
  const [width, height] = [source.width, source.height].map((side) => Math.max(1, Math.round(side * factor)));
  if (Math.min(width, height) < least) return [];
  const [wide, high] = [width, height].map((side) => Math.ceil(Math.max(side, room) / 32) * 32);
  const canvas = new OffscreenCanvas(wide, high);
  const pen = black(canvas);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, 0, 0, width, height);
  const pixels = pen.getImageData(0, 0, wide, high).data;
  const count = wide * high;
  const planes = new Float32Array(3 * count); // blue, green, red
  for (let i = 0; i < count; i += 1) {
    for (let channel = 0; channel < 3; channel += 1) planes[channel * count + i] = pixels[4 * i + 2 - channel];
  }
  const input = new ort.Tensor("float32", planes, [1, 3, high, wide]);
  const outputs = await detector.run({ [detector.inputNames[0]]: input });
  const faces = [];
  for (const stride of [8, 16, 32]) {
    const [seen, there, box, points] = ["cls", "obj", "bbox", "kps"].map((name) => outputs[`${name}_${stride}`].data);
    const columns = wide / stride;
    for (let i = 0; i < seen.length; i += 1) {
      const score = Math.sqrt(clipped(seen[i]) * clipped(there[i]));
      if (score < confident) continue;
      const [column, row] = [i % columns, Math.floor(i / columns)];
      const [w, h] = [Math.exp(box[4 * i + 2]) * stride, Math.exp(box[4 * i + 3]) * stride];
      const [x, y] = [(column + box[4 * i]) * stride, (row + box[4 * i + 1]) * stride];
      const landmarks = [0, 1, 2, 3, 4].map((k) => [
        ((points[10 * i + 2 * k] + column) * stride * source.width) / width,
        ((points[10 * i + 2 * k + 1] + row) * stride * source.height) / height,
      ]);
      const [across, down] = [source.width / width, source.height / height];
      faces.push({ box: [(x - w / 2) * across, (y - h / 2) * down, w * across, h * down], landmarks, score });
    }
  }
  return distinct(faces);
}

function clipped(share) {
  return Math.min(1, Math.max(0, share));
}

// Returns each face once, as its most confident detection, the largest first.
function distinct(found) {
  const kept = [];
  for (const one of found.toSorted((a, b) => b.score - a.score)) {
    if (kept.every((other) => overlap(one.box, other.box) <= settings.detector.same)) kept.push(one);
  }
  return kept.sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3]);
}

function overlap(one, other) {
  const shared = [0, 1].map((axis) =>
    Math.max(0, Math.min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - Math.max(one[axis], other[axis])),
  );
  const both = shared[0] * shared[1];
  return both / (one[2] * one[3] + other[2] * other[3] - both);
}

// ---- Framing: a face is moved, turned and resized so that the detector sees it where it saw those of the training

function frameOf({ box, landmarks }) {
  const there = settings.framing;
  if (there.landmarks.length === landmarks.length) {
    const [here, middle] = [mean(landmarks), mean(there.landmarks)];
    let [real, imaginary, spread] = [0, 0, 0];
    landmarks.forEach(([x, y], i) => {
      const [a, b] = [x - here[0], y - here[1]];
      const [c, d] = [there.landmarks[i][0] - middle[0], there.landmarks[i][1] - middle[1]];
      real += a * c + b * d;
      imaginary += a * d - b * c;
      spread += a * a + b * b;
    });
    [real, imaginary] = [real / Math.max(spread, 1e-12), imaginary / Math.max(spread, 1e-12)];
    const size = real * real + imaginary * imaginary;
    if (Math.sqrt(size) > 1e-9) {
      const [dx, dy] = [0.5 - middle[0], 0.5 - middle[1]]; // divided by the complex scale
      const centre = [here[0] + (dx * real + dy * imaginary) / size, here[1] + (dy * real - dx * imaginary) / size];
      return { centre, side: 1 / Math.sqrt(size), roll: -Math.atan2(imaginary, real) };
    }
  }
  const [left, top, width, height] = box;
  const [x, y, w, h] = there.box;
  const side = height / h;
  return { centre: [left + width / 2 + (0.5 - x - w / 2) * side, top + height / 2 + (0.5 - y - h / 2) * side], side, roll: 0 };
}

function mean(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

// Looks at a frame once more, as large and upright as the training images were.
async function refined(ready, frame, source) {
  const { enlarged } = settings.detector;
  const canvas = new OffscreenCanvas(enlarged, enlarged);
  canvas.getContext("2d").putImageData(cut(source, frame, enlarged), 0, 0);
  const middle = enlarged / 2;
  const away = ({ centre: [x, y] }) => Math.hypot(x - middle, y - middle);
  const frames = (await findFaces(ready, canvas)).map(frameOf).sort((one, other) => away(one) - away(other));
  const [best] = frames;
  if (!best || away(best) > middle || best.side / enlarged <= 0.5 || best.side / enlarged >= 2) return frame;
  const scale = frame.side / enlarged;
  const [dx, dy] = [(best.centre[0] - middle) * scale, (best.centre[1] - middle) * scale];
  const [cosine, sine] = [Math.cos(frame.roll), Math.sin(frame.roll)];
  const centre = [frame.centre[0] + dx * cosine - dy * sine, frame.centre[1] + dx * sine + dy * cosine];
  return { centre, side: best.side * scale, roll: frame.roll + best.roll };
}

// Returns what a frame shows, as ImageData of this size; outside of the picture it is black.
function cut(source, frame, size) {
  const factor = Math.max(1, Math.floor(frame.side / (4 * size)));
  const pixels = Math.max(size, Math.round(frame.side / factor));
  const pen = black(new OffscreenCanvas(pixels, pixels));
  const scale = pixels / frame.side;
  pen.imageSmoothingQuality = scale < 1 ? "high" : "low";
  pen.translate(pixels / 2, pixels / 2);
  pen.scale(scale, scale);
  pen.rotate(-frame.roll);
  pen.translate(-frame.centre[0], -frame.centre[1]);
  pen.drawImage(source, 0, 0);
  return shrunk(pen.getImageData(0, 0, pixels, pixels), size);
}

function black(canvas) {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillRect(0, 0, canvas.width, canvas.height);
  return pen;
}

// Returns a square image made smaller by a filter in the form of a triangle, as Pillow's BILINEAR.
function shrunk(image, size) {
  const from = image.width;
  if (from === size) return image;
  const scale = from / size;
  const weights = Array.from({ length: size }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const [first, end] = [Math.max(0, Math.trunc(centre - scale + 0.5)), Math.min(from, Math.trunc(centre + scale + 0.5))];
    const values = [];
    for (let k = first; k < end; k += 1) values.push(Math.max(0, 1 - Math.abs((k + 0.5 - centre) / scale)));
    const sum = values.reduce((a, b) => a + b, 0);
    return { first, values: values.map((value) => value / sum) };
  });
  const across = new Float32Array(from * size * 3);
  for (let y = 0; y < from; y += 1) {
    weights.forEach(({ first, values }, x) => {
      for (let c = 0; c < 3; c += 1) {
        let sum = 0;
        values.forEach((value, k) => (sum += value * image.data[4 * (y * from + first + k) + c]));
        across[3 * (y * size + x) + c] = Math.round(sum);
      }
    });
  }
  const result = new ImageData(size, size);
  weights.forEach(({ first, values }, y) => {
    for (let x = 0; x < size; x += 1) {
      for (let c = 0; c < 3; c += 1) {
        let sum = 0;
        values.forEach((value, k) => (sum += value * across[3 * ((first + k) * size + x) + c]));
        result.data[4 * (y * size + x) + c] = Math.round(sum);
      }
      result.data[4 * (y * size + x) + 3] = 255;
    }
  });
  return result;
}

// ---- The network

async function answers({ ort, network }, crops) {
  if (!crops.length) return [];
  const count = settings.side * settings.side;
  const images = new Uint8Array(crops.length * count * 3);
  crops.forEach((crop, n) => {
    for (let i = 0; i < count; i += 1) {
      for (let c = 0; c < 3; c += 1) images[3 * (n * count + i) + c] = crop.data[4 * i + c];
    }
  });
  const input = new ort.Tensor("uint8", images, [crops.length, settings.side, settings.side, 3]);
  const outputs = await network.run({ [network.inputNames[0]]: input });
  const shares = outputs[network.outputNames[0]].data;
  const { names } = settings;
  return crops.map((_, n) => {
    const own = [...shares.slice(n * names.length, (n + 1) * names.length)];
    const affect = outputs.affect?.data.slice(2 * n, 2 * n + 2);
    return {
      probabilities: Object.fromEntries(names.map((name, i) => [name, own[i]])),
      label: names[own.indexOf(Math.max(...own))],
      ...(affect && { valence: affect[0], arousal: affect[1] }),
    };
  });
}

// ---- The faces of a camera, followed, and the mean over time of what is said of each

let tracks = { camera: null, count: 0, faces: [] };

function followed(faces, camera) {
  if (tracks.camera !== camera) tracks = { camera, count: 0, faces: [] };
  const now = performance.now() / 1000;
  const before = tracks.faces.filter((one) => now - one.time <= settings.tracks.gap);
  const distance = (face, one) => Math.hypot(...[0, 1].map((axis) => middle(face, axis) - middle(one.face, axis))) / face.box[2];
  const middle = (face, axis) => face.box[axis] + face.box[axis + 2] / 2;
  const pairs = faces.flatMap((face, i) => before.map((one) => ({ i, one, away: distance(face, one) })));
  const known = new Map();
  for (const { i, one, away } of pairs.sort((a, b) => a.away - b.away)) {
    if (away < 1 && !known.has(i) && ![...known.values()].includes(one)) known.set(i, one);
  }
  const seen = faces.map((face, i) => {
    const last = known.get(i);
    const weight = last ? 1 - Math.exp(-(now - last.time) / settings.tracks.smooth) : 1;
    const mix = (value, old) => (last ? old + weight * (value - old) : value);
    const shares = settings.names.map((name) => mix(face.probabilities[name], last?.face.probabilities[name]));
    const mixed = {
      ...face,
      track: last ? last.face.track : (tracks.count += 1),
      probabilities: Object.fromEntries(settings.names.map((name, k) => [name, shares[k]])),
      label: settings.names[shares.indexOf(Math.max(...shares))],
    };
    for (const name of ["valence", "arousal"]) if (name in face) mixed[name] = mix(face[name], last?.face[name]);
    return { time: now, face: mixed };
  });
  tracks.faces = [...seen, ...before.filter((one) => ![...known.values()].includes(one))];
  return seen.map((one) => one.face);
}
