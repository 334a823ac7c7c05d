// One number for an invocation of a dispatch whose work groups were folded over x, y and z because a
// dimension's work-group count is limited (65535 at least). A macro, not a function: glslang takes gl_WorkGroupSize
// as 1 in code above the layout that sets it, without a word.
#ifndef FLAT_ID_GLSL
#define FLAT_ID_GLSL

#define flat_group()                                                                                         \
    (gl_WorkGroupID.x + gl_NumWorkGroups.x * (gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z))
#define flat_id()                                                                                            \
    (flat_group() * (gl_WorkGroupSize.x * gl_WorkGroupSize.y * gl_WorkGroupSize.z) + gl_LocalInvocationIndex)

#endif
