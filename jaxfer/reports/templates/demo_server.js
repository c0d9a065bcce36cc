// The engine that asks the server which this page comes from.
const engine = {
  explains: true,

  liveSide: 320, // pixels of the longer side of a camera's picture

  // Returns the faces in a picture, a Blob or an OffscreenCanvas, or its problem; `sent` is what `explain` takes.
  async look(picture, camera) {
    const sent = picture instanceof Blob ? picture : await picture.convertToBlob({ type: "image/jpeg", quality: 0.85 });
    return { ...(await ask(`faces${camera ? `?camera=${camera}` : ""}`, sent)), sent };
  },

  // Returns the address of a picture as its boxes count it, or its problem.
  upright(picture) {
    return ask("upright", picture);
  },

  explain(sent, index) {
    return ask(`explanation?face=${index}`, sent);
  },

  lost: "The program behind this page does not answer. Is jaxfer demo still running? The page goes on as soon as it does.",
};

const ANSWERS_WITHIN = 60000; // milliseconds

async function ask(address, body) {
  let answer;
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const signal = AbortSignal.timeout(ANSWERS_WITHIN);
    answer = await fetch(address, { method: "POST", body, headers, signal });
    if (answer.ok) return await answer.json();
  } catch {
    if (!(await isReadable(body))) return { problem: "its file has changed or gone since it was chosen" };
    throw new Lost();
  }
  return { problem: await answer.text() };
}
