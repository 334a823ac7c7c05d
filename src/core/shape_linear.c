/* Shape rules of matrix products: linear layers (float and quantized), mm, bmm, addmm, baddbmm. */
#include "core/dtype.h"
#include "core/geometry.h"
#include "core/semantics.h"
#include "core/shape.h"

/* Position of the weight argument, and how many weights one of its bytes or elements holds. */
static int weight_place(qvk__op op, int *per_element)
{
    *per_element = 1;
    switch (op) {
    case QVK__OP_ET_LINEAR_Q4GSW:
    case QVK__OP_QVK_LINEAR_D8_Q4GSW:
    case QVK__OP_QVK_FUSED_LINEAR_Q4GSW:
    case QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW: *per_element = 2; return 1;
    case QVK__OP_ET_LINEAR_QCS4W: *per_element = 2; return 1;
    case QVK__OP_ET_LINEAR_DQ8CA_Q4GSW: *per_element = 2; return 3;
    case QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW:
    case QVK__OP_ET_LINEAR_Q8TA_Q8CSW:
    case QVK__OP_ET_Q8TA_LINEAR:
    case QVK__OP_ET_Q8TA_LINEAR_GEMV: return 3;
    default: return 1;
    }
}

/* Leading dimensions of x, then the rows of the weight. Packed rows may be longer than x's last dimension
 * needs. */
qvk_status qvk__shape_linear(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    const qvk_tensor *x, *weight;
    int per_element;

    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &x, err));
    QVK__TRY(qvk__arg_tensor(&args[weight_place(op, &per_element)], "weight", &weight, err));
    bool fits = x->rank >= 1 && weight->rank == 2;
    if (fits) {
        const int64_t k = x->sizes[x->rank - 1];
        fits = op == QVK__OP_LINEAR ? weight->sizes[1] == k
                                    : weight->sizes[1] >= (k + per_element - 1) / per_element;
    }
    QVK__CHECK(fits, err, QVK_SHAPE, "weight %s does not fit an input of %s", qvk__shape_text(weight).text,
               qvk__shape_text(x).text);
    const qvk_dtype preset = outs[0].dtype;
    outs[0] = *x;
    outs[0].data = NULL;
    outs[0].sizes[x->rank - 1] = weight->sizes[0];
    if (op == QVK__OP_ET_LINEAR_Q8TA_Q8CSW && !qvk__dtype_is_float(x->dtype)) {
        /* Blobs may hand the quantized activation over; what comes out is float all the same. */
        const qvk_tensor *scales;
        QVK__TRY(qvk__arg_tensor(&args[5], "weight_scales", &scales, err));
        outs[0].dtype = qvk__dtype_is_float(preset) ? preset : scales->dtype;
    }
    return QVK_OK;
}

/* One weight for each column of x. */
static qvk_status check_norm(const qvk__arg *args, qvk_error *err)
{
    const qvk_tensor *x = args[0].u.tensor, *weight;
    qvk__rms_rounding rounding;

    if (qvk__arg_is_null(&args[QVK__FUSED_NORM_EPS]))
        return QVK_OK;
    QVK__TRY(qvk__arg_tensor_or_null(&args[QVK__FUSED_NORM_WEIGHT], "norm_weight", &weight, err));
    QVK__CHECK(!weight || qvk_tensor_numel(weight) == x->sizes[x->rank - 1], err, QVK_SHAPE,
               "norm_weight %s does not fit an input of %s", qvk__shape_text(weight).text,
               qvk__shape_text(x).text);
    return qvk__arg_rms_rounding(&args[QVK__FUSED_NORM_ROUNDING], &rounding, err);
}

static bool is_like(const qvk_tensor *a, const qvk_tensor *b)
{
    return a->dtype == b->dtype && qvk__shape_equal(a, b);
}

/* A linear of what may be normalized first, with what follows it: another one like it, whose gate it is, and
 * a tensor like the results. */
qvk_status qvk__shape_fused_linear(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *weight, *scales, *residual, *up, *up_scales;

    QVK__TRY(qvk__shape_linear(op, args, n_args, outs, n_outs, err));
    QVK__TRY(check_norm(args, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[QVK__FUSED_RESIDUAL], "residual", &residual, err));
    QVK__CHECK(!residual || is_like(residual, &outs[0]), err, QVK_SHAPE, "residual %s for a result of %s",
               qvk__shape_text(residual).text, qvk__shape_text(&outs[0]).text);
    QVK__TRY(qvk__arg_tensor_or_null(&args[QVK__FUSED_UP_WEIGHTS], "up_weights", &up, err));
    if (!up)
        return QVK_OK;
    QVK__TRY(qvk__arg_tensor(&args[1], "weights", &weight, err));
    QVK__TRY(qvk__arg_tensor(&args[2], "weight_scales", &scales, err));
    QVK__TRY(qvk__arg_tensor(&args[QVK__FUSED_UP_SCALES], "up_scales", &up_scales, err));
    QVK__CHECK(is_like(up, weight) && is_like(up_scales, scales), err, QVK_SHAPE,
               "weight %s with scales %s, and %s with %s for what it is the gate of",
               qvk__shape_text(weight).text, qvk__shape_text(scales).text, qvk__shape_text(up).text,
               qvk__shape_text(up_scales).text);
    return QVK_OK;
}

qvk_status qvk__shape_matmul(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    qvk__matmul matmul;

    (void)n_outs;
    QVK__TRY(qvk__matmul_of(op, args, n_args, &matmul, err));
    outs[0] = (qvk_tensor){.dtype = matmul.a->dtype, .rank = matmul.batched ? 3 : 2};
    const int first = outs[0].rank - 2;
    outs[0].sizes[0] = matmul.batch;
    outs[0].sizes[first] = matmul.m;
    outs[0].sizes[first + 1] = matmul.n;
    return QVK_OK;
}
