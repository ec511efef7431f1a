// node decode_spz.mjs FILE: the Gaussians as the format's makers read them, as JSON.
import { readFileSync } from "node:fs";
import createSpz from "@adobe/spz";

const spz = await createSpz({ print: () => {}, printErr: () => {} });
const content = new Uint8Array(readFileSync(process.argv[2]));
const cloud = spz.loadSpzFromBuffer(content, { to: spz.CoordinateSystem.RUB });
const arrays = ["positions", "rotations", "scales", "alphas", "colors"].map((name) => [name, Array.from(cloud[name])]);
process.stdout.write(JSON.stringify({ count: cloud.numPoints, degree: cloud.shDegree, ...Object.fromEntries(arrays) }));
