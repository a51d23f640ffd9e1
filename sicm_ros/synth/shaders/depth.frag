#version 330
// Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
// The view from the sun: only its depth buffer matters.
uniform sampler2DArray skins;
in vec2 uv;
flat in vec4 stuff;
out vec4 colour;

void main() {
#ifdef GROUP_LEAF
    if (texture(skins, vec3(uv, stuff.x)).a < 0.35) discard;
#endif
    colour = vec4(1.0);
}
