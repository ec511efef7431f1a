/** What the page carries beside the program: facts as JSON, arrays and pictures as base64. */

/** Bytes (Uint8Array) of base64 text. */
export function bytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const result = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) result[i] = text.charCodeAt(i);
  return result;
}

/** The clip: its facts (stages/export/viewer/page.py), its arrays, and its pictures still in base64. */
export function readClip(document) {
  const content = (id) => document.getElementById(id).textContent;
  const facts = JSON.parse(content("facts"));
  const data = bytes(content("data"));
  const array = (name, type) => {
    const { start, bytes: length } = facts.arrays[name];
    return new type(data.buffer, data.byteOffset + start, length / type.BYTES_PER_ELEMENT);
  };
  return {
    ...facts,
    gaussians: { count: facts.gaussians, box: facts.box, words: array("gaussians", Uint32Array) },
    motions: { refined: array("refined", Float32Array), initial: array("initial", Float32Array) },
    body: {
      vertices: array("vertices", Float32Array),
      faces: array("faces", Uint32Array),
      joints: array("vertex_joints", Uint8Array),
      shares: array("vertex_shares", Uint8Array),
    },
    pictures: content("pictures").trim().split("\n").filter(Boolean),
  };
}
