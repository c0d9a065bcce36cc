"use strict";

// What an engine raises where it cannot be reached: the page tries again.
class Lost extends Error {}

{% include engine %}


const settings = JSON.parse(document.getElementById("settings").textContent);
const find = (selector, inside = document) => inside.querySelector(selector);
const [stage, shown, image, video, boxes] = [".stage", ".shown", ".picture img", "video", ".boxes"].map((one) => find(one));
const [findings, list, none, message, said] = [".findings", ".faces", ".none", ".message", ".said"].map((one) => find(one));
const screen = find(".live"); // shows what the camera saw when the faces were where the boxes are
const [strip, caption, pace, chooser] = [".strip", ".caption", ".pace", "input"].map((one) => find(one));
const [chooseButton, cameraButton, awayButton] = ["choose", "camera", "away"].map((one) => find(`button.${one}`));

const RETRY = 1500; // milliseconds after which an engine that was lost is asked again
const MOST_BESIDE = 3; // faces whose cards stand beside the picture; those of more stand below it
const PANORAMA = 1.9; // times its height that a picture of several faces is wide for the cards to stand below it, too
const TAG = 30; // pixels of height that a name beside a box needs
const SHOWN_AS_READ = ["image/jpeg", "image/png", "image/bmp", "image/avif"]; // others may be turned, move, or not be shown
const LIVE_WORDS = 4000; // milliseconds between two sentences about what a camera shows

const photographs = []; // each with its name, address, file, and its answer once there is one
let current = null; // the photograph that is shown
let live = null; // the camera while it is on: its stream, the name of its tracks, and the photograph shown before
let isStarting = false; // whether the camera is being asked for
let answer = null; // what is shown of the picture

// ---- Words

