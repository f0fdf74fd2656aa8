// pack_weight's last pass for the scales: copies them, unless the call was refused.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "dispatch.glsl"
#include "weight.glsl"

layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly restrict buffer Scales { uint scales[]; };
layout(binding = 1, std430) readonly restrict buffer Refused { uint refused[]; };
layout(binding = 2, std430) writeonly restrict buffer Output { uint scales_out[]; };

layout(push_constant, std430) uniform Push {
  uint origin[3];
  uint count;
} push;

void main() {
  const uint i = workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.count || IS_REFUSED(refused, push.origin[1] / 4u)) return;
  scales_out[push.origin[2] / 4u + i] = scales[push.origin[0] / 4u + i];
}
