/** Buttons, the time line and keys. */

const STEP = Math.PI / 24; // radians a key press turns
const ZOOM = 1.1;

/** Connects the page's elements with the viewer. */
export function connect(viewer, document) {
  const { clip, player, view } = viewer;
  const element = (id) => document.getElementById(id);
  const line = element("time");
  line.max = clip.frames - 1;
  line.addEventListener("input", () => viewer.seek(Number(line.value)));
  markUnseen(element("unseen"), clip.valid);

  const actions = {
    play: () => viewer.play(),
    refined: () => viewer.show({ motion: "refined" }),
    initial: () => viewer.show({ motion: "initial" }),
    video: () => viewer.show({ video: !viewer.shown.video }),
    body: () => viewer.show({ body: !viewer.shown.body }),
    floor: () => viewer.show({ floor: !viewer.shown.floor }),
    camera: () => {
      view.toClip();
      viewer.request();
    },
    help: () => (element("keys").open ? element("keys").close() : element("keys").showModal()),
  };
  for (const [id, action] of Object.entries(actions)) element(id).addEventListener("click", action);
  element("close").addEventListener("click", actions.help);
  element("speed").addEventListener("change", (event) => {
    player.speed = Number(event.target.value);
  });
  element("play").disabled = clip.frames < 2;
  line.disabled = clip.frames < 2;
  element("video").disabled = !clip.pictures.length;

  const faster = (way) => {
    const speeds = element("speed");
    speeds.selectedIndex = Math.min(Math.max(speeds.selectedIndex + way, 0), speeds.length - 1);
    player.speed = Number(speeds.value);
  };
  const side = (quarter) => () => {
    view.toSide((quarter * Math.PI) / 2);
    viewer.request();
  };
  const turn = (left, up) => () => view.turn(left * STEP, up * STEP);
  const keys = {
    " ": actions.play,
    ",": () => viewer.seek(player.frame - 1),
    ".": () => viewer.seek(player.frame + 1),
    Home: () => viewer.seek(0),
    End: () => viewer.seek(clip.frames - 1),
    ArrowLeft: turn(1, 0),
    ArrowRight: turn(-1, 0),
    ArrowUp: turn(0, 1),
    ArrowDown: turn(0, -1),
    "+": () => view.zoom(ZOOM),
    "=": () => view.zoom(ZOOM),
    "-": () => view.zoom(1 / ZOOM),
    1: side(0),
    2: side(1),
    3: side(2),
    4: side(3),
    "<": () => faster(-1),
    ">": () => faster(1),
    p: () => viewer.show({ motion: viewer.shown.motion === "refined" ? "initial" : "refined" }),
    v: actions.video,
    b: actions.body,
    f: actions.floor,
    c: actions.camera,
    "?": actions.help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || element("keys").open || own(event)) return;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  viewer.onDraw(() => {
    const { motion, video, body, floor } = viewer.shown;
    const pressed = {
      refined: motion === "refined", initial: motion === "initial", video, body, floor, camera: !view.free,
    };
    for (const [id, state] of Object.entries(pressed)) element(id).setAttribute("aria-pressed", state);
    element("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    element("play").classList.toggle("playing", player.playing);
    line.value = player.frame;
    element("floor").disabled = video;
    element("now").textContent = `${player.frame} / ${clip.frames - 1} · ${(player.frame / clip.fps).toFixed(2)} s`;
    element("guessed").hidden = viewer.seen;
  });
  viewer.request();
}

/** Whether the element that has the focus uses this key itself. */
function own({ key, target }) {
  if (target.tagName === "SELECT") return key !== "?";
  if (target.type === "range") return key.startsWith("Arrow") || key === "Home" || key === "End";
  return target.tagName === "BUTTON" && (key === " " || key === "Enter");
}

/** Marks the frames without the person on the time line. */
function markUnseen(marks, valid) {
  valid.forEach((seen, frame) => {
    if (seen || valid[frame - 1] === false) return;
    const length = valid.slice(frame).findIndex(Boolean);
    const mark = marks.appendChild(document.createElement("i"));
    mark.style.left = `${(100 * frame) / valid.length}%`;
    mark.style.width = `${(100 * (length < 0 ? valid.length - frame : length)) / valid.length}%`;
  });
}
