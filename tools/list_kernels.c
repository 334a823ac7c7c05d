/*
 * Prints the rows of shaders/kernels.def for the build: id, source, defines, caps, target_env, tab-separated,
 * one a line. Run by shaders/meson.build at configure time, so that the C preprocessor is the only reader of
 * that list.
 */
#include <stdio.h>

int main(void)
{
#define KERNEL(id, source, defines, n_buffers, caps, target_env)                                             \
    printf("%s\t%s\t%s\t%s\t%s\n", #id, source, defines, #caps, target_env);
#include "kernels.def"
#undef KERNEL
    return 0;
}