function percent(share) {
  return share > 0 && share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`;
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

// Returns a reason that goes on into a sentence.
function reason(problem) {
  return problem.trim().replace(/\.$/, "");
}

function made(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function tell(text) {
  if (said.textContent !== text) said.textContent = text;
}

// Shows a sentence until it is put away, or until what it is about has gone.
function complain(text, about = null) {
  if (about && find(`[data-about="${about}"]`, message)) return;
  const line = made("p", "", text);
  if (about) line.dataset.about = about;
  const away = made("button", "quiet", "OK");
  away.type = "button";
  away.addEventListener("click", () => takeOff(line));
  line.append(away);
  message.append(line);
}

function settle(about) {
  message.querySelectorAll(`[data-about="${about}"]`).forEach(takeOff);
}

// Takes an element off the page. If the focus is in it, what it stood beside gets it: nobody has to begin at the top.
function takeOff(element) {
  const hasFocus = element.contains(document.activeElement);
  const beside = element.previousElementSibling ?? element.nextElementSibling;
  element.remove();
  if (hasFocus) (beside?.matches("button") ? beside : beside && find("button", beside))?.focus();
  if (hasFocus) keepFocus();
}

// Gives the focus to a button that is always there, if it was lost with the element that had it.
function keepFocus() {
  const has = document.activeElement;
  if (!has || has === document.body || !has.checkVisibility()) (live ? cameraButton : chooseButton).focus();
}

// ---- The engine, asked until it answers

async function persistently(question, isWanted, say = (text) => complain(text, "lost")) {
  while (isWanted()) {
    try {
      const found = await question();
      settle("lost");
      return found;
    } catch (error) {
      if (!(error instanceof Lost)) return { problem: error.message };
      say(engine.lost);
      await new Promise((done) => setTimeout(done, RETRY));
    }
  }
  return null;
}

// ---- Faces: boxes in the picture, and a card for each beside it

function show(found, { mirrored }) {
  answer = found;
  const indexed = (found?.faces ?? []).map((face, index) => ({ ...face, index }));
  const faces = live
    ? indexed.map((face) => ({ ...face, number: face.track })).sort((one, other) => one.number - other.number)
    : inReadingOrder(indexed).map((face, i) => ({ ...face, number: i + 1 }));
  fit(boxes, faces.length, newBox);
  fit(list, faces.length, newCard);
  faces.forEach((face, i) => {
    place(boxes.children[i], face, found.size, mirrored);
    describe(list.children[i], face);
  });
  findings.hidden = !found;
  const isWide = faces.length > 1 && found.size[0] > PANORAMA * found.size[1];
  find(".table").classList.toggle("many", faces.length > MOST_BESIDE || isWide);
  none.hidden = !found || faces.length > 0;
  none.textContent = "No face is found in this picture.";
  return faces;
}

// Returns faces row by row, each from left to right. A row has all whose middle is above the chin of its topmost face.
function inReadingOrder(faces) {
  const middle = ({ box }, axis) => box[axis] + box[axis + 2] / 2;
  const rows = [];
  for (const face of faces.toSorted((one, other) => middle(one, 1) - middle(other, 1))) {
    const [top] = rows.at(-1) ?? [];
    if (top && middle(face, 1) < top.box[1] + top.box[3]) rows.at(-1).push(face);
    else rows.push([face]);
  }
  return rows.flatMap((row) => row.sort((one, other) => middle(one, 0) - middle(other, 0)));
}

// Places what is shown anew, since its picture has another size on the screen now.
function refit() {
  if (answer) show(answer, { mirrored: Boolean(live) });
}
image.addEventListener("load", refit);
addEventListener("resize", refit);

// Adds or takes away the last elements until there are so many: those that stay keep the focus.
function fit(parent, count, create) {
  while (parent.children.length > count) takeOff(parent.lastElementChild);
  while (parent.children.length < count) parent.append(create());
}

function newBox() {
  const box = made("button", "box");
  box.type = "button";
  const tag = made("span");
  tag.append(made("b"), made("i"));
  box.append(tag);
  if (engine.explains) box.addEventListener("click", () => explain(Number(box.dataset.index)));
  else box.setAttribute("aria-disabled", "true");
  pick(box, boxes, list);
  return box;
}

function place(box, face, [width, height], mirrored) {
  const [left, top, wide, high] = face.box;
  const x = mirrored ? width - left - wide : left;
  const share = (value, whole) => `${((100 * value) / whole).toFixed(3)}%`;
  Object.assign(box.style, { left: share(x, width), top: share(top, height), width: share(wide, width), height: share(high, height) });
  box.dataset.index = face.index;
  const scale = boxes.clientWidth / width;
  const [above, below] = [top, height - top - high].map((free) => free * scale >= TAG);
  box.classList.toggle("low", !above && below);
  box.classList.toggle("inside", !above && !below);
  box.classList.toggle("right", x > 0.72 * width);
  box.classList.toggle("small", wide * scale < 84);
  const words = `${face.label} ${percent(face.probabilities[face.label])}`;
  const [number, label] = box.firstChild.children;
  number.textContent = face.number;
  label.textContent = ` ${words}`;
  box.setAttribute("aria-label", `Face ${face.number}: ${words}${engine.explains ? ". Show where the network looked" : ""}`);
}

function newCard() {
  const card = made("li", "face-card");
  const head = made("header");
  head.append(made("span", "number"), made("h3"), made("span", "sure"));
  const bars = made("ul", "bars");
  for (const name of settings.names) {
    const line = made("li");
    const rail = made("span", "rail");
    rail.setAttribute("aria-hidden", "true");
    rail.append(made("i"));
    line.append(made("span", "name", name), rail, made("span", "share"));
    bars.append(line);
  }
  card.append(head, bars);
  if (engine.explains) {
    const ask = made("button", "ask quiet", "Where did it look?");
    ask.type = "button";
    ask.addEventListener("click", () => explain(Number(card.dataset.index)));
    card.append(ask);
  }
  pick(card, list, boxes);
  return card;
}

function describe(card, face) {
  card.dataset.index = face.index;
  const shares = Object.values(face.probabilities);
  find(".number", card).textContent = face.number;
  find("h3", card).textContent = face.label;
  find(".sure", card).textContent = percent(face.probabilities[face.label]);
  find(".ask", card)?.setAttribute("aria-label", `Where did it look? Face ${face.number}, ${face.label}`);
  [...find(".bars", card).children].forEach((line, i) => {
    line.classList.toggle("top", settings.names[i] === face.label);
    find("i", line).style.transform = `scaleX(${shares[i].toFixed(4)})`;
    find(".share", line).textContent = percent(shares[i]);
  });
  if (face.valence !== undefined) describeAffect(card, face);
}

// Valence from left to right and arousal from below to above, on the circle that holds all feelings.
function describeAffect(card, { valence, arousal }) {
  let affect = find(".affect", card);
  if (!affect) {
    affect = made("div", "affect");
    const drawing = (tag, values) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
      return element;
    };
    const circle = drawing("svg", { viewBox: "-1.05 -1.05 2.1 2.1", "aria-hidden": "true" });
    circle.append(drawing("circle", { r: 1 }), drawing("path", { d: "M-1 0H1M0-1V1" }), drawing("circle", { r: 0.09, class: "dot" }));
    const words = made("p");
    words.append(made("span"), made("br"), made("span"));
    affect.append(circle, words);
    find(".bars", card).after(affect);
  }
  find(".dot", affect).setAttribute("cx", valence);
  find(".dot", affect).setAttribute("cy", -arousal);
  const [one, other] = affect.querySelectorAll("p span");
  one.textContent = `valence ${signed(valence)}`;
  other.textContent = `arousal ${signed(arousal)}`;
}

// Has an element and the one at the same place in the other list stand out together.
function pick(element, own, others) {
  const mark = (picked) => () => {
    element.classList.toggle("picked", picked);
    others.children[[...own.children].indexOf(element)]?.classList.toggle("picked", picked);
  };
  for (const name of ["pointerenter", "focusin"]) element.addEventListener(name, mark(true));
  for (const name of ["pointerleave", "focusout"]) element.addEventListener(name, mark(false));
}

function inWords(faces) {
  const each = faces.map((face) => `${face.number} ${face.label} ${percent(face.probabilities[face.label])}`).join(", ");
  return faces.length ? `${faces.length} ${faces.length === 1 ? "face" : "faces"}: ${each}` : "No face";
}

// ---- Where the network looked

const why = find("dialog");
let asking = null; // stands for the last question: the answer to one before is not shown
why.addEventListener("close", keepFocus); // the face may have gone

async function explain(index) {
  const sent = answer?.sent;
  if (!sent || why.open) return;
  const [wait, pair, reading] = [".wait", ".pair", ".reading"].map((one) => find(one, why));
  wait.classList.remove("unseen");
  wait.textContent = "One moment …";
  pair.hidden = reading.hidden = true;
  find("#why-title").textContent = "Where the network looked";
  why.showModal();
  const say = (text) => (wait.textContent = text); // behind the dialog nobody would read or hear it
  const asked = (asking = {});
  const found = await persistently(() => engine.explain(sent, index), () => why.open && asking === asked, say);
  if (!found || asking !== asked) return;
  if (found.problem) {
    wait.textContent = `This cannot be shown: ${reason(found.problem)}.`;
    return;
  }
  find("#why-title").textContent = `Where it looked for “${found.label}”`;
  find(".face-shown").src = found.shown;
  Object.assign(find(".face-explained"), { src: found.explained, alt: `The same face, bright where it spoke for ${found.label}` });
  wait.classList.add("unseen"); // and is read out
  wait.textContent = `Two pictures are shown: the face, and the face bright where it spoke for ${found.label}.`;
  pair.hidden = reading.hidden = false;
}

// ---- Photographs

async function add(files) {
  if (!files.length) return;
  stopCamera();
  let isFirst = true;
  for (const file of files) {
    const problem = await unusable(file);
    if (problem) {
      complain(`${file.name || "The picture"} ${problem}`);
      continue;
    }
    const photograph = { file, name: file.name || "pasted picture", address: URL.createObjectURL(file), answer: null };
    photographs.push(photograph);
    if ((isFirst || !current) && !live) turnTo(photograph);
    else listPhotographs();
    isFirst = false;
    queue = queue.then(() => answerTo(photograph));
  }
}

let queue = Promise.resolve();

async function unusable(file) {
  if (file.size > settings.mostBytes) {
    const [size, most] = [file.size, settings.mostBytes].map((bytes) => Math.floor(bytes / 2 ** 20).toLocaleString("en"));
    return `has ${size} MB, and at most ${most} are taken: make it smaller.`;
  }
  if (!(await isReadable(file))) return "is a folder, or cannot be read: choose photographs.";
  return file.size ? "" : "is empty: choose another one.";
}

function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

async function answerTo(photograph) {
  const isWanted = () => photographs.includes(photograph);
  const found = await persistently(() => engine.look(photograph.file, null), isWanted);
  if (!found) return;
  let { problem } = found;
  if (!problem && !(await isShownAsRead(photograph, found.size))) {
    const upright = await persistently(() => engine.upright(photograph.file), isWanted);
    if (!upright) return;
    problem = upright.problem;
    URL.revokeObjectURL(photograph.address);
    photograph.address = upright.picture;
  }
  if (problem) {
    const advice = /\.hei[cf]$/i.test(photograph.name) ? "Save it as JPEG, and choose that" : "Choose another one";
    complain(`${photograph.name} cannot be looked at: ${reason(problem)}. ${advice}.`);
    remove(photograph);
    return;
  }
  photograph.answer = found;
  if (current === photograph) turnTo(photograph);
  else listPhotographs();
}

// Returns whether the browser shows a file as the one picture in which the faces were found.
async function isShownAsRead({ file, address }, [width, height]) {
  if (!SHOWN_AS_READ.includes(file.type)) return false;
  const trial = new Image();
  trial.src = address;
  return trial.decode().then(() => trial.naturalWidth === width && trial.naturalHeight === height, () => false);
}

function turnTo(photograph) {
  current = photograph;
  document.body.dataset.state = photograph ? "photograph" : "empty";
  shown.hidden = !photograph;
  image.hidden = !photograph;
  stage.classList.toggle("looking", Boolean(photograph && !photograph.answer));
  if (photograph && image.src !== photograph.address) image.src = photograph.address;
  image.alt = photograph?.name ?? "";
  caption.hidden = !photograph;
  find(".name", caption).textContent = photograph?.name ?? "";
  awayButton.setAttribute("aria-label", `Take away ${photograph?.name ?? ""}`);
  const faces = show(photograph?.answer ?? null, { mirrored: false });
  if (photograph?.answer) tell(`${photograph.name}: ${inWords(faces)}`);
  listPhotographs();
}

function remove(photograph) {
  const place = photographs.indexOf(photograph);
  photographs.splice(place, 1);
  URL.revokeObjectURL(photograph.address);
  if (current === photograph) turnTo(photographs[place] ?? photographs.at(-1) ?? null);
  else listPhotographs();
}

awayButton.addEventListener("click", () => {
  const { name } = current;
  remove(current);
  if (!current) tell(`${name} is taken away. No photograph is left.`);
  keepFocus();
});

function listPhotographs() {
  strip.hidden = photographs.length < 2;
  fit(strip, photographs.length, () => {
    const item = made("li");
    const button = made("button");
    button.type = "button";
    button.append(made("img"));
    button.addEventListener("click", () => {
      stopCamera();
      turnTo(photographs[[...strip.children].indexOf(item)]);
    });
    item.append(button);
    return item;
  });
  [...strip.children].forEach((item, i) => {
    const [button, thumbnail] = [item.firstChild, item.firstChild.firstChild];
    if (thumbnail.src !== photographs[i].address) thumbnail.src = photographs[i].address;
    thumbnail.alt = photographs[i].name;
    const isCurrent = photographs[i] === current && !live;
    if (isCurrent && button.ariaCurrent !== "true") button.scrollIntoView({ block: "nearest", inline: "nearest" });
    button.setAttribute("aria-current", String(isCurrent));
  });
  if (strip.hidden && strip.contains(document.activeElement)) keepFocus();
}

chooseButton.addEventListener("click", () => chooser.click());
chooser.addEventListener("change", () => {
  add([...chooser.files]);
  chooser.value = ""; // so that the same file can be chosen again
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) add(files);
  else complain("There is no picture in what was pasted: copy one first.", "paste");
});
let entered = 0; // elements of the page that what is dragged is over
for (const [name, change] of [["dragenter", 1], ["dragleave", -1]]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    entered = Math.max(0, entered + change);
    stage.classList.toggle("dropping", entered > 0);
  });
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  entered = 0;
  stage.classList.remove("dropping");
  const files = [...event.dataTransfer.files];
  if (files.length) add(files);
  else complain("What was dropped is no file: save the picture, and drop that.", "drop");
});

// ---- The camera

const WHY_NOT = {
  NotAllowedError: "The camera was not allowed: allow it in the address bar of the browser.",
  NotFoundError: "No camera is found: connect one.",
  NotReadableError: "The camera cannot be used: another program may have it.",
};

async function startCamera() {
  if (isStarting) return;
  settle("camera");
  if (!navigator.mediaDevices) {
    complain("Browsers give a camera to pages of https and of localhost alone: open this one by such an address.", "camera");
    return;
  }
  let stream;
  isStarting = true;
  try {
    const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    complain(WHY_NOT[error.name] ?? `The camera cannot be used (${error.message}).`, "camera");
    return;
  } finally {
    isStarting = false;
  }
  live = { stream, name: crypto.randomUUID(), before: current };
  turnTo(null);
  stream.getVideoTracks()[0].addEventListener("ended", () => {
    stopCamera();
    complain("The camera has gone: connect it again.", "camera");
  });
  document.body.dataset.state = "camera";
  shown.hidden = screen.hidden = false;
  cameraButton.textContent = "Switch the camera off";
  cameraButton.setAttribute("aria-pressed", "true");
  listPhotographs();
  await watch(live);
}

function stopCamera() {
  if (!live) return;
  live.stream.getTracks().forEach((track) => track.stop());
  const { before } = live;
  live = null;
  video.srcObject = null;
  screen.hidden = pace.hidden = true;
  cameraButton.textContent = "Switch the camera on";
  cameraButton.setAttribute("aria-pressed", "false");
  turnTo(photographs.includes(before) ? before : (photographs.at(-1) ?? null));
}

cameraButton.addEventListener("click", () => (live ? stopCamera() : startCamera()));

// Sends one picture at a time, the newest as soon as the last is answered; what comes after the end is dropped.
async function watch(camera) {
  // Canvases of no page encode at once, where those of a page wait for idle time.
  const [seen, small] = [new OffscreenCanvas(1, 1), new OffscreenCanvas(1, 1)];
  let [there, sent] = [0, 0]; // pictures that the camera has shown, and what `there` was when the last was sent
  let arrived = () => {};
  const count = () => {
    there += 1;
    arrived();
    if (live === camera) video.requestVideoFrameCallback(count);
  };
  video.requestVideoFrameCallback(count);
  const times = []; // of the last answers, in milliseconds
  let [spoken, words] = [-Infinity, ""];
  while (live === camera) {
    if (there === sent) await new Promise((done) => (arrived = done));
    if (live !== camera) return;
    sent = there;
    const [width, height] = [video.videoWidth, video.videoHeight];
    const scale = Math.min(1, engine.liveSide / Math.max(width, height));
    draw(video, seen, width, height);
    draw(seen, small, Math.round(width * scale), Math.round(height * scale));
    const found = await persistently(() => engine.look(small, camera.name), () => live === camera);
    if (!found || live !== camera) return;
    if (found.problem) {
      complain(`A picture of the camera cannot be looked at: ${reason(found.problem)}.`, "camera");
      await new Promise((done) => setTimeout(done, RETRY));
      continue;
    }
    draw(seen, screen, width, height);
    find(".picture").style.setProperty("--wide", (width / height).toFixed(4));
    const faces = show(found, { mirrored: true });
    const now = performance.now();
    times.push(now);
    if (times.length > 30) times.shift();
    if (times.length > 4) {
      pace.hidden = false;
      pace.textContent = `${Math.round((1000 * (times.length - 1)) / (now - times[0]))} pictures a second`;
    }
    const named = faces.map((face) => `${face.number} ${face.label}`).join();
    if (named !== words && now - spoken > LIVE_WORDS) {
      [spoken, words] = [now, named];
      tell(inWords(faces));
    }
  }
}

function draw(source, canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(source, 0, 0, width, height);
}
