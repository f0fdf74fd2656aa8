// The number of a workgroup, and of an invocation, in a dispatch of vulkan/recording.h: groups go along x and then along
// y, so there may be more of them than work.
#ifndef LOWBIT_DISPATCH_GLSL
#define LOWBIT_DISPATCH_GLSL

uint workgroup_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

#endif
