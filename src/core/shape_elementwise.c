/* Shape rules of elementwise operators, casts and fills. */
#include "core/semantics.h"
#include "core/shape.h"

static qvk_status elementwise(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    qvk__elementwise e;
    qvk_tensor shape = {0};

    QVK__TRY(qvk__elementwise_of(op, args, &e, err));
    for (int i = 0; i < e.n_operands; i++)
        if (e.operands[i].tensor)
            QVK__TRY(qvk__broadcast(e.operands[i].tensor, &shape, err));
    return qvk__set_shape(out, e.result, shape.rank, shape.sizes, err);
}

qvk_status qvk__shape_unary(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                            qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return elementwise(op, args, &outs[0], err);
}

qvk_status qvk__shape_binary(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    const qvk_tensor *a, *b;
    qvk_tensor shape;

    (void)n_args, (void)n_outs;
    if (op != QVK__OP_ET_Q8TA_ADD)
        return elementwise(op, args, &outs[0], err);
    QVK__TRY(qvk__arg_tensor(&args[0], "input_a", &a, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "input_b", &b, err));
    shape = *a;
    QVK__TRY(qvk__broadcast(b, &shape, err));
    return qvk__set_shape(&outs[0], a->dtype, shape.rank, shape.sizes, err);
}

qvk_status qvk__shape_where(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                            qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return elementwise(op, args, &outs[0], err);
}

/* Shape and dtype of the first argument. */
qvk_status qvk__shape_same(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    const qvk_tensor *self;
    bool to_float = false;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    if (op == QVK__OP_PRIV_SOFTMAX || op == QVK__OP_PRIV_LOG_SOFTMAX)
        QVK__TRY(qvk__arg_bool(&args[2], "half_to_float", &to_float, err));
    return qvk__set_shape(&outs[0], to_float ? QVK_DTYPE_F32 : self->dtype, self->rank, self->sizes, err);
}

/* Casts keep the output's dtype where the caller has set it (blobs say it there alone). */
qvk_status qvk__shape_copy(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    const bool casts = op == QVK__OP_PRIV_TO_COPY || op == QVK__OP_DIM_TO_DIM_ORDER_COPY;
    const qvk_tensor *self, *src;
    qvk_tensor shape;
    qvk_dtype dtype;
    int64_t code;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    dtype = self->dtype;
    if (casts && outs[0].dtype != QVK_DTYPE_NONE) {
        dtype = outs[0].dtype;
    } else if (casts && !qvk__arg_is_null(&args[1])) {
        QVK__TRY(qvk__arg_int(&args[1], "dtype", &code, err));
        dtype = qvk__dtype_from_code(code, QVK__DTYPE_PTE);
        QVK__CHECK(dtype != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "dtype: ScalarType %lld", (long long)code);
    }
    if (op == QVK__OP_COPY || op == QVK__OP_COPY_INPLACE) {
        QVK__TRY(qvk__arg_tensor(&args[1], "src", &src, err));
        shape = *self;
        QVK__TRY(qvk__broadcast(src, &shape, err));
        QVK__CHECK(qvk__shape_equal(&shape, self), err, QVK_SHAPE, "src: shape %s does not broadcast to %s",
                   qvk__shape_text(src).text, qvk__shape_text(self).text);
    }
    return qvk__set_shape(&outs[0], dtype, self->rank, self->sizes, err);
}

qvk_status qvk__shape_full(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    qvk__filling filling;

    (void)n_args, (void)n_outs;
    return qvk__filling_of(op, args, &filling, &outs[0], err);
}
