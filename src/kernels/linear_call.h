/* A quantized linear as its planners see it, whichever operator it came from. */
#ifndef QVK__LINEAR_CALL_H
#define QVK__LINEAR_CALL_H

#include "kernels/linear.h"
#include "kernels/plan.h"

typedef enum qvk__activation_kind {
    QVK__ACTIVATION_FLOAT,   /* stays float */
    QVK__ACTIVATION_CHOSEN,  /* int8 by scales and zero points that the kernels choose per row */
    QVK__ACTIVATION_DYNAMIC, /* int8 by scales and zero points that are values of the graph */
    QVK__ACTIVATION_STATIC   /* int8 by one scale and zero point in the call; x may be int8 already */
} qvk__activation_kind;

/* An RMS norm of the activations, whose result nobody else reads. */
typedef struct qvk__linear_norm {
    bool is_there;
    int32_t weight; /* -1: none */
    qvk_dtype weight_dtype;
    double eps;
    qvk__rms_rounding rounding;
} qvk__linear_norm;

typedef struct qvk__linear_call {
    qvk__op op;
    int32_t x, y;
    qvk_dtype x_dtype, y_dtype;
    uint64_t M;
    qvk__linear_weights weights;
    qvk__linear_scales scales;
    qvk__linear_norm norm;
    int32_t residual; /* added to the result, like it in shape and type; -1: nothing */
    qvk__activation_kind activation;
    /* DYNAMIC */
    int32_t act_scales, act_zero_points;
    qvk_dtype act_scale_dtype, act_zero_point_dtype;
    bool per_row;
    /* STATIC */
    double act_scale;
    int64_t act_zero_point;
    /* An int8 result: quantized with these after relu. */
    bool quantizes, relu;
    double out_scale;
    int64_t out_zero_point;
} qvk__linear_call;

/* It is the gate of another: N counts the columns of both, the result has half as many. */
static inline bool qvk__linear_is_gated(const qvk__linear_call *call)
{
    return call->weights.up_value >= 0;
}

/* Reads and checks a node. Leaves weights.group_padded, k_padded and chunk_bytes open. QVK_UNSUPPORTED where
 * only the reference can do it. */
qvk_status qvk__linear_call_of(qvk__planner *planner, const qvk__node *node, qvk__linear_call *out,
                               qvk_error *err);

#endif
