/*
 * What the planner and the packer of quantized linears agree on. The layouts themselves are described in
 * shaders/lib/linear.glsl.
 */
#ifndef QVK__LINEAR_H
#define QVK__LINEAR_H

#include "kernels/kernels.h"

#define QVK__LINEAR_PANEL 8u /* PANEL of linear.glsl: rows of weights side by side */

/*
 * Shapes of kernels, as measured on a device (qvk__planner.linear_tiles) or asked for by a benchmark
 * (qvk__planner.linear_tuning). Zero: the planner's own choice, src/kernels/linear_tiles.def.
 */
typedef struct qvk__coopmat_tile {
    uint32_t most_rows;
    uint32_t warps_m, warps_n; /* subgroups of a work group, along M and N */
    uint32_t frags_m, frags_n; /* 16 x 16 matrices of a subgroup */
    uint32_t buffers;          /* stages in shared memory: 1 or 2 */
    uint32_t parts;            /* of a stage: 64 bytes of each row; 0: one */
    uint32_t groups_a_unit;    /* work groups wanted for a compute unit, by splitting k; 0: no split */
} qvk__coopmat_tile;

typedef struct qvk__linear_tuning {
    int family; /* a qvk__linear_family to take where it fits */
    uint32_t mv_threads, mv_panels, mv_max_rows;
    uint32_t row_threads, row_panels, row_ahead;
    qvk__coopmat_tile coopmat;
    uint32_t splits; /* of k, where the family splits it */
    bool norm_apart; /* norms before linears have dispatches of their own */
} qvk__linear_tuning;

/*
 * Classes of linears that have a shape of their own. A class is the family by its rows, the bits of the
 * weights, whether activations are int8 and whether they come as float16, and whether the matrix is large.
 */
typedef enum qvk__linear_rows {
    QVK__ROWS_ONE, /* linear_row.comp */
    QVK__ROWS_FEW, /* linear_mv.comp */
    QVK__ROWS_16,  /* linear_coopmat.comp: at most 16, 32, any number */
    QVK__ROWS_32,
    QVK__ROWS_MANY,
    QVK__ROWS_COUNT
} qvk__linear_rows;

typedef struct qvk__linear_class {
    qvk__linear_rows rows;
    bool is_8bit, is_int8, is_half, is_large;
} qvk__linear_class;

#define QVK__LINEAR_CLASSES (QVK__ROWS_COUNT * 16)
/* Weights of a large matrix. */
#define QVK__LINEAR_LARGE (UINT64_C(1) << 22)

static inline uint32_t qvk__linear_class_index(const qvk__linear_class *c)
{
    return (uint32_t)c->rows * 16 + c->is_8bit * 8u + c->is_int8 * 4u + c->is_half * 2u + c->is_large;
}

static inline qvk__linear_class qvk__linear_class_at(uint32_t index)
{
    return (qvk__linear_class){(qvk__linear_rows)(index / 16), (index & 8) != 0, (index & 4) != 0,
                               (index & 2) != 0, (index & 1) != 0};
}

/* The device's class has measured rows of its own in linear_tiles.def: nothing is left to find out. */
bool qvk__linear_is_measured(const qvk__gpu_caps *caps);

typedef enum qvk__weight_format {
    QVK__WEIGHT_INT8,     /* [N, K] */
    QVK__WEIGHT_LOW_EVEN, /* 4 bits plus 8, even k in the low nibble (et_vk.linear_q4gsw) */
    QVK__WEIGHT_HIGH_EVEN /* 4 bits plus 8, even k in the high nibble (et_vk.linear_qcs4w) */
} qvk__weight_format;

/* A weight matrix and how it is cut along k. */
typedef struct qvk__linear_weights {
    int32_t value;
    int32_t
        up_value; /* what `value` is the gate of: panels of both take turns, and N counts both; -1: none */
    qvk__weight_format format;
    uint64_t row_bytes; /* of the source */
    uint64_t N, K;
    uint64_t group_size, n_groups;
    uint64_t group_padded; /* a multiple of 8 when there are several groups */
    uint64_t k_padded;     /* a multiple of a chunk, at least n_groups * group_padded or, for one group, K */
    uint64_t chunk_bytes;  /* 16 or 32 */
} qvk__linear_weights;

/* Bits of a packed weight: 4 or 8. */
uint32_t qvk__linear_bits(qvk__weight_format format);
/* Distance of the rows of packed scales and sums. */
uint64_t qvk__linear_n_padded(uint64_t N);

/* Rows [first, last) of the weights in panels; first a multiple of the panel. */
qvk__pack qvk__pack_weights(const qvk__linear_weights *weights, uint64_t first, uint64_t last);
/* Scales and bias of weights; those of weights.up_value have the same types and stride. */
typedef struct qvk__linear_scales {
    int32_t value, up_value;
    qvk_dtype dtype;
    uint64_t stride;       /* elements from one group's scales to the next in the source */
    int32_t bias, up_bias; /* -1: none */
    qvk_dtype bias_dtype;
} qvk__linear_scales;

/* float32 [n_groups + 1][n_padded]: the scales, then the bias (zeros where there is none). */
qvk__pack qvk__pack_scales(const qvk__linear_weights *weights, const qvk__linear_scales *scales);
/* What a zero point of the activations is multiplied with, for each column: the weights' sum, int32
 * [n_padded], for one group; for several the sum of the groups' scaled sums, float32 [n_padded]. */
qvk__pack qvk__pack_weight_sums(const qvk__linear_weights *weights, const qvk__linear_scales *scales);

#endif
