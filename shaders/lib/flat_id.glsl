// One number for an invocation of a dispatch whose work groups were folded over x, y and z because a
// dimension's work-group count is limited (65535 at least).
#ifndef FLAT_ID_GLSL
#define FLAT_ID_GLSL

uint flat_id()
{
    const uint group =
        gl_WorkGroupID.x + gl_NumWorkGroups.x * (gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z);
    return group * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
}

#endif
