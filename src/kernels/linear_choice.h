/* Which kernel computes a quantized linear on a device, in which shape, and what it wants of its operands. */
#ifndef QVK__LINEAR_CHOICE_H
#define QVK__LINEAR_CHOICE_H

#include "kernels/linear_call.h"

typedef enum qvk__linear_family {
    QVK__LINEAR_BASE = 1, /* linear_base.comp: any device */
    QVK__LINEAR_CPU,      /* linear_cpu.comp: devices that are CPUs */
    QVK__LINEAR_MV,       /* linear_mv.comp: a few rows */
    QVK__LINEAR_TILE,     /* linear_tile.comp: many rows */
    QVK__LINEAR_COOPMAT,  /* linear_coopmat.comp: many rows, cooperative matrices */
    QVK__LINEAR_ROW,      /* linear_row.comp: one row, packed dot products */
    QVK__LINEAR_LANES     /* linear_lanes.comp: many rows, cooperative matrices filled by their lanes */
} qvk__linear_family;

/* How activations reach a kernel: the FORM of linear_prepare.comp, or as they are. */
typedef enum qvk__activation_form {
    QVK__FORM_F32,
    QVK__FORM_F16,
    QVK__FORM_I8,
    QVK__FORM_I32,
    QVK__FORM_PAIR,
    QVK__FORM_AS_IS
} qvk__activation_form;

/* Where activations are normalized, if they are. */
typedef enum qvk__norm_place {
    QVK__NORM_NOWHERE,
    QVK__NORM_APART,     /* into memory of their own */
    QVK__NORM_PREPARING, /* on the way into their form */
    QVK__NORM_HERE       /* by the kernel */
} qvk__norm_place;

typedef struct qvk__linear_choice {
    qvk__linear_family family;
    qvk__kernel kernel;
    qvk__activation_form form;
    uint64_t k_align, group_align, chunk_bytes;
    uint32_t specs[QVK__GPU_MAX_SPECS], n_specs;
    uint32_t subgroup_size; /* required of the pipeline; 0: none */
    uint64_t rows, columns; /* of the result that a work group makes (base: an invocation) */
    uint64_t invocations;   /* of a work group of the base kernel; 1 elsewhere */
    uint32_t tuned_as;      /* as in qvk__dispatch */
    uint32_t splits;        /* of k, added up by linear_sum.comp; 0 and 1: none */
    qvk__norm_place norm;
    bool quantizes_here; /* reads the activations' scales and zero points itself */
    bool needs_sums;     /* of weights, as the fifth buffer */
    bool adds_residual;  /* itself, as a buffer of its own */
    bool gates;          /* makes one column out of a gate's and the other itself, where there are two */
    bool writes_narrow;  /* writes float16 and int8 results, where rows are whole words */
} qvk__linear_choice;

/* Adds up the parts of a product whose k is split. */
qvk__kernel qvk__linear_sum_kernel(const qvk__linear_call *call);

/* Fills in weights.group_padded, k_padded and chunk_bytes of the call too. */
void qvk__linear_choose(const qvk__planner *planner, qvk__linear_call *call, qvk__linear_choice *out);

#endif
