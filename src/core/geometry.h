/*
 * What an operator's arguments say about its index space, worked out and checked once for its shape rule, its
 * reference and its planner. Arguments are resolved (TENSOR, INT); tensor data is not read.
 */
#ifndef QVK__GEOMETRY_H
#define QVK__GEOMETRY_H

#include "core/op.h"

/* Spatial pairs are [0] height, [1] width. */

/*
 * aten.convolution, et_vk.conv_with_clamp, et_vk.q8ta_conv2d*. A 1-D convolution is one of height 1.
 * `in_channels` and `out_channels` count all groups. Weights of the quantized forms may be padded beyond what
 * the sizes here need (vulkan-delegate rows are rounded up to 4).
 */
typedef struct qvk__conv {
    int64_t batch, in_channels, out_channels, groups;
    int64_t in[2], out[2], kernel[2], stride[2], padding[2], dilation[2], output_padding[2];
    bool transposed;
    bool depthwise_layout; /* q8ta_conv2d_dw: weight is [KH, KW, OC] */
    int32_t rank;          /* of input and output: 3 or 4 */
} qvk__conv;
qvk_status qvk__conv_of(qvk__op op, const qvk__arg *args, int n_args, qvk__conv *out, qvk_error *err);

/* Row (dim 0) or column (dim 1) of the input that tap `tap` of output `out` reads, -1 for padding. */
static inline int64_t qvk__conv_source(const qvk__conv *conv, int dim, int64_t out, int64_t tap)
{
    int64_t at = out * conv->stride[dim] - conv->padding[dim] + tap * conv->dilation[dim];

    if (conv->transposed) {
        at = out + conv->padding[dim] - tap * conv->dilation[dim];
        if (at < 0 || at % conv->stride[dim] != 0)
            return -1;
        at /= conv->stride[dim];
    }
    return at >= 0 && at < conv->in[dim] ? at : -1;
}

/* Output bounds of et_vk.conv_with_clamp, -inf and inf where there is none (None, or a float32 overflow). */
qvk_status qvk__conv_clamp_of(qvk__op op, const qvk__arg *args, float *lower, float *upper, qvk_error *err);

/* aten.max_pool2d*, aten.avg_pool2d. */
typedef struct qvk__pool {
    int64_t planes; /* batch times channels */
    int64_t in[2], out[2], kernel[2], stride[2], padding[2], dilation[2];
    bool is_max, count_include_pad;
    int64_t divisor; /* 0: number of elements */
} qvk__pool;
qvk_status qvk__pool_of(qvk__op op, const qvk__arg *args, int n_args, qvk__pool *out, qvk_error *err);

/* aten.upsample_*2d.vec: PyTorch's area_pixel_compute_scale, in float32. */
typedef struct qvk__resize {
    int64_t planes; /* batch times channels */
    int64_t in[2], out[2];
    float scale[2]; /* source steps per destination step */
    bool align_corners;
} qvk__resize;
qvk_status qvk__resize_of(qvk__op op, const qvk__arg *args, int n_args, qvk__resize *out, qvk_error *err);

/* aten.pixel_shuffle, aten.pixel_unshuffle, et_vk.q8ta_pixel_shuffle. Sizes are those of the wide side:
 * `channels` planes of rows x columns, which the other side holds as channels*factor^2 planes of rows/factor
 * x columns/factor.
 */
typedef struct qvk__shuffle {
    int64_t batch, channels, rows, columns, factor;
    bool inverse; /* pixel_unshuffle */
} qvk__shuffle;
qvk_status qvk__shuffle_of(qvk__op op, const qvk__arg *args, int n_args, qvk__shuffle *out, qvk_error *err);
/* Element of the narrow side (channels*factor^2 planes) that is element `wide` of the wide side. */
int64_t qvk__shuffle_narrow(const qvk__shuffle *shuffle, int64_t wide);

/*
 * The attention operators. out[b, i, h] = softmax over j of (q[b, i, h] . k[b, j, h*kv_heads/heads] * scale +
 * mask) times v; j runs over [0, keys), with `causal` over [0, first_key + i]. Sequence and head are
 * dimensions 2 and 1 of et_vk.sdpa, 1 and 2 of the llama operators (`heads_last`).
 */
typedef struct qvk__attention {
    int64_t batch, heads, kv_heads, queries, keys;
    int64_t head_dim, value_dim;
    int64_t capacity;  /* sequence size of the key and value tensors; >= keys */
    int64_t first_key; /* start_pos */
    double scale;
    bool causal, heads_last;
    bool writes_cache;                     /* sdpa_with_kv_cache: key and value go into the caches first */
    const qvk_tensor *query, *key, *value; /* key and value: the caches where there are some */
    const qvk_tensor *new_key, *new_value; /* writes_cache only */
    const qvk_tensor *mask; /* bool (true: take part) or additive float, broadcast; NULL: none */
    /* Strides of the mask in elements, 0 where it is broadcast: batch, head, query, key. */
    int64_t mask_strides[4];
} qvk__attention;
qvk_status qvk__attention_of(qvk__op op, const qvk__arg *args, int n_args, qvk__attention *out,
                             qvk_error *err);

/* llama.update_cache: cache[b, position + s] = value[b, s], rows of `row` elements. */
typedef struct qvk__cache_update {
    int64_t batch, length, capacity, position, row;
} qvk__cache_update;
qvk_status qvk__cache_update_of(const qvk_tensor *value, const qvk_tensor *cache, int64_t position,
                                qvk__cache_update *out, qvk_error *err);

/*
 * et_vk.apply_rotary_emb (pairs 2i, 2i+1; tables [S, D/2]) and et_vk.apply_rotary_emb_hf (pairs i, i + R/2;
 * tables [Smax, R], rows start_pos .. start_pos + S; elements beyond R are copied).
 */
typedef struct qvk__rotary {
    int64_t batch, length, heads, kv_heads, head_dim;
    int64_t rotated;  /* R: leading elements of a head that turn */
    int64_t position; /* first row of the tables */
    bool halves;      /* the hf form */
} qvk__rotary;
qvk_status qvk__rotary_of(qvk__op op, const qvk__arg *args, int n_args, qvk__rotary *out, qvk_error *err);

/* Result of a matrix product: aten.mm, bmm, addmm, baddbmm. */
typedef struct qvk__matmul {
    int64_t batch, m, n, k;
    const qvk_tensor *a, *b;
    const qvk_tensor *bias; /* addmm, baddbmm: added times beta, broadcast; else NULL */
    int64_t bias_strides[3];
    double alpha, beta;
    bool batched; /* rank 3 */
} qvk__matmul;
qvk_status qvk__matmul_of(qvk__op op, const qvk__arg *args, int n_args, qvk__matmul *out, qvk_error *err);

#endif
