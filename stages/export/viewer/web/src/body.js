/** The body's surface over the avatar, translucent. */

import {
  BufferAttribute, BufferGeometry, CustomBlending, GLSL3, Group, Mesh, OneFactor, OneMinusSrcAlphaFactor, RawShaderMaterial,
} from "three";
import { SKINNING } from "./skinning.js";

const VERTEX = /* glsl */ `
precision highp float;
precision highp int;
uniform mat4 viewMatrix, projectionMatrix;
in vec3 position;
in uvec4 numbers;
in vec4 shares;
out vec3 viewed;
invariant gl_Position; // both passes must agree
${SKINNING}
void main() {
  viewed = (viewMatrix * vec4(vec4(position, 1.0) * blend(numbers, shares), 1.0)).xyz;
  gl_Position = projectionMatrix * vec4(viewed, 1.0);
}
`;

const FRAGMENT = /* glsl */ `
precision highp float;
in vec3 viewed;
out vec4 result;

void main() {
  vec3 normal = normalize(cross(dFdx(viewed), dFdy(viewed)));
  float light = 0.3 + 0.7 * abs(dot(normal, normalize(viewed)));
  result = vec4(vec3(0.24, 0.86, 0.92) * light, 1.0) * 0.6;
}
`;

export class Body {
  /** body: of the clip (data.js); joints: Float32Array that holds the present transforms. */
  constructor({ vertices, faces, joints: numbers, shares }, joints) {
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(vertices, 3));
    const integers = new BufferAttribute(Uint32Array.from(numbers), 4);
    geometry.setAttribute("numbers", integers);
    geometry.setAttribute("shares", new BufferAttribute(shares, 4, true));
    geometry.setIndex(new BufferAttribute(faces, 1));
    this.object = new Group();
    // The nearest surface first, without colour, so that none behind it shines through.
    for (const colorWrite of [false, true]) {
      const material = new RawShaderMaterial({
        glslVersion: GLSL3,
        vertexShader: VERTEX,
        fragmentShader: FRAGMENT,
        uniforms: { joints: { value: joints } },
        transparent: true,
        colorWrite,
        blending: CustomBlending,
        blendSrc: OneFactor,
        blendDst: OneMinusSrcAlphaFactor,
      });
      const mesh = new Mesh(geometry, material);
      mesh.frustumCulled = false; // it is drawn where the joints are
      mesh.renderOrder = colorWrite ? 4 : 3;
      this.object.add(mesh);
    }
  }
}
