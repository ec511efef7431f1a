"""python blender_poses.py FILE FRAMES OUTPUT: opens a .glb or .bvh in Blender and tells where things are.

FRAMES is a JSON list: seconds for a .glb, numbers from 0 for a .bvh. Run by the Python that has bpy.
"""

import json
import sys
from pathlib import Path

import bpy

path, moments = Path(sys.argv[1]), json.loads(sys.argv[2])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
if path.suffix == ".glb":
    bpy.ops.import_scene.gltf(filepath=str(path))
    frames = [moment * scene.render.fps / scene.render.fps_base for moment in moments]
else:
    bpy.ops.import_anim.bvh(filepath=str(path))
    frames = [moment + 1 for moment in moments]

(rig,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
body = next((thing for thing in bpy.data.objects if thing.name == "body"), None)
told = []
for frame in frames:
    scene.frame_set(int(frame), subframe=frame - int(frame))
    seen = bpy.context.evaluated_depsgraph_get()
    posed = rig.evaluated_get(seen)
    joints = {bone.name: list(posed.matrix_world @ bone.head) for bone in posed.pose.bones}
    mesh = body.evaluated_get(seen) if body else None
    vertices = [list(mesh.matrix_world @ vertex.co) for vertex in mesh.data.vertices] if mesh else []
    told.append({"joints": joints, "vertices": vertices})
colors = [[0.0] * 4] * len(body.data.vertices) if body else []
if body:  # stored for every corner of every face
    for corner, stored in zip(body.data.loops, body.data.color_attributes[0].data, strict=True):
        colors[corner.vertex_index] = list(stored.color)
Path(sys.argv[3]).write_text(json.dumps({"moments": told, "colors": colors}))
