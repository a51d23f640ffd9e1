#version 330
// Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
in vec4 p3d_Vertex;
in vec3 p3d_Normal;
in vec2 p3d_MultiTexCoord0;
in vec4 tint;
in vec4 material;
uniform mat4 eye_matrix;
out vec3 position;
out vec3 normal;
out vec2 uv;
out vec4 dye;
flat out vec4 stuff;  // skin, surface, gloss, identity

void main() {
    position = p3d_Vertex.xyz;
    normal = p3d_Normal;
    uv = p3d_MultiTexCoord0;
    dye = tint;
    stuff = material;
    gl_Position = eye_matrix * vec4(p3d_Vertex.xyz, 1.0);
}
