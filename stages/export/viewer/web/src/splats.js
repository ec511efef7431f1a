/** The avatar: posed and projected in the vertex shader as models/avatar/posing.py and models/rasterizer define it. */

import {
  BufferAttribute, BufferGeometry, CustomBlending, DataTexture, GLSL3, Mesh, OneFactor, OneMinusSrcAlphaFactor, RGBAIntegerFormat,
  RawShaderMaterial, RedIntegerFormat, Sphere, UnsignedIntType, Vector2, Vector3, Vector4,
} from "three";
import { SKINNING } from "./skinning.js";
import { Sorter } from "./sorting.js";

const TEXELS = 2048; // a row of a texture

const VERTEX = /* glsl */ `
precision highp float;
precision highp int;
precision highp usampler2D;

uniform usampler2D gaussians, order; // two texels a Gaussian, and their numbers as they are drawn
uniform mat4 viewMatrix;
uniform vec3 low, span; // the box of the centres
uniform vec4 intrinsics; // fx, fy, cx, cy
uniform vec2 size; // of the picture, pixels
out vec2 deviations; // from the centre, in standard deviations
flat out vec4 color;

const float NEAR = 0.01, BLUR = 0.3, MIN_ALPHA = 1.0 / 255.0;
${SKINNING}
uvec4 octets(uint word) {
  return (uvec4(word) >> uvec4(0, 8, 16, 24)) & 255u;
}

ivec2 place(int texel) {
  return ivec2(texel % ${TEXELS}, texel / ${TEXELS});
}

mat3 turned(vec4 q) { // wxyz
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0); // nowhere
  int texel = 2 * int(texelFetch(order, place(gl_VertexID / 4), 0).x);
  uvec4 first = texelFetch(gaussians, place(texel), 0), second = texelFetch(gaussians, place(texel + 1), 0);
  vec3 center = low + span * vec3(unpackUnorm2x16(first.x), unpackUnorm2x16(first.y).x);
  vec3 scales = vec3(unpackHalf2x16(second.x), unpackHalf2x16(first.y).y);
  vec4 quaternion = normalize(vec4(unpackSnorm2x16(first.z), unpackSnorm2x16(first.w)));
  color = vec4(octets(second.y)) / 255.0;

  // Into the camera's space, x right, y down, z forward.
  mat3x4 rows = blend(octets(second.z), vec4(octets(second.w)) / 255.0);
  vec3 viewed = (viewMatrix * vec4(vec4(center, 1.0) * rows, 1.0)).xyz * vec3(1, -1, -1);
  if (viewed.z < NEAR || color.a < MIN_ALPHA) return;
  mat3 toCamera = mat3(1, 0, 0, 0, -1, 0, 0, 0, -1) * mat3(viewMatrix);
  mat3 axes = toCamera * nearestRotation(transpose(mat3(rows))) * turned(quaternion);
  mat3 half_ = mat3(axes[0] * scales.x, axes[1] * scales.y, axes[2] * scales.z);

  // Onto the picture (EWA), the Jacobian within the field of view widened by 15 % of its size on each side.
  vec2 focal = intrinsics.xy, ray = viewed.xy / viewed.z, margin = 0.15 * size / focal;
  vec2 bounded = clamp(ray, -intrinsics.zw / focal - margin, (size - intrinsics.zw) / focal + margin);
  mat3x2 jacobian = mat3x2(focal.x, 0, 0, focal.y, -focal * bounded) / viewed.z;
  mat3x2 spread = jacobian * half_;
  mat2 covariance = spread * transpose(spread) + mat2(BLUR, 0, 0, BLUR);

  // Any square root of the covariance carries the circle where alpha falls below MIN_ALPHA into the ellipse.
  float xx = sqrt(covariance[0][0]), xy = covariance[0][1] / xx, yy = sqrt(covariance[1][1] - xy * xy);
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1 & 1) * 2.0 - 1.0;
  deviations = corner * sqrt(2.0 * log(color.a / MIN_ALPHA));
  vec2 pixel = focal * ray + intrinsics.zw + mat2(xx, xy, 0, yy) * deviations;
  gl_Position = vec4(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y, 0.0, 1.0);
}
`;

const FRAGMENT = /* glsl */ `
precision highp float;
in vec2 deviations;
flat in vec4 color;
out vec4 result;

void main() {
  float alpha = min(0.999, color.a * exp(-0.5 * dot(deviations, deviations)));
  if (alpha < 1.0 / 255.0) discard;
  result = vec4(color.rgb * alpha, alpha);
}
`;

export class Splats {
  /** gaussians: of the clip (data.js); joints: Float32Array that holds the present transforms. */
  constructor({ words, count, box }, joints) {
    this.sorter = new Sorter(words, count, box);
    this.joints = joints;
    this.order = texture(count, 1);
    const [low, high] = box.map((corner) => new Vector3(...corner));
    this.uniforms = {
      gaussians: { value: texture(2 * count, 4, words) },
      order: { value: this.order },
      joints: { value: joints },
      low: { value: low },
      span: { value: high.clone().sub(low) },
      intrinsics: { value: new Vector4() },
      size: { value: new Vector2() },
    };
    const material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: this.uniforms,
      transparent: true,
      depthTest: false,
      depthWrite: false,
      blending: CustomBlending, // what is drawn is premultiplied by its alpha
      blendSrc: OneFactor,
      blendDst: OneMinusSrcAlphaFactor,
    });
    this.object = new Mesh(quads(count), material);
    this.object.frustumCulled = false;
  }

  /** To be called before each drawing: sorts for the camera (a PinholeCamera) and the joints as they are now. */
  prepare(camera) {
    const { fx, fy, cx, cy, width, height } = camera.intrinsics;
    this.uniforms.intrinsics.value.set(fx, fy, cx, cy);
    this.uniforms.size.value.set(width, height);
    this.sorter.sort(this.joints, camera.direction(), this.order.image.data);
    this.order.needsUpdate = true;
  }
}

/**
 * Four corners each, that the shader puts in their places, in one call for all: thousands of instances of so little
 * would keep a GPU half idle, and a software renderer busy with nothing else.
 */
function quads(count) {
  const index = new Uint32Array(6 * count);
  for (let i = 0; i < count; i++) index.set([4 * i, 4 * i + 2, 4 * i + 1, 4 * i + 1, 4 * i + 2, 4 * i + 3], 6 * i);
  const geometry = new BufferGeometry().setIndex(new BufferAttribute(index, 1));
  geometry.boundingSphere = new Sphere(); // nothing to compute one from, and nothing asks for it
  return geometry;
}

/** So many texels of one or four unsigned integers, filled with `words`. */
function texture(count, channels, words = []) {
  const rows = Math.max(1, Math.ceil(count / TEXELS));
  const data = new Uint32Array(channels * TEXELS * rows);
  data.set(words);
  const result = new DataTexture(data, TEXELS, rows, channels === 1 ? RedIntegerFormat : RGBAIntegerFormat, UnsignedIntType);
  result.internalFormat = channels === 1 ? "R32UI" : "RGBA32UI";
  result.needsUpdate = true;
  return result;
}
