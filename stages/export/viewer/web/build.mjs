// Builds ../viewer.min.js: src/ and what it needs of three.js in one file, licence in front. Same source, same bytes.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");

const inputs = ["build.mjs", "package-lock.json", "package.json", ...readdirSync("src").map((name) => `src/${name}`)];
const source = sha256(...inputs.sort().flatMap((name) => [name, "\0", readFileSync(name), "\0"]));

const built = await build({
  entryPoints: ["src/main.js"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2021",
  charset: "ascii",
  legalComments: "none", // three.js's licence stands in front, whole
  write: false,
});
const licence = readFileSync("node_modules/three/LICENSE", "utf8").trim();
const code = `/*!\nContains three.js.\n\n${licence}\n*/\n${built.outputFiles[0].text}`;
if (/<!--|<\/?script/i.test(code)) throw new Error("this would end or confuse the page's script element");
writeFileSync("../viewer.min.js", `/*! hsplat viewer, source ${source}, code ${sha256(code)} */\n${code}`);
