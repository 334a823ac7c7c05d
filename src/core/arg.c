/* Arguments: typed access with the conversions PyTorch and the blob format make. */
#include "core/op.h"

#include <math.h>

static const char *const kind_names[] = {
    [QVK__ARG_NULL] = "None",       [QVK__ARG_INT] = "an int",      [QVK__ARG_FLOAT] = "a float",
    [QVK__ARG_BOOL] = "a bool",     [QVK__ARG_STRING] = "a string", [QVK__ARG_VALUE] = "a value",
    [QVK__ARG_TENSOR] = "a tensor", [QVK__ARG_INTS] = "ints",       [QVK__ARG_FLOATS] = "floats",
    [QVK__ARG_BOOLS] = "bools",     [QVK__ARG_LIST] = "a list",
};

static qvk_status misfit(const qvk__arg *arg, const char *what, const char *wanted, qvk_error *err)
{
    return qvk__fail(err, QVK_INVALID_ARGUMENT, "%s: wanted %s, got %s", what, wanted, kind_names[arg->kind]);
}

bool qvk__arg_is_null(const qvk__arg *arg)
{
    return arg->kind == QVK__ARG_NULL;
}

qvk_status qvk__arg_int(const qvk__arg *arg, const char *what, int64_t *out, qvk_error *err)
{
    switch (arg->kind) {
    case QVK__ARG_INT: *out = arg->u.i; return QVK_OK;
    case QVK__ARG_BOOL: *out = arg->u.b; return QVK_OK;
    case QVK__ARG_FLOAT:
        if (arg->u.f == floor(arg->u.f) && fabs(arg->u.f) < 9.0e18) {
            *out = (int64_t)arg->u.f;
            return QVK_OK;
        }
        return misfit(arg, what, "an int", err);
    default: return misfit(arg, what, "an int", err);
    }
}

qvk_status qvk__arg_float(const qvk__arg *arg, const char *what, double *out, qvk_error *err)
{
    switch (arg->kind) {
    case QVK__ARG_FLOAT: *out = arg->u.f; return QVK_OK;
    case QVK__ARG_INT: *out = (double)arg->u.i; return QVK_OK;
    case QVK__ARG_BOOL: *out = arg->u.b; return QVK_OK;
    default: return misfit(arg, what, "a number", err);
    }
}

qvk_status qvk__arg_bool(const qvk__arg *arg, const char *what, bool *out, qvk_error *err)
{
    if (arg->kind == QVK__ARG_BOOL)
        *out = arg->u.b;
    else if (arg->kind == QVK__ARG_INT && (arg->u.i == 0 || arg->u.i == 1))
        *out = arg->u.i == 1;
    else
        return misfit(arg, what, "a bool", err);
    return QVK_OK;
}

qvk_status qvk__arg_string(const qvk__arg *arg, const char *what, const char **out, qvk_error *err)
{
    if (arg->kind != QVK__ARG_STRING)
        return misfit(arg, what, "a string", err);
    *out = arg->u.s;
    return QVK_OK;
}

qvk_status qvk__arg_tensor(const qvk__arg *arg, const char *what, const qvk_tensor **out, qvk_error *err)
{
    if (arg->kind != QVK__ARG_TENSOR)
        return misfit(arg, what, "a tensor", err);
    *out = arg->u.tensor;
    return QVK_OK;
}

qvk_status qvk__arg_tensor_or_null(const qvk__arg *arg, const char *what, const qvk_tensor **out,
                                   qvk_error *err)
{
    if (arg->kind == QVK__ARG_NULL) {
        *out = NULL;
        return QVK_OK;
    }
    return qvk__arg_tensor(arg, what, out, err);
}

qvk_status qvk__arg_ints(const qvk__arg *arg, const char *what, int64_t *out, int max, int *n, qvk_error *err)
{
    int count = arg->kind == QVK__ARG_INT ? 1 : (int)arg->count;

    *n = -1;
    if (arg->kind == QVK__ARG_NULL)
        return QVK_OK;
    if (arg->kind != QVK__ARG_INT && arg->kind != QVK__ARG_INTS && arg->kind != QVK__ARG_LIST &&
        !(arg->kind == QVK__ARG_BOOLS && arg->count == 0) &&
        !(arg->kind == QVK__ARG_FLOATS && arg->count == 0))
        return misfit(arg, what, "ints", err);
    QVK__CHECK(count >= 0 && count <= max, err, QVK_INVALID_ARGUMENT,
               "%s: %d numbers, at most %d are possible", what, count, max);
    for (int i = 0; i < count; i++) {
        if (arg->kind == QVK__ARG_INT)
            out[i] = arg->u.i;
        else if (arg->kind == QVK__ARG_INTS)
            out[i] = arg->u.ints[i];
        else
            QVK__TRY(qvk__arg_int(&arg->u.list[i], what, &out[i], err));
    }
    *n = count;
    return QVK_OK;
}

qvk__arg qvk__arg_from_int(int64_t value)
{
    return (qvk__arg){.kind = QVK__ARG_INT, .u.i = value};
}

qvk__arg qvk__arg_from_float(double value)
{
    return (qvk__arg){.kind = QVK__ARG_FLOAT, .u.f = value};
}

qvk__arg qvk__arg_from_bool(bool value)
{
    return (qvk__arg){.kind = QVK__ARG_BOOL, .u.b = value};
}

qvk__arg qvk__arg_from_value(int32_t value)
{
    return (qvk__arg){.kind = QVK__ARG_VALUE, .u.value = value};
}
