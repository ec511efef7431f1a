document.documentElement.classList.add("scripted");
for (const input of document.querySelectorAll(".wipe input")) {
  const show = () => {
    input.parentElement.style.setProperty("--at", `${input.value}%`);
    input.setAttribute("aria-valuetext", `${input.value} % of the picture before`);
  };
  input.addEventListener("input", show);
  show();
}
const buttons = [...document.querySelectorAll(".picker button")];
const moments = [...document.querySelectorAll(".moment")];
const choose = (chosen) => {
  buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === chosen)));
  moments.forEach((moment, i) => moment.classList.toggle("chosen", i === chosen));
};
buttons.forEach((button, i) => button.addEventListener("click", () => choose(i)));
choose(Math.floor(buttons.length / 2));
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
});
