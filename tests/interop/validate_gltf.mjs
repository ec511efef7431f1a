// node validate_gltf.mjs FILE: what Khronos' validator says of a .glb, as JSON.
import { readFileSync } from "node:fs";
import validator from "gltf-validator";

const report = await validator.validateBytes(new Uint8Array(readFileSync(process.argv[2])));
process.stdout.write(JSON.stringify(report.issues.messages));
