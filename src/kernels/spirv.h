/*
 * The compiled shaders, one per row of shaders/kernels.def, linked into the library as constant words. The
 * table itself is written at build time (shaders/meson.build, tools/embed_spirv.c).
 */
#ifndef QVK__SPIRV_H
#define QVK__SPIRV_H

#include <stddef.h>
#include <stdint.h>

/* A SPIR-V module. words is NULL for a variant this build's glslang was too old for: take another one. */
typedef struct qvk__spirv {
    const char *name; /* the id in lower case */
    const uint32_t *words;
    size_t n_words;
} qvk__spirv;

/* QVK__KERNEL_COUNT entries, indexed by qvk__kernel. */
extern const qvk__spirv qvk__spirv_table[];

#endif
