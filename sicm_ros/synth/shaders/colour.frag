#version 330
// Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
// Sun with shadows, sky and ground light, mirrored surroundings, haze. One of the GROUP_ macros is defined in front of
// this text: a software renderer executes every branch it is given, so each kind of surface has its own program.
uniform sampler2DArray skins;
uniform sampler2DShadow shadow;
uniform mat4 shadow_matrix;
uniform vec3 eye;
uniform vec3 sun_direction;
uniform vec3 sun_colour;
uniform vec3 zenith;
uniform vec3 horizon;
uniform vec3 ground_colour;
uniform vec4 air;           // haze 1/m, overcast, ambient, height of the skyline that cars mirror
uniform float exposure;
uniform vec3 sky_seed;
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec4 dye;
flat in vec4 stuff;         // skin, surface, gloss, identity
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 truth;  // depth along the optical axis (red the highest byte, blue the lowest), identity

const float NOISE = 0.0;    // skin 0: grey noise
const float CLOUDS = 1.0;   // skin 1: clouds

vec4 film(vec3 light, float alpha) {
    return vec4(sqrt(clamp(light * exposure, 0.0, 1.0)), alpha);  // square root: 8 bits go further; see camera.py
}

vec3 clear_sky(vec3 d) {
    float up = max(d.z, 0.0);
    return mix(horizon, zenith, 1.0 - exp2(-4.6 * up));
}

float lit(vec3 p, vec3 n) {
    vec3 s = (shadow_matrix * vec4(p + n * 0.05, 1.0)).xyz * 0.5 + 0.5;
    s.z -= 0.0005;
    return texture(shadow, s);
}

#ifdef GROUP_SKY

void main() {
    vec3 d = normalize(position - eye);
    float up = max(d.z, 0.0);
    vec2 p = d.xy / (up + 0.15) * 0.1 + sky_seed.xy;
    float cover = textureLod(skins, vec3(p, CLOUDS), 0.0).r;
    float cloud = smoothstep(0.6 - 0.75 * air.y, 0.95 - 0.75 * air.y, cover);
    vec3 white = horizon * (0.8 + 0.5 * cover) + sun_colour * 0.12;
    float near = max(dot(d, sun_direction), 0.0);
    near *= near; near *= near; near *= near;
    colour = film(mix(clear_sky(d), white, cloud) + sun_colour * 0.35 * near * (1.0 - air.y), 1.0);
    truth = vec4(0.0);
}

#else

void main() {
    vec3 towards = eye - position;
    float away = length(towards);
    vec3 v = towards / away;
    vec4 skin = texture(skins, vec3(uv, stuff.x), -0.6);
    vec3 base = skin.rgb * skin.rgb;
    vec3 n = normalize(normal);
    float alpha = 1.0;
#ifdef GROUP_LEAF
    if (skin.a < 0.35) discard;
    base *= dye.rgb;
    // Leaves are lit from both sides and pass light on.
    float direct = 0.3 + 0.7 * clamp(dot(n, sun_direction) * 0.6 + 0.4, 0.0, 1.0);
#else
    if (dot(n, v) < 0.0) n = -n;
    base *= mix(vec3(1.0), dye.rgb, skin.a);
    float direct = max(dot(n, sun_direction), 0.0);
#endif
    float sun = lit(position, n);
    vec3 bounce = ground_colour * (0.6 * horizon + 0.3 * sun_colour);
    vec3 hemisphere = mix(bounce, 0.6 * zenith + 0.4 * horizon, 0.5 + 0.5 * n.z) * (air.z * dye.a);
    vec3 light = base * (sun_colour * (direct * sun) + hemisphere);
#ifdef GROUP_GLOSS
    vec3 r = reflect(-v, n);
    float graze = 1.0 - max(dot(n, v), 0.0);
    float fresnel = graze * graze; fresnel = 0.05 + 0.95 * fresnel * fresnel * graze;
    // What is mirrored: sky above a rough dark skyline, ground below.
    float azimuth = atan(r.y, r.x) * 0.159155;
    vec2 rough = textureLod(skins, vec3(azimuth * 4.0 + sky_seed.z, sky_seed.x + r.z * 0.8 + 0.02 * (position.x + position.y), NOISE), 3.0).rg;
    float top = air.w * (0.2 + 1.6 * rough.r);
    vec3 trees = mix(vec3(0.02, 0.03, 0.015), ground_colour, rough.g * rough.g) * (0.3 + horizon);
    vec3 above = mix(trees, clear_sky(r), smoothstep(top - 0.06, top + 0.06, r.z));
    vec3 below = ground_colour * (horizon * 0.45 + sun_colour * 0.25) * (0.6 + 0.7 * rough.g);
    vec3 mirror = mix(below, above, smoothstep(-0.03, 0.03, r.z)) * (0.35 + 0.65 * dye.a);
    float sharp = max(dot(r, sun_direction), 0.0);
    float s8 = sharp * sharp; s8 *= s8; s8 *= s8;
    float s64 = s8 * s8; s64 *= s64; s64 *= s64;
    float gloss = stuff.z;
    float spot = sun * mix(s8 * 0.1, s64 * s64 * s64 * 12.0, gloss);
    float surface = stuff.y;
    float paint = float(surface < 1.5), glass = float(surface > 1.5 && surface < 2.5), lamp = float(surface > 2.5);
    float flakes = 0.35 * gloss;
    light *= paint * (1.0 - 0.5 * fresnel) + glass * 0.5 + lamp;
    // Panes are not flat and what they mirror is not smooth.
    float wavy = 0.5 + 0.8 * rough.g * rough.r + glass * 0.4 * smoothstep(0.35, 0.75, rough.r);
    light += mirror * (paint * (vec3(1.3 * fresnel) + flakes * base * 1.8) + glass * wavy * (0.07 + 1.3 * fresnel) + lamp * (0.2 + fresnel));
    light += sun_colour * spot * (paint * (0.08 + 0.5 * flakes * base) + glass * 0.08 + lamp * 0.3);
#endif
#ifdef GROUP_MATT
    float shine = 1.0 - max(dot(n, v), 0.0);
    shine *= shine; shine *= shine;
    light += stuff.z * shine * (horizon * 0.4 + sun_colour * (0.5 * sun));
#endif
    light = mix(light, horizon * 0.9, 1.0 - exp2(-1.4427 * away * air.x));
    colour = film(light, 1.0);
    float steps = floor(16384.0 / gl_FragCoord.w + 0.5);
    float high = floor(steps / 65536.0), middle = floor((steps - high * 65536.0) / 256.0);
    truth = vec4(high, middle, steps - high * 65536.0 - middle * 256.0, stuff.w) / 255.0;
}

#endif
