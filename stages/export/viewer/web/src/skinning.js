/** Linear blend skinning on the GPU, for Gaussians and mesh: models/body/skinning.py in GLSL. */

export const JOINTS = 24;
export const ROWS = 3; // of four numbers, a joint's transform

export const SKINNING = /* glsl */ `
uniform vec4 joints[${ROWS * JOINTS}]; // from the rest pose to the motion's space, row by row

// The mixed transform; its columns are the rows of the 3 x 4 matrix.
mat3x4 blend(uvec4 numbers, vec4 shares) {
  mat3x4 rows = mat3x4(0.0);
  for (int k = 0; k < 4; k++) {
    uint first = ${ROWS}u * numbers[k];
    rows += shares[k] * mat3x4(joints[first], joints[first + 1u], joints[first + 2u]);
  }
  return rows;
}

float squareNorm(mat3 m) {
  return dot(m[0], m[0]) + dot(m[1], m[1]) + dot(m[2], m[2]);
}

// The polar factor, by scaled Newton iteration (Higham 1986); five steps serve blends of joints 179 degrees apart.
mat3 nearestRotation(mat3 m) {
  for (int step = 0; step < 5; step++) {
    mat3 cofactors = mat3(cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1]));
    float norm = squareNorm(m);
    mat3 inverse = cofactors / max(dot(m[0], cofactors[0]), max(1e-9 * norm * sqrt(norm), 1e-12));
    float scale = sqrt(sqrt(max(squareNorm(inverse) / max(norm, 1e-12), 1e-12)));
    m = 0.5 * (scale * m + inverse / scale);
  }
  return m;
}
`;
